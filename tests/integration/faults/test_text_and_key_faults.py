"""Texts that poison a batch elsewhere, and keys that want to get out: the text fails alone, the key is in nothing that is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer

SENTINEL = "sk-sentinel-0123456789abcdef"


def test_empty_blank_broken_nul_and_5_mb_texts_are_failures_or_rows_of_their_own(job: Any) -> None:
    good = ["good", "nul\x00nul", "good too"]
    job.texts = [good[0], "", " \t\n\u3000", "half \ud800 pair", good[1], "x" * 5_000_000, good[2]]
    with FakeServer().in_thread() as server:
        assert job.run(server.base_url) == 3
    assert job.failed == {"t1": "empty", "t2": "empty", "t3": "bad_text", "t5": "too_long"}
    assert job.has_rows_of(good)


def test_empty_texts_are_skipped_where_the_policy_says_so(job: Any) -> None:
    job.texts = ["good", "", "  "]
    with FakeServer().in_thread() as server:
        assert job.run(server.base_url, on_empty="skip") == 0
    assert job.summary["skipped"] == 2
    assert job.has_rows_of(["good"])


def left_behind(folder: Path) -> str:
    """All bytes of all files, the job file alone left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "jobs.yaml"]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


@pytest.mark.parametrize(
    "echo",
    [
        error(401, f"Incorrect API key provided: {SENTINEL}.", times=None),
        error(400, f"header authorization: Bearer {SENTINEL} is odd", times=None),
        error(500, f"crash with {SENTINEL}", times=None),
        fault("html", body=f"<html>{SENTINEL}</html>".encode(), times=None),
        fault("redirect", headers={"location": f"https://{SENTINEL}.example/?key={SENTINEL}"}, times=None),
        fault("throttled", headers={"retry-after": "86400"}, body=json.dumps({"error": SENTINEL}).encode(), times=None),
    ],
    ids=["401", "400", "500", "200", "307", "429"],
)
def test_a_key_that_the_server_repeats_is_in_nothing_that_is_said_or_left(job: Any, monkeypatch: pytest.MonkeyPatch, echo: Any) -> None:
    monkeypatch.setenv("MY_KEY", SENTINEL)
    with FakeServer(faults=[echo]).in_thread() as server:
        assert job.run(server.base_url, "--debug", api_key="${MY_KEY}", retry={"attempts": 1}) in (1, 75, 77)
    assert server.requests[0].headers["authorization"] == f"Bearer {SENTINEL}"
    assert SENTINEL not in job.said
    assert SENTINEL not in left_behind(job.folder)


@pytest.mark.parametrize("written", ["://user:${PASSWORD}@", "://${PASSWORD}@"])
def test_a_password_in_the_address_is_refused_and_in_nothing_that_is_said_or_left(
    job: Any, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("PASSWORD", SENTINEL)
    with FakeServer().in_thread() as server:
        assert job.run(server.base_url.replace("://", written), "--debug") == 2
    assert server.requests == []
    assert "a name or a password must not stand in an address" in job.said
    assert SENTINEL not in job.said
    assert SENTINEL not in left_behind(job.folder)
