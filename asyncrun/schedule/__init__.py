"""When a job file runs by itself: schedules, lines of a crontab, timers of systemd."""
