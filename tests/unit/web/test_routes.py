"""From a request to an answer: each address, what is not there, and documents that are read anew only when something is new."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from asyncrun.web.access import Access
from asyncrun.web.messages import WebRequest, WebResponse
from asyncrun.web.routes import Routes
from asyncrun.web.runs import RunReader, Shown

from .conftest import STARTED, AddRun, Now


class CountingReader(RunReader):
    """Counts how often the folder is read."""

    reads = 0

    def listed(self, page: int, file: str = "") -> Shown:
        self.reads += 1
        return super().listed(page, file)


@pytest.fixture
def reader(state: Path, now: Now) -> CountingReader:
    return CountingReader(state, now)


@pytest.fixture
def routes(reader: CountingReader, now: Now) -> Routes:
    return Routes(reader, Access(), now)


def get(routes: Routes, target: str, **headers: str) -> WebResponse:
    return routes.answer(
        WebRequest("GET", target, {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}})
    )


def test_the_list_is_a_page_that_runs_its_own_script_and_asks_its_own_server_alone(routes: Routes, add_run: AddRun) -> None:
    add_run("a")
    page = get(routes, "/")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.body.decode())
    assert (page.status, page.type) == (200, "text/html; charset=utf-8")
    assert policy
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert "connect-src &#x27;self&#x27;" in policy[1]
    assert "unsafe" not in policy[1]


def test_the_page_of_a_run_and_its_document(routes: Routes, add_run: AddRun) -> None:
    add_run("20261124-021500-4f2a", items=3, ok=3)
    page, document = get(routes, "/run/20261124-021500-4f2a"), get(routes, "/run/20261124-021500-4f2a.json")
    assert b"All runs" in page.body
    assert json.loads(document.body)["run"]["run_id"] == "20261124-021500-4f2a"


@pytest.mark.parametrize(
    "target",
    [
        "/favicon.ico",
        "/run/",
        "/run/b",
        "/run/b.json",
        "/run/a/..",
        "/run/../traces.db",
        "/run/%2e%2e%2ftraces.db",
        "//",
        "/../jobs.yaml",
        "*",
        "",
    ],
)
def test_there_is_nothing_else(routes: Routes, add_run: AddRun, target: str) -> None:
    add_run("a")
    assert get(routes, target).status == 404


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "9" * 30, "²", "1.5"])
def test_a_part_that_is_no_number_is_the_first(routes: Routes, add_run: AddRun, page: str) -> None:
    add_run("a")
    assert json.loads(get(routes, f"/runs.json?page={page}").body)["page"] == 1


def test_below_a_token_the_same_is_there(reader: CountingReader, add_run: AddRun, now: Now) -> None:
    add_run("a")
    routes = Routes(reader, Access(token="t0ken"), now)
    assert [get(routes, target).status for target in ("/t0ken/", "/t0ken/run/a", "/t0ken/runs.json", "/", "/run/a")] == [
        200,
        200,
        200,
        404,
        404,
    ]


def test_what_is_as_before_is_neither_read_nor_sent_again(routes: Routes, reader: CountingReader, add_run: AddRun, now: Now) -> None:
    add_run("a")
    now.seconds = (reader.stamp()[0] or (0, 0, 0))[2] / 1e9 + 10
    first = get(routes, "/runs.json")
    again = get(routes, "/runs.json", if_none_match=first.headers["etag"])
    assert (first.status, again.status, reader.reads) == (200, 304, 1)
    add_run("b")
    newer = get(routes, "/runs.json", if_none_match=first.headers["etag"])
    assert (newer.status, reader.reads) == (200, 2)


def test_a_run_that_goes_on_is_read_every_second_and_one_that_falls_silent_is_noticed(
    routes: Routes, reader: CountingReader, add_run: AddRun, now: Now
) -> None:
    now.seconds = STARTED + 1e9
    add_run("a", started=now.seconds - 5, seen=now.seconds)
    get(routes, "/runs.json")
    now.seconds += 0.5
    get(routes, "/runs.json")
    assert reader.reads == 1
    now.seconds += 0.6
    assert json.loads(get(routes, "/runs.json").body)["runs"][0]["seconds"] == 6.0
    now.seconds += 20
    assert json.loads(get(routes, "/runs.json").body)["runs"][0]["status"] == "unfinished"


def test_two_writes_within_the_grain_of_a_files_time_are_told_apart(
    routes: Routes, reader: CountingReader, add_run: AddRun, now: Now
) -> None:
    add_run("a")
    now.seconds = (reader.stamp()[0] or (0, 0, 0))[2] / 1e9 + 0.01
    get(routes, "/runs.json")
    now.seconds += 0.3
    get(routes, "/runs.json")
    now.seconds += 0.3
    get(routes, "/runs.json")
    assert reader.reads == 2


def test_a_store_of_a_newer_version_is_one_sentence_and_the_next_request_is_answered(routes: Routes, state: Path, add_run: AddRun) -> None:
    add_run("a")
    with closing(sqlite3.connect(state / "traces.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    answer = get(routes, "/runs.json")
    assert answer.status == 503
    assert "newer asyncrun" in answer.body.decode()
    assert len(answer.body.splitlines()) == 1
    assert get(routes, "/favicon.ico").status == 404
