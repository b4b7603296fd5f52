"""The contract suite of writers: subclass `WriterContract`, say which writer it is and how its files are read, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from asyncrun.errors import OutputError
from asyncrun.writers.interface import Writer

OpenWriter: TypeAlias = Callable[[Path, Sequence[str] | None], Writer]


def make_rows(count: int) -> list[dict[str, Any]]:
    """Return rows as an embed job has them."""
    vectors = np.array([[at, 0.1, -1e-30] for at in range(count)], np.float32)
    text = 'gr\u00fc\u00dfe, "quoted"\n'
    return [{"id": f"id-{at}", "embedding": vectors[at], "text": text, "metadata": {"year": at}} for at in range(count)]


class WriterContract:
    """What every writer promises. The fixture `open_writer` returns the writer, `ids_in` reads the ids of a file's rows.

    >>> import json
    >>> from asyncrun.registry import load
    >>> class TestMine(WriterContract):
    ...     @pytest.fixture
    ...     def open_writer(self):
    ...         return load("writers", "jsonl")
    ...     def ids_in(self, path):
    ...         return [json.loads(line)["id"] for line in path.read_text().splitlines()]
    """

    @pytest.fixture
    def open_writer(self) -> OpenWriter:
        """Return what makes a writer of a path and columns."""
        raise NotImplementedError

    def ids_in(self, path: Path) -> list[str]:
        """Return the ids of the rows of a file that was written, in its order."""
        raise NotImplementedError

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Return where the output goes; its folder is not there yet."""
        return tmp_path / "new" / "output.file"

    def write(self, open_writer: OpenWriter, path: Path, count: int) -> None:
        writer = open_writer(path, None)
        for row in make_rows(count):
            writer.write(row)
        writer.commit()

    @pytest.mark.parametrize("count", [1, 3, 2500])
    def test_every_row_is_there_in_its_order(self, open_writer: OpenWriter, path: Path, count: int) -> None:
        self.write(open_writer, path, count)
        assert self.ids_in(path) == [f"id-{at}" for at in range(count)]

    def test_the_former_file_is_there_until_the_new_one_takes_its_place(self, open_writer: OpenWriter, path: Path) -> None:
        self.write(open_writer, path, 3)
        writer = open_writer(path, None)
        writer.write(make_rows(1)[0])
        assert len(self.ids_in(path)) == 3
        writer.commit()
        assert len(self.ids_in(path)) == 1

    def test_what_is_thrown_away_leaves_the_former_file_and_nothing_beside_it(self, open_writer: OpenWriter, path: Path) -> None:
        self.write(open_writer, path, 3)
        before = sorted(path.parent.iterdir())
        writer = open_writer(path, None)
        writer.write(make_rows(1)[0])
        writer.abort()
        writer.abort()
        assert sorted(path.parent.iterdir()) == before
        assert len(self.ids_in(path)) == 3

    def test_to_throw_away_after_the_end_changes_nothing(self, open_writer: OpenWriter, path: Path) -> None:
        writer = open_writer(path, None)
        writer.write(make_rows(1)[0])
        writer.commit()
        writer.abort()
        assert self.ids_in(path) == ["id-0"]

    def test_an_output_that_cannot_be_created_is_found_before_the_first_row(self, open_writer: OpenWriter, path: Path) -> None:
        path.parent.write_text("a file where its folder should be")
        with pytest.raises(OutputError):
            open_writer(path, None)
