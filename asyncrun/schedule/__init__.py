"""When a job file runs by itself: schedules, lines of a crontab, timers of systemd; pure, but for `program.py` and `folder.py`."""
