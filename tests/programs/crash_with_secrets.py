"""The command line, where an embed job ends with an error that nobody expects, with secrets in its words: a file, and a key."""

import sys
from pathlib import Path

from asyncrun.cli import main
from asyncrun.jobs.embed.run import EmbedRun

keys, key = sys.argv.pop(1), sys.argv.pop(1)


async def crash(*_):
    try:
        raise ValueError(Path(keys).read_text())
    except ValueError as error:
        raise RuntimeError(f"Bearer {key}") from error


EmbedRun.run = crash
main()
