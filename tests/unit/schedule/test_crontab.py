"""Only our own marked lines are ever touched; everything else of a crontab stays as it was, to the byte."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.schedule.crontab import Entry, add_entry, build_entry, find_entries, find_settings, remove_entry, render_line
from asyncrun.schedule.expression import parse_schedule

HOSTILE = (
    "# m h dom mon dow command\r\n"
    'MAILTO="me@example.org"\n'
    "\n\t \n"
    "  # asyncrun:nightly\n"
    "# 15 2 * * * /opt/asyncrun run # asyncrun:nightly\n"
    "0 5 * * 1 tar -zcf /var/backups/home-\\%Y.tgz /home/%stdin%more\n"
    "*/5 * * * * echo '# asyncrun:nightly' >/dev/null\r\n"
    "@reboot /bin/true \x0b\x0c\x85\u2028 \udcff\udcfe\n"
    "15 2 * * * other # asyncrun:nightly too\n"
    "15 2 * * * other # asyncrun: nightly\n"
)
NIGHTLY = Entry("nightly", "15 2 * * *", "/opt/asyncrun run jobs.yaml")


@pytest.mark.parametrize("text", ["", HOSTILE, HOSTILE.removesuffix("\n"), "no newline", "\n\n", "\r", HOSTILE.replace("\n", "\r\n")])
def test_after_adding_and_removing_all_is_as_before(text: str) -> None:
    added = add_entry(text, NIGHTLY)
    assert find_entries(added) == [NIGHTLY]
    assert remove_entry(added, "nightly") == text


@given(st.text(st.characters(codec=None)) | st.lists(st.sampled_from(["\n", "\r", "# asyncrun:", "*", " ", "%", "a"])).map("".join))
def test_nothing_that_may_stand_in_a_crontab_is_changed(text: str) -> None:
    assert remove_entry(add_entry(text, Entry("x9", "@daily", "true")), "x9") == text


def test_several_entries_go_one_by_one() -> None:
    weekly = Entry("weekly", "@weekly", "true")
    both = add_entry(add_entry(HOSTILE, NIGHTLY), weekly)
    assert find_entries(both) == [NIGHTLY, weekly]
    assert remove_entry(both, "nightly") == add_entry(HOSTILE, weekly)
    assert remove_entry(remove_entry(both, "nightly"), "weekly") == HOSTILE


def test_a_line_that_an_editor_ended_with_crlf_is_still_ours() -> None:
    assert remove_entry("a\r\n" + render_line(NIGHTLY) + "\r\nb\r\n", "nightly") == "a\r\nb\r\n"


def test_a_new_line_comes_after_the_settings_that_are_meant_for_it() -> None:
    assert add_entry("MAILTO=me\nPATH=/opt", NIGHTLY) == f"MAILTO=me\n{render_line(NIGHTLY)}\nPATH=/opt"


@pytest.mark.parametrize("word", ["50%", "a b", "it's", '"', "$HOME", "`id`", "100%%", "#1", "&&", "ü", "*"])
def test_the_shell_gets_each_word_as_it_was_given(word: str) -> None:
    """What cron does to a line (`\\%` becomes `%`, the first other one ends the command), and then sh."""
    entry = build_entry("n", parse_schedule("@daily"), [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))", word])
    line = render_line(entry)
    command = line.removeprefix("@daily ").replace("\\%", "\0")
    assert "%" not in command
    ran = subprocess.run(["/bin/sh", "-c", command.replace("\0", "%")], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{[word]!a}\n"
    assert find_entries(line) == [entry]


def test_a_jitter_is_slept_before_the_command_starts() -> None:
    entry = build_entry("n", parse_schedule("@daily"), ["/opt/asyncrun", "run"], jitter=600.0, python="/opt/my python")
    assert entry.command == "'/opt/my python' -c 'import random, time; time.sleep(random.uniform(0, 600))' && /opt/asyncrun run"
    short = build_entry("n", parse_schedule("@daily"), ["echo", "ran"], jitter=0.01, python=sys.executable)
    assert subprocess.run(["/bin/sh", "-c", short.command], capture_output=True, text=True, check=True).stdout == "ran\n"


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\n", "a%", "ä", "a" * 61])
def test_a_name_that_could_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        build_entry(name, parse_schedule("@daily"), ["true"])


@pytest.mark.parametrize("word", ["a\\b", "50\\%"])
def test_a_backslash_is_refused_as_crons_differ_about_it(word: str) -> None:
    with pytest.raises(ValueError, match="backslash"):
        build_entry("n", parse_schedule("@daily"), ["run", word])


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "\x1b[31m", "\0"])
def test_a_line_break_cannot_become_a_line_of_its_own(word: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        build_entry("n", parse_schedule("@daily"), ["run", word])


def test_a_command_that_cron_would_refuse_is_refused_before() -> None:
    with pytest.raises(ValueError, match="longer than the 999 bytes"):
        build_entry("n", parse_schedule("@daily"), ["run", "ü" * 500])


def test_the_settings_of_a_crontab_are_found() -> None:
    text = 'A=1\r\n B = \'two words\' \n"C"=\n#D=4\n* * * * * E=5 true\nF="6\n'
    assert find_settings(text) == {"A": "1", "B": "two words", "C": "", "F": '"6'}
