"""What is promised of parsing on workers: the records of this machine in the same order, and one failed item for whatever a file does."""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.errors import Place, TryLaterError, UsageError
from asyncrun.executors.local import LocalExecutor
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.ports import Executor
from asyncrun.readers.input_files import InputFile
from asyncrun.readers.interface import BadRecord, ParsedReader, Reader, Record
from asyncrun.readers.parse_pool import ParseLimits
from asyncrun.readers.pdf import read_pdf
from asyncrun.readers.read_ahead import read_ahead
from asyncrun.readers.worker_parsers import ParserPart, WorkerParsers
from tests.executors import FakeExecutor

PROGRAMS = Path(__file__).parents[2] / "programs"
READERS: dict[str, Reader] = {"words": ParsedReader("parsers_of_tests:words")}
Told = list[tuple[str, Record | BadRecord]]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[InputFile]]:
    monkeypatch.syspath_prepend(PROGRAMS)

    def files(*contents: str) -> list[InputFile]:
        paths = [tmp_path / f"{number}.doc" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        return [InputFile(path, path.name, path.name, "words") for path in paths]

    return files


def read(given: list[InputFile], executor: Executor, limits: ParseLimits | None = None, stopped: Any = lambda: None) -> Told:
    async def main() -> Told:
        async with aclosing(executor):
            parsers = WorkerParsers(executor, asyncio.get_running_loop(), ParserPart(1, limits or ParseLimits()))
            found = await asyncio.to_thread(lambda: list(read_ahead(given, READERS, stopped, parsers)))
            return [(file.name, record) for file, record in found]

    return asyncio.run(main())


def told(records: Told) -> list[str]:
    return [f"{each.reason}: {each.message}" if isinstance(each, BadRecord) else str(each.fields["text"]) for _, each in records]


def test_records_come_from_workers_as_they_do_from_processes_here(files) -> None:
    given = files("sleep 0.2", *(f"say {number}" for number in range(20)), "refuse me")
    given.append(InputFile(given[0].path.with_name("none.doc"), "none.doc", "none.doc", "words"))
    packed = given[0].path.with_name("packed.doc.gz")
    packed.write_bytes(gzip.compress(b"say packed"))
    given.append(InputFile(packed, packed.name, packed.name, "words"))
    here = [(file.name, record) for file, record in read_ahead(given, READERS)]
    there = read(given, ProcessExecutor(2))
    assert told(there) == told(here)
    assert [(name, record.place) for name, record in there] == [(name, record.place) for name, record in here]


@pytest.mark.parametrize(
    ("content", "words"),
    [("sleep 60", "took longer than 1 s"), ("abort", "SIGABRT")],
)
def test_what_a_file_does_to_its_parser_is_its_own_failure(files, content: str, words: str) -> None:
    found = told(read(files("say a", content, "say b"), LocalExecutor(), ParseLimits(seconds=1)))
    assert (found[0], found[2]) == ("a", "b")
    assert found[1].startswith("bad_record: its parser") and words in found[1]


def test_a_file_whose_workers_are_lost_is_one_bad_record(files) -> None:
    found = read(files("say a", "say poison", "say b"), FakeExecutor(ends=lambda arguments: b"poison" in arguments[2]))
    assert told(found) == ["a", "worker_lost: a worker was lost each time it was parsed: worker here was lost: killed by SIGKILL", "b"]
    assert found[1][1].place == Place("1.doc")


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (read_pdf, r"cannot parse 0\.doc: pdf needs the extra 'documents', which is not installed"),
        (ParsedReader("plugin_of_another_node:words"), r"cannot parse 0\.doc: it has no module 'plugin_of_another_node'"),
    ],
)
def test_a_node_that_lacks_an_extra_or_a_plugin_ends_the_run_and_fails_no_file(files, reader: Reader, words: str, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    monkeypatch.setitem(READERS, "words", reader)
    with pytest.raises(UsageError, match=f"node .+ {words}"):
        read(files("say a"), LocalExecutor())


def test_a_worker_that_is_lost_once_costs_a_second_try(files) -> None:
    executor = FakeExecutor()
    executor.ends = lambda _: len(executor.calls) == 1
    assert told(read(files("say a", "say b"), executor)) == ["a", "b"]
    assert len(executor.calls) == 3


def test_no_more_files_are_under_way_than_workers_can_follow(files) -> None:
    executor = FakeExecutor(workers=2)
    read(files(*["say a"] * 30), executor)
    assert executor.most_at_once <= 8


class Growing(FakeExecutor):
    """A cluster that tells how many workers there are when it has been joined."""

    async def run(self, *call: Any) -> Any:
        self.workers = 4
        return await super().run(*call)


def test_workers_that_are_known_later_get_their_share(files) -> None:
    executor = Growing()
    read(files(*["sleep 0.02"] * 30), executor)
    assert 4 < executor.most_at_once <= 16


def test_a_run_that_must_end_does_not_wait_for_a_file(files) -> None:
    with pytest.raises(TryLaterError, match="stopped early"):
        read(files("sleep 60"), ProcessExecutor(1), stopped=lambda: TryLaterError("stopped early: max_runtime is over"))
