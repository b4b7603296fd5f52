"""A kill -9 in the middle of writing leaves the former output, and the next run clears up; a closed pipe ends in silence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import first

WRITE_FOREVER = Path(__file__).resolve().parents[1] / "programs" / "write_forever.py"

WRITE_TO_STDOUT = Path(__file__).resolve().parents[1] / "programs" / "write_to_stdout.py"


@pytest.mark.parametrize("name", first(["out.jsonl", "out.parquet", "out.csv", "out.npy"]))
def test_a_kill_in_the_middle_leaves_the_former_output(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    output.write_bytes(b"former")
    with subprocess.Popen([sys.executable, str(WRITE_FOREVER), str(output)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert output.read_bytes() == b"former"
    left = max((path for path in tmp_path.iterdir() if path != output), key=lambda path: path.stat().st_size)
    assert left.stat().st_size > 0

    opening = "from asyncrun.writers.interface import open_writer"
    again = f"import sys; from pathlib import Path; {opening}; open_writer(Path(sys.argv[1])).commit()"
    subprocess.run([sys.executable, "-c", again, str(output)], check=True)
    assert sorted(tmp_path.iterdir()) == sorted({output, output.with_name("out.ids.txt")} if name == "out.npy" else {output})
    assert output.read_bytes() != b"former"


def test_a_reader_that_leaves_early_gets_its_lines_and_no_complaint() -> None:
    with subprocess.Popen([sys.executable, str(WRITE_TO_STDOUT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'{"id":"0"}\n'
        process.stdout.close()
        assert process.stderr.read() == b"done\n"
        assert process.wait() == os.EX_OK
