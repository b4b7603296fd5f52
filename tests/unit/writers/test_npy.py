"""What NumPy outputs promise: vectors and ids that belong together, or none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import OutputError, UsageError
from asyncrun.writers.atomic import AtomicFile
from asyncrun.writers.npy import NpyWriter

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def write(path: Path, ids: list[str], dimensions: int = 3) -> None:
    writer = NpyWriter(path)
    for number, name in enumerate(ids):
        writer.write({"id": name, "embedding": np.full(dimensions, number, dtype=np.float32), "text": "t", "metadata": {}})
    writer.commit()


@given(st.lists(TEXT, max_size=12))
def test_line_i_of_the_ids_belongs_to_row_i(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    path = tmp_path_factory.mktemp("npy") / "notes.npy"
    write(path, ids)
    vectors = np.load(path)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(ids), 3 if ids else 0)
    assert [row[0] for row in vectors.tolist()] == list(range(len(ids)))
    lines = path.with_name("notes.ids.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line) if line.startswith('"') else line for line in lines] == ids


def test_plain_ids_stand_there_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "notes.npy", ["docs/a.md", "é 7", "two\nlines", '"quoted"'])
    assert (tmp_path / "notes.ids.txt").read_text() == 'docs/a.md\né 7\n"two\\nlines"\n"\\"quoted\\""\n'


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_kill_at_any_step_of_the_renames_leaves_no_ids_of_other_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    class KilledError(BaseException):
        pass

    write(tmp_path / "notes.npy", ["old 1", "old 2"])
    left = [steps]

    def counted(original: Any) -> Any:
        def step(file: AtomicFile) -> None:
            if not left[0]:
                raise KilledError
            left[0] -= 1
            original(file)

        return step

    for name in ("remove_former", "put_in_place"):
        monkeypatch.setattr(AtomicFile, name, counted(getattr(AtomicFile, name)))
    writer = NpyWriter(tmp_path / "notes.npy")
    writer.write({"id": "new", "embedding": np.zeros(3, dtype=np.float32)})
    with pytest.raises(KilledError):
        writer.commit()
    writer.abort()
    ids = tmp_path / "notes.ids.txt"
    rows = len(np.load(tmp_path / "notes.npy"))
    assert (rows, ids.exists()) == [(2, True), (2, False), (1, False)][steps]


def test_rows_without_embeddings_and_a_choice_of_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no columns"):
        NpyWriter(tmp_path / "a.npy", ["id"])
    writer = NpyWriter(tmp_path / "a.npy")
    with pytest.raises(OutputError, match="no embedding"):
        writer.write({"id": "q", "hits": []})
    writer.abort()
    assert list(tmp_path.iterdir()) == []
