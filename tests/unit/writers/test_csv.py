"""What CSV outputs promise; that texts come back is shown in the reader's tests."""

from pathlib import Path

import numpy as np

from asyncrun.writers.csv import CsvWriter


def test_vectors_and_mappings_are_json_and_texts_stay_as_they_are(tmp_path: Path) -> None:
    writer = CsvWriter(tmp_path / "out.csv")
    writer.write({"id": "a", "embedding": np.array([0.1, 2], dtype=np.float32), "text": '=1+1, "q"', "metadata": {"n": 1}})
    writer.write({"id": "@b", "embedding": np.array([-1, 0], dtype=np.float32), "text": "-x", "metadata": None})
    writer.commit()
    assert (tmp_path / "out.csv").read_text() == (
        'id,embedding,text,metadata\na,"[0.1,2.0]","=1+1, ""q""","{""n"":1}"\n@b,"[-1.0,0.0]",-x,\n'
    )


def test_columns_are_chosen_and_ordered(tmp_path: Path) -> None:
    writer = CsvWriter(tmp_path / "out.csv", ["text", "id"])
    writer.write({"id": "a", "text": "", "metadata": {}})
    writer.commit()
    assert (tmp_path / "out.csv").read_text() == 'text,id\n"",a\n'


def test_without_a_row_there_is_a_header(tmp_path: Path) -> None:
    CsvWriter(tmp_path / "out.csv").commit()
    assert (tmp_path / "out.csv").read_text() == "id\n"
