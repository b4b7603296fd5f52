"""A PostgreSQL with pgvector to try things on: `python scripts/postgres.py start` prints its address, `stop` ends it and deletes it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.postgres import PostgresServer, make_folder

NOTE = Path(tempfile.gettempdir()) / f"asyncrun-postgres-{os.getuid()}"
"""Holds the folder and the port of the one that runs."""


def main() -> int:
    """Start or stop it."""
    match sys.argv[1:]:
        case ["start"]:
            if NOTE.exists():
                print(f"one runs already: {running().url}")
                return 1
            server = PostgresServer.make(make_folder())
            NOTE.write_text(f"{server.folder}\n{server.port}\n")
            print(server.url)
        case ["stop"]:
            if not NOTE.exists():
                print("none runs")
                return 1
            server = running()
            server.stop()
            shutil.rmtree(server.folder)
            NOTE.unlink()
        case _:
            print(__doc__)
            return 2
    return 0


def running() -> PostgresServer:
    """Return the server that the note is about."""
    folder, port = NOTE.read_text().split()
    return PostgresServer(Path(folder), int(port))


if __name__ == "__main__":
    sys.exit(main())
