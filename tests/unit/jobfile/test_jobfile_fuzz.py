"""Job files as people spoil them: whatever became of one, it is a job file, or it is refused with mistakes that have a place.

`ASYNCRUN_TEST_FUZZ=100000` spoils more of them than the suite does, `ASYNCRUN_TEST_SEED=N` others.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from asyncrun.errors import JobFileError
from asyncrun.escape import printable
from asyncrun.jobfile import JobFile, LoadOptions, parse_job_file
from asyncrun.ui.formatting import render_excerpt
from tests.depth import asked_for

ROOT = Path(__file__).resolve().parents[3]
FILES = asked_for("ASYNCRUN_TEST_FUZZ", quick=300, deep=1500)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "1"))
PARTS = 10
"""So that a failure tells roughly where, and a long run can be seen to go on."""

WORDS = [
    *("no", "~", "12:30", "1e3", "0123", "-1", "0", "1e999", ".nan", "5%", "101%", "2h", "0s", "10MB", "9" * 400, "x\tz", "\u202e", "é"),
    *(
        "[]",
        "{}",
        "[a, b]",
        "{a: b}",
        "{file: k}",
        "&a x",
        "*a",
        "<<: *a",
        "!!python/name:os.system",
        "!x y",
        "|",
        ">",
        "'",
        '"',
        "- ",
        "---",
    ),
    *("local", "openai/m", "sqlite", "embed", "query", "**/*.md", "[z-a]", "{title", "a = 'b", "-", "../x", "http://u:p@h"),
    *("${A}", "${B:-x}", "${"),
]
PART = re.compile("(jobs|embedders|llms|stores|kind|trace|notify):")
MARKS = "\t{}[]:-'\"&*!$|>%@`#,?\0\x1b\x85\u2028\ufeff\ud800 \n"


def sources() -> list[str]:
    """The example, the whole language, and every snippet of the docs that looks like a part of a job file."""
    files = [ROOT / "jobs.example.yaml", Path(__file__).parent / "everything.yaml"]
    pages = [path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]]
    blocks = [block for page in pages for block in re.findall(r"(?:^    .*\n|^\n)+", page, re.MULTILINE) if PART.search(block)]
    return [*(path.read_text(encoding="utf-8") for path in files), *(re.sub("(?m)^    ", "", block.strip("\n")) for block in blocks)]


def lose_line(lines: list[str], rng: random.Random) -> None:
    del lines[rng.randrange(len(lines))]


def repeat_line(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines.insert(rng.randrange(len(lines) + 1), lines[at])


def indent(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([" " * rng.randrange(9), "\t", "- "]) + lines[at].lstrip()


def other_value(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines[at] = re.sub(r"(?<=: )[^,}\]#]+", lambda match: rng.choice(WORDS) if rng.random() < 0.5 else match[0], lines[at])


def other_key(lines: list[str], rng: random.Random) -> None:
    keys = re.findall(r"\w+(?=:)", "\n".join(lines)) or ["a"]
    at = rng.randrange(len(lines))
    lines[at] = re.sub(r"\w+(?=:)", lambda match: rng.choice(keys) if rng.random() < 0.5 else match[0], lines[at])


def mark(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    column = rng.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:column] + rng.choice(MARKS) + lines[at][column + rng.randrange(3) :]


def word(lines: list[str], rng: random.Random) -> None:
    lines.insert(rng.randrange(len(lines) + 1), " " * rng.randrange(7) + rng.choice(WORDS))


HOWS: list[Callable[[list[str], random.Random], None]] = [lose_line, repeat_line, indent, other_value, other_value, other_key, mark, word]


def spoiled(texts: list[str], rng: random.Random) -> str:
    lines = rng.choice(texts).split("\n")
    if rng.random() < 0.1:
        lines += rng.choice(texts).split("\n")
    for _ in range(rng.randint(1, 5)):
        rng.choice(HOWS)(lines, rng)
        lines = lines or [""]
    return "\n".join(lines)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_spoiled_job_file_is_read_or_refused(part: int) -> None:
    texts = sources()
    assert len(texts) > 3
    for number in range(part, FILES, PARTS):
        text = spoiled(texts, random.Random(SEED * 1_000_000_007 + number))
        reading = LoadOptions(environ={"A": "1"}, check_inputs=False, resolve=number % 2 == 0, need_keys=number % 3 == 0)
        try:
            assert isinstance(parse_job_file(text, Path("f"), reading), JobFile)
        except JobFileError as error:
            assert error.mistakes
            for mistake in error.mistakes:
                assert mistake.place is not None, text
                assert mistake.place.file == "f"
                assert 1 <= (mistake.place.line or 0) <= len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text)), text
                assert (mistake.place.column or 0) >= 1
                assert str(mistake) == printable(str(mistake)), text
                assert all(cell_len(line) <= 40 for line in render_excerpt(mistake, 40)), text
        except BaseException:
            print(f"seed {SEED}, file {number}:\n{text!r}")
            raise
