"""How an output's name tells its format."""

import io
import sys
from pathlib import Path

import pytest

from asyncrun.errors import MissingExtraError, OutputError, UsageError
from asyncrun.writers.interface import open_writer


def test_the_ending_tells_the_format(tmp_path: Path) -> None:
    for name, start in (("a.jsonl", b'{"id"'), ("a.NDJSON", b'{"id"'), ("a.parquet", b"PAR1")):
        writer = open_writer(tmp_path / name)
        writer.write({"id": "x"})
        writer.commit()
        assert (tmp_path / name).read_bytes().startswith(start)


def test_a_format_that_is_named_wins(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "a.txt", "jsonl", columns=["id"])
    writer.write({"id": "x", "text": "y"})
    writer.commit()
    assert (tmp_path / "a.txt").read_bytes() == b'{"id":"x"}\n'


def test_a_dash_is_standard_output() -> None:
    stream = io.BytesIO()
    writer = open_writer("-", None, stream)
    writer.write({"id": "x"})
    writer.commit()
    assert stream.getvalue() == b'{"id":"x"}\n'


@pytest.mark.parametrize(("output", "format"), [("-", "parquet"), ("a.xyz", None), ("a", None), ("a.jsonl", "xyz")])
def test_a_format_that_nobody_offers_is_a_mistake(tmp_path: Path, output: str, format: str | None) -> None:
    with pytest.raises(UsageError):
        open_writer(output if output == "-" else tmp_path / output, format, io.BytesIO())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_an_output_can_be_tried_before_the_first_row(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"former")
    open_writer(tmp_path / name).abort()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"former"]
    with pytest.raises(OutputError):
        open_writer(tmp_path / name / name)


def test_a_format_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asyncrun.writers.parquet", raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        open_writer(tmp_path / "a.parquet")
    assert "asyncrun[parquet]" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
