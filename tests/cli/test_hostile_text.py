"""Text from outside (documents, their ids and names, a server's words) is shown, but steers no terminal, in any command's answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b]8;;http://x\x1b\\\r\x9b31m\u202egnp.exe\u2066[red]bold[/red]<script>"
RAW = re.compile("\x1b(?!\\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What no answer holds; colours of our own are let through."""
COMMANDS = [
    *("run -v", "run --json", "plan", "plan --json", "failed", "failed --json", "retry", "export n -o -", "validate", "doctor"),
    *("trace", "trace show", "trace timeline", "trace slow", "trace errors", "trace list", "trace diff", "ledger stats", "clean --dry-run"),
    *(
        "run nobody\x1b[2J",
        "trace show \x1b[2J",
        "plan \u202enowhere.yaml",
        "run --\x1b[2J",
        "ledger import \x1b[2J.jsonl",
        "cron remove \x1b",
    ),
]


@pytest.mark.parametrize("colour", ["always", "never"])
def test_hostile_text_is_written_out_in_every_answer(asyncrun: Command, server: FakeServer, tmp_path: Path, colour: str) -> None:
    server.faults.append(error(400, f"no such text: {HOSTILE}", when=lambda request: "poison" in request.texts, times=None))
    name = "no\x1b[2Jtes\u202e[red].jsonl"
    rows = [{"id": "a", "text": "one"}, {"id": f"b{HOSTILE}", "text": "poison"}, {"id": f"c{HOSTILE}", "text": ""}]
    (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + f"{{{HOSTILE.replace(chr(13), '')}\n")
    embedder = {"provider": "openai", "model": f"m{HOSTILE}", "base_url": server.base_url, "retry": {"attempts": 1}}
    job = {"name": "n", "kind": "embed", "input": "*.jsonl", "output": "out/v.jsonl", "embedder": embedder, "max_failures": "100%"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"trace": {"text": True}, "jobs": [job]}))
    for words in COMMANDS:
        answer = asyncrun("--color", colour, *words.split(" "))
        if "--json" not in words and not words.startswith("export"):
            found = [
                text[max(match.start() - 40, 0) : match.end() + 20] for text in (answer.out, answer.err) if (match := RAW.search(text))
            ]
            assert found == [], words
        else:
            assert "\x1b" not in answer.out, words
        assert answer.code != 70, answer.err
    assert "\\x1b[2J" in asyncrun("failed").out
    assert "[red]bold[/red]" in asyncrun("failed").out
    page = asyncrun("trace", "html").out
    assert "gnp.exe" in page
    assert not RAW.search(page)
    assert "[/red]<script>" not in page
