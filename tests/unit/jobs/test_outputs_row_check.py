"""An output takes its place only with the rows of what is done: each once, in input order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from asyncrun.errors import DamagedStateError
from asyncrun.jobs.outputs import JobOutput, new_row_ids
from asyncrun.writers.interface import open_writer

DONE = ("a", "b", "c")


def rows(ids: Sequence[str]) -> list[Mapping[str, Any]]:
    return [{"id": each, "embedding": [0.5], "text": each, "metadata": {}} for each in ids]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "npy", "parquet"])
@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("ab", "would have 2 rows, and 3 items are done"),
        ("abca", "would have 4 rows, and 3 items are done"),
        ("", "would have 0 rows, and 3 items are done"),
        ("acb", "row 2 of out.* is not that of the item that is done"),
        ("abd", "row 3 of out.* is not that of the item that is done"),
        ("aab", "row 2 of out.* is not that of the item that is done"),
    ],
)
def test_rows_other_than_those_of_what_is_done_leave_the_former_file(tmp_path: Path, ending: str, written: str, words: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"out.{ending}"
    output = JobOutput(path, path.name, ending, lambda: open_writer(path))
    output.write_rows(rows(DONE), row_ids(DONE))
    former = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(DamagedStateError, match=words) as caught:
        output.write_rows(rows(written), row_ids(DONE))
    assert caught.value.exit_code == 74
    assert "Run the same command again" in (caught.value.hint or "")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == former


def row_ids(ids: Sequence[str]) -> Any:
    found = new_row_ids()
    for each in ids:
        found.append(hash(each))
    return found
