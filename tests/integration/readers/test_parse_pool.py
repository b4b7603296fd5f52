"""What is promised of parsing in processes: order, every core, one failed item for whatever a file does to its parser, and nothing left."""

import gzip
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncrun.errors import Place, TryLaterError
from asyncrun.readers.input_files import InputFile
from asyncrun.readers.interface import BadRecord, ParsedReader, Record
from asyncrun.readers.item_source import ItemSource
from asyncrun.readers.parse_pool import HELD, ParseLimits, ParserPool
from asyncrun.readers.read_ahead import read_ahead

MB = 1 << 20
PROGRAMS = Path(__file__).parents[2] / "programs"


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.syspath_prepend(PROGRAMS)

    def put(*contents: str) -> list[Path]:
        paths = [tmp_path / f"{number}.doc" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        return paths

    yield put


def parse(paths: list[Path], *, size: int = 2, limits: ParseLimits | None = None) -> list[Record | BadRecord]:
    with ParserPool(size, limits or ParseLimits()) as pool:
        begun = [pool.begin("parsers_of_tests:words", path, path.name) for path in paths]
        return [pool.take(each) for each in begun]


def told(records: list[Record | BadRecord]) -> list[str]:
    return [f"{each.reason}: {each.message}" if isinstance(each, BadRecord) else str(each.fields["text"]) for each in records]


def test_records_come_in_the_order_in_which_files_were_begun(put) -> None:
    records = parse(put("sleep 0.1", "say b", "say c", "say d"))
    assert told(records) == ["0.1", "b", "c", "d"]
    assert [record.place for record in records] == [Place(f"{number}.doc") for number in range(4)]


def test_files_are_parsed_at_the_same_time_and_processes_are_kept(put) -> None:
    paths = put(*["sleep 0.15"] * 2, *["say x"] * 20)
    pids = {record.fields["pid"] for record in parse(paths)}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert len({record.fields["pid"] for record in parse(paths[2:], size=1)}) == 1


def test_no_more_processes_are_started_than_there_are_files(put) -> None:
    with ParserPool(8) as pool:
        pool.take(pool.begin("parsers_of_tests:words", put("say x")[0], "x"))
        assert len(children()) == 1
    assert not children()


def children() -> list[str]:
    """Return the processes of parsers; a server that other tests share may be a child, too."""
    pids = [pid for each in Path("/proc/self/task").glob("*/children") for pid in each.read_text().split()]
    return [pid for pid in pids if b"parse_child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_whatever_a_file_does_to_its_parser_it_alone_fails(put) -> None:
    # What the tests themselves take of memory cannot be told from what a crashed parser took.
    limits = ParseLimits(memory=max(256 * MB, 3 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
    paths = put(
        "say a",
        "eat",
        "say c",
        "abort",
        f"abort-full {limits.memory * 6 // 10}",
        "exit",
        "refuse",
        "raise",
        "deep",
        "halved",
        "say d",
    )
    assert told(parse(paths, limits=limits)) == [
        "a",
        "bad_record: it takes more memory than a parser may have",
        "c",
        "bad_record: its parser crashed (SIGABRT): the file is damaged, or made to do harm",
        f"bad_record: its parser was ended: it takes more than {limits.memory >> 20} MB of memory",
        "bad_record: its parser crashed (exit code 3): the file is damaged, or made to do harm",
        "no_text: no text: a scan?",
        "bad_record: it cannot be parsed: ValueError: bad xref ?",
        "bad_record: it is nested too deeply to be parsed",
        "bad_text: what it holds cannot be written: str is not valid UTF-8: surrogates not allowed",
        "d",
    ]


def test_a_file_that_hangs_its_parser_fails_alone_after_the_time_it_has(put) -> None:
    assert told(parse(put("say a", "hang", "say b"), size=1, limits=ParseLimits(seconds=2))) == [
        "a",
        "bad_record: its parser was ended: it took longer than 2 s",
        "b",
    ]


def test_what_a_parser_prints_is_no_answer_and_it_knows_no_key(put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert told(parse(put("print a", "secret", "print b"), size=1)) == ["a", "none", "b"]


def test_a_file_that_cannot_be_read_fails_alone(put, tmp_path: Path) -> None:
    broken = tmp_path / "cut.doc.gz"
    broken.write_bytes(gzip.compress(b"say x" * 100)[:-20])
    assert told(parse([tmp_path / "gone.pdf", broken, *put("say b")])) == [
        "unreadable: cannot be read to its end: No such file or directory",
        "unreadable: cannot be read to its end: Compressed file ended before the end-of-stream marker was reached",
        "b",
    ]


def test_a_path_that_is_no_utf_8_is_read(put, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.doc"
    path.write_text("say x")
    assert told(parse([path])) == ["x"]


def test_a_text_above_the_bound_is_refused(put) -> None:
    assert told(parse(put(f"big {64 * MB + 1}"))) == ["bad_record: its text is longer than 64 MB"]


def test_answers_that_nobody_takes_hold_back_the_next_files(put) -> None:
    paths = put(*[f"big {HELD // 4}"] * 12)
    with ParserPool(2) as pool:
        begun = [pool.begin("parsers_of_tests:words", path, "x") for path in paths]
        pool.take(begun[0])
        deadline = time.monotonic() + 10
        while sum(each.answer is not None for each in begun) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert sum(each.answer is not None for each in begun[1:]) <= 6
        assert [len(pool.take(each).fields["text"]) for each in begun[1:]] == [HELD // 4] * 11


def test_to_close_early_ends_all_at_once(put) -> None:
    files = [InputFile(path, path.name, path.name, "hangs") for path in put("say a", *["hang"] * 30)]
    records = read_ahead(files, {"hangs": ParsedReader("parsers_of_tests:words")})
    assert next(records)[1].fields["text"] == "a"
    began = time.monotonic()
    records.close()
    assert time.monotonic() - began < 1
    assert not children()
    assert not [thread for thread in threading.enumerate() if "parser" in thread.name]


def test_who_waits_for_a_file_is_told_to_stop_before_it_is_parsed(put) -> None:
    files = [InputFile(path, path.name, path.name, "hangs") for path in put("say a", "hang")]
    stop: list[Exception] = []
    records = read_ahead(files, {"hangs": ParsedReader("parsers_of_tests:words")}, lambda: stop[0] if stop else None)
    assert next(records)[1].fields["text"] == "a"
    stop.append(TryLaterError("stopped early"))
    began = time.monotonic()
    with pytest.raises(TryLaterError, match="stopped early"):
        next(records)
    assert time.monotonic() - began < 5
    assert not children()


def test_documents_and_other_files_come_in_the_order_of_the_input(put, tmp_path: Path) -> None:
    parsed = put(*[f"say {number}" for number in range(40)])
    rows = tmp_path / "rows.txt"
    rows.write_text("")
    files = [InputFile(path, path.name, path.name, "parsed") for path in parsed]
    files[5:5] = [InputFile(rows, "rows", "rows", "rows")]
    readers = {
        "parsed": ParsedReader("parsers_of_tests:words"),
        "rows": lambda path, shown: iter([Record({"text": "r1"}, Place(shown, 1)), Record({"text": "r2"}, Place(shown, 2))]),
    }
    expected = [str(number) for number in range(40)]
    expected[5:5] = ["r1", "r2"]
    assert told([record for _, record in read_ahead(files, readers)]) == expected


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_parser_does_not_outlive_who_asked(put, tmp_path: Path, ended_by: signal.Signals) -> None:
    (path,) = put("hang")
    code = (
        "import sys; sys.path[:] = {0!r}\nfrom pathlib import Path\nfrom asyncrun.readers.parse_pool import ParserPool\n"
        "pool = ParserPool(1)\npool.take(pool.begin('parsers_of_tests:words', Path({1!r}), 'x'))"
    )
    asking = subprocess.Popen([sys.executable, "-c", code.format(sys.path, str(path))])
    deadline = time.monotonic() + 20
    while not (pids := Path(f"/proc/{asking.pid}/task/{asking.pid}/children").read_text().split() or of_threads(asking.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while "hang" not in path.read_text() or cpu_time(pids[0]) < 20:  # it hangs in the file, not in its start
        assert time.monotonic() < deadline
        time.sleep(0.01)
    asking.send_signal(ended_by)
    asking.wait()
    while Path(f"/proc/{pids[0]}/exe").exists():
        assert time.monotonic() < deadline, "the parser goes on"
        time.sleep(0.01)


def of_threads(pid: int) -> list[str]:
    return [child for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]


def cpu_time(pid: str) -> int:
    """Hundredths of a second in user mode."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def test_the_encoding_of_an_input_reaches_the_process_that_parses(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        (tmp_path / name).write_bytes("<title>\u0426</title><p>\u042f</p>".encode("koi8-r"))
    items = list(ItemSource(tmp_path, ("*.html",), encoding="koi8-r").items())
    assert [(item.text, item.metadata["title"]) for item in items] == [("\u042f", "\u0426")] * 2
