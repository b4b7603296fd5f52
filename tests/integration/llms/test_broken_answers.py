"""Answers of every broken kind through a whole run: no invalid row in the output, no traceback, and a reason for each row that has none.

`ASYNCRUN_TEST_ANSWERS=100000` tries so many rows.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import asyncrun
from asyncrun.testing import Chat, FakeServer, Said
from tests.depth import asked_for

ANSWERS = asked_for("ASYNCRUN_TEST_ANSWERS", quick=200, deep=20_000)
OF_A_RUN = 10_000
"""Rows of one run: several runs share the processors."""
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "score": {"type": "integer", "minimum": 0, "maximum": 100},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
    },
    "required": ["title", "score"],
    "additionalProperties": False,
}
GOOD = {"title": "Größe 😀", "score": 7, "tags": ["a"]}
TEXT = json.dumps(GOOD)
REASONS = {"bad_answer", "cut_off", "refused", "filtered", "empty_answer"}


def wrong(**changes: object) -> str:
    return json.dumps({**GOOD, **changes})


KINDS: Mapping[str, Callable[[random.Random], str | Said]] = {
    "good": lambda _: TEXT,
    "in a fence": lambda _: f"```json\n{TEXT}\n```",
    "no JSON": lambda rng: "".join(rng.choices('ab {}[]",:0123456789\n\\`é', k=rng.randrange(1, 200))),
    "words around it": lambda _: f"Here it is:\n{TEXT}\nI hope that helps!",
    "cut anywhere": lambda rng: TEXT[: rng.randrange(len(TEXT))],
    "a letter changed": lambda rng: changed(TEXT, rng),
    "another type": lambda rng: wrong(score=rng.choice(["7", 7.5, None, [], True])),
    "another root": lambda rng: json.dumps(rng.choice([[], "text", 3, None, [GOOD]])),
    "an extra key": lambda _: wrong(extra=1),
    "a missing key": lambda _: '{"title": "T"}',
    "a key twice": lambda _: '{"title": "T", "score": 1, "score": 2}',
    "NaN": lambda rng: f'{{"title": "T", "score": {rng.choice(["NaN", "Infinity", "-Infinity", "1e999"])}}}',
    "a huge number": lambda rng: f'{{"title": "T", "score": {"9" * rng.randrange(20, 6000)}}}',
    "half a character": lambda _: '{"title": "\\ud83d", "score": 1}',
    "deep": lambda rng: "[" * rng.randrange(65, 3000),
    "controls": lambda _: '{"title": "\\u0000\\u001b[31m\\u202e", "score": 1}',
    "cut off": lambda _: Said(TEXT, "length"),
    "empty": lambda rng: Said(rng.choice(["", " ", "\n"]), "stop"),
    "none": lambda _: Said(None, "stop"),
    "a refusal": lambda _: Said(None, "stop", refusal="I cannot help with that."),
    "filtered": lambda rng: Said(rng.choice([None, TEXT[:5]]), "content_filter"),
    "unknown reason": lambda _: Said(TEXT, "moonlight"),
}


def changed(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] + chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x80, 0xD800)])) + text[at + 1 :]


def broken(document: Mapping[str, Any]) -> str | Said:
    """Answer by the number of the row and whether it is the repair: the same at every run."""
    first, count = document["messages"][0]["content"], len(document["messages"])
    rng = random.Random(f"{first} {count}")
    return KINDS[rng.choice(list(KINDS))](rng)


@pytest.mark.parametrize("part", range(-(-ANSWERS // OF_A_RUN)))
def test_no_broken_answer_becomes_a_row(tmp_path: Path, part: int) -> None:
    count = min(ANSWERS, OF_A_RUN)
    rows = "".join(f'{{"id": "{number}", "text": "row {part}:{number}"}}\n' for number in range(count))
    (tmp_path / "rows.jsonl").write_text(rows)
    with FakeServer(chat=Chat(answer=broken)).in_thread() as server:
        job = {
            "name": "broken",
            "kind": "generate",
            "input": "rows.jsonl",
            "llm": {"provider": "vllm", "model": "m", "base_url": server.base_url, "limits": {"concurrency": 32}},
            "prompt": "{text}",
            "schema": SCHEMA,
            "output": "out.jsonl",
        }
        report = asyncrun.run({"jobs": [job]}, folder=tmp_path)

    assert report.exit_code == 3, report
    made = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    valid = jsonschema.Draft202012Validator(SCHEMA)
    assert [row["id"] for row in made if not valid.is_valid(row["answer"])] == []
    failed = Counter(failure.reason for failure in report.failures("broken"))
    assert failed.keys() == REASONS
    assert len(made) + failed.total() == count
    assert [int(row["id"]) for row in made] == sorted(int(row["id"]) for row in made)
