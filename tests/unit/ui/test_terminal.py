from __future__ import annotations

import io
import sys
import threading

import pytest
from rich.console import Console
from rich.text import Text

from asyncrun.ui.terminal import Screen


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=60)


def shown(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_messages_are_written_at_once_while_nothing_is_drawn(console: Console) -> None:
    screen = Screen(console, lambda: Text("picture"), every=0.1, redirect=False)
    screen.say(Text("before"))
    assert shown(console) == "before\n"
    screen.close()
    screen.say(Text("after"))
    assert shown(console) == "before\nafter\n"


def test_closing_keeps_every_message_and_leaves_no_thread(console: Console) -> None:
    before = set(threading.enumerate())
    screen = Screen(console, lambda: Text("picture"), every=0.1, redirect=False)
    screen.start()
    for number in range(50):
        screen.say(Text(f"message {number}."))
    screen.close()
    screen.close()
    assert set(threading.enumerate()) == before
    assert all(shown(console).count(f"message {number}.") == 1 for number in range(50))


def test_many_messages_are_few_drawings(console: Console) -> None:
    drawings: list[int] = []

    def picture() -> Text:
        drawings.append(1)
        return Text("picture")

    screen = Screen(console, picture, every=0.1, redirect=False)
    screen.start()
    for _ in range(5000):
        screen.say(Text("message"))
    screen.close()
    assert len(drawings) < 100


def test_an_ended_screen_does_not_begin_again(console: Console) -> None:
    screen = Screen(console, lambda: Text("picture"), every=0.1, redirect=False)
    screen.close()
    screen.start()
    assert shown(console) == ""


def test_the_streams_of_the_process_are_given_back(console: Console) -> None:
    before = sys.stdout, sys.stderr
    screen = Screen(console, lambda: Text("picture"), every=0.1, redirect=True)
    screen.start()
    screen.close()
    assert (sys.stdout, sys.stderr) == before


def test_the_cursor_is_given_back(console: Console) -> None:
    screen = Screen(console, lambda: Text("picture"), every=0.1, redirect=False)
    screen.start()
    screen.close()
    assert shown(console).rfind("\x1b[?25h") > shown(console).rfind("\x1b[?25l") >= 0
