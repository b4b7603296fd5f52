"""A timer that starts when cron would, and a service that runs the same command."""

from __future__ import annotations

import pytest

from asyncrun.schedule.expression import parse_schedule
from asyncrun.schedule.systemd import build_units, calendar_lines


@pytest.mark.parametrize(
    ("schedule", "lines"),
    [
        ("15 2 * * *", ["*-*-* 02:15:00"]),
        ("* * * * *", ["*-*-* *:*:00"]),
        ("@weekly", ["Sun *-*-* 00:00:00"]),
        ("@yearly", ["*-01-01 00:00:00"]),
        ("*/20 8-10 * 1,7 *", ["*-01,07-* 08,09,10:00,20,40:00"]),
        ("0 0 * * fri-sun", ["Fri,Sat,Sun *-*-* 00:00:00"]),
        ("0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
        ("0 0 */10 * 5", ["Fri *-*-01,11,21,31 00:00:00"]),
        ("0 0 13 * */2", ["Tue,Thu,Sat,Sun *-*-13 00:00:00"]),
        ("0 0 1-31 * 5", ["*-*-* 00:00:00", "Fri *-*-* 00:00:00"]),
    ],
)
def test_a_calendar_line_means_what_the_schedule_means(schedule: str, lines: list[str]) -> None:
    assert calendar_lines(parse_schedule(schedule)) == lines


def test_a_start_of_the_machine_is_no_time_of_a_calendar() -> None:
    with pytest.raises(ValueError, match="@reboot is no time of a calendar: use the crontab for it"):
        calendar_lines(parse_schedule("@reboot"))


def test_missed_runs_are_made_up_for_and_starts_are_spread() -> None:
    units = build_units("nightly", parse_schedule("@daily"), ["/opt/asyncrun", "run"], jitter=600.0)
    assert list(units.files) == ["asyncrun-nightly.service", "asyncrun-nightly.timer"]
    assert "Persistent=true\n" in units.timer
    assert "RandomizedDelaySec=600\n" in units.timer
    assert "RandomizedDelaySec" not in build_units("nightly", parse_schedule("@daily"), ["/opt/asyncrun"]).timer
    assert "ExecStart=/opt/asyncrun run\n" in units.service
    assert "KillMode=mixed\n" in units.service, "a stop would end what workers have under way"
    assert "SuccessExitStatus=75\n" in units.service


def test_no_word_of_a_command_means_something_to_systemd() -> None:
    service = build_units("n", parse_schedule("@daily"), ["/o p/a%", "50%", 'a "b"', "$HOME", "c\\d", ";", ""]).service
    assert 'ExecStart="/o p/a%%" 50%% "a \\"b\\"" "$$HOME" "c\\\\d" ";" ""\n' in service
    with pytest.raises(ValueError, match="control character"):
        build_units("n", parse_schedule("@daily"), ["/opt/asyncrun", "a\nExecStartPre=/bin/sh"])
