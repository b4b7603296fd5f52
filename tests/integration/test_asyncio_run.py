"""Outside of a running loop `asyncio_run` means what LlamaIndex's means, in a process of its own, with warnings as errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "outside_of_loops.py"
EXPECTED = """the loop is the same True
a task goes on 7
a server answers b''
the set loop is used True
a future is taken 5 False
a closed loop is not used True
after asyncio.run 7
"""


def said_with(*options: str, module: str) -> str:
    command = [sys.executable, *options, str(PROGRAM), module]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert process.stderr == ""
    return process.stdout


def test_the_loop_of_the_thread_is_used_and_stays() -> None:
    assert said_with("-X", "dev", "-W", "error", module="asyncrun") == EXPECTED


@pytest.mark.needs("llama-index")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="no loop is made any more where none is set")
def test_llama_index_does_the_same() -> None:
    assert said_with("-W", "ignore", module="llama_index.core.async_utils") == EXPECTED
