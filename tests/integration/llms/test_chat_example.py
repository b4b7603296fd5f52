"""The example of a chat runs as it stands, without a key and without a network."""

import os
import subprocess
import sys
from pathlib import Path

from asyncrun.testing.chat import answer_of

EXAMPLE = Path(__file__).resolve().parents[3] / "examples/chat_in_a_terminal.py"


def test_a_chat_answers_each_line_and_ends_with_an_empty_one():
    environ = {name: value for name, value in os.environ.items() if name not in {"OPENAI_API_KEY", "OPENAI_BASE_URL", "CHAT_MODEL"}}
    told = "Why?\nAnd now?\n\nnever read\n"
    command = [sys.executable, "-W", "error", str(EXAMPLE)]
    ended = subprocess.run(command, input=told, capture_output=True, text=True, check=False, env=environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    first = answer_of(["Why?"])
    second = answer_of(["Why?", first, "And now?"])
    assert ended.stdout.splitlines() == [f"{first}  [stop, 6 tokens]", f"{second}  [stop, 13 tokens]"]
