"""What cron would take is taken, what it would not is refused with the name of the field."""

from __future__ import annotations

import pytest

from asyncrun.schedule.expression import parse_schedule


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("15 2 * * *", "15 2 * * *"),
        ("  15\t2  * * * ", "15 2 * * *"),
        ("*/15 0-6,22 1,15 * *", "*/15 0-6,22 1,15 * *"),
        ("0 2 * jan,JUL mon-fri", "0 2 * 1,7 1-5"),
        ("0 2 * * fri-sun", "0 2 * * 5-7"),
        ("0 2 * * sun", "0 2 * * 0"),
        ("0 2 * * 7", "0 2 * * 7"),
        ("007 2 * * *", "7 2 * * *"),
        ("10-50/20 * * * *", "10-50/20 * * * *"),
        ("@Daily", "@daily"),
        ("@reboot", "@reboot"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 31 2 mon", "0 0 31 2 1"),
    ],
)
def test_a_schedule_is_written_as_every_cron_takes_it(text: str, written: str) -> None:
    assert parse_schedule(text).text == written
    assert parse_schedule(written).fields == parse_schedule(text).fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "5 fields .* not 0"),
        ("15 2 * *", "5 fields .* not 4"),
        ("15 2 * * *\n* * * * *", "5 fields .* not 10"),
        ("60 2 * * *", "^minute: 60 is not in 0 to 59"),
        ("0 24 * * *", "^hour: 24 is not in 0 to 23"),
        ("0 2 0 * *", "^day of month: 0 is not in 1 to 31"),
        ("0 2 * 13 *", "^month: 13 is not in 1 to 12"),
        ("0 2 * * 8", "^day of week: 8 is not in 0 to 7"),
        ("0 2 * * monday", "^day of week: 'monday' is not a number from 0 to 7, sun to sat"),
        ("mon 2 * * *", "^minute: 'mon' is not a number from 0 to 59"),
        ("0 22-6 * * *", "^hour: the range '22-6' runs backwards"),
        ("0,,5 2 * * *", "^minute: '' is no number"),
        ("-5 2 * * *", "^minute: '-5' is no number"),
        ("~ 2 * * *", "^minute: '~' is no number"),
        ("5/10 2 * * *", "^minute: the step of '5/10' needs a range, such as 5-59/10"),
        ("*/0 2 * * *", "^minute: the step of '\\*/0' is not in 1 to 59"),
        ("*/90 2 * * *", "^minute: the step of '\\*/90' is not in 1 to 59"),
        ("٣ 2 * * *", "^minute: '٣' is not a number"),
        ("0 2 30 feb *", "^day of month: 30 never comes"),
        ("0 2 31 4,6 *", "^day of month: 31 never comes"),
        ("@nightly", "no word is '@nightly'; there are .*@daily"),
    ],
)
def test_a_mistake_names_its_field(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_schedule(text)
