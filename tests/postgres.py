"""A real PostgreSQL with pgvector for tests: made in a folder, on a socket there and a port of loopback, and gone with its folder.

`python scripts/postgres.py start` runs one for contributors.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.ports import free_port

USER, DATABASE = "asyncrun", "postgres"
PASSWORD = "p@ss:w/o?r#d %41'\"\\&=é"
"""Every character that an address gives a meaning to."""
START, STOP = 60, 30
"""Seconds that the server may take."""


@dataclass(frozen=True)
class PostgresServer:
    """A server in `folder`; whoever comes by the socket needs no password, whoever comes by the port does."""

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> PostgresServer:
        """Make a database in an empty folder and start its server. As root it runs as nobody, because PostgreSQL refuses root."""
        server = cls(folder, free_port())
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)
        made = ("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        server.call("initdb", "-D", str(server.data), "-U", USER, f"--pwfile={folder / 'password'}", *made)
        server.start()
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The address of the socket."""
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.folder), safe='')}&port={self.port}"

    def url_with(self, password: str = PASSWORD, *, user: str = USER, database: str = DATABASE) -> str:
        """Return the address of the port."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        # What a test needs is not that the disk has it when the power fails.
        settings = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=50"
        log = ("-l", str(self.folder / "log"))
        try:
            self.call("pg_ctl", "-D", str(self.data), "-w", "-t", str(START), *log, "-o", settings, "start")
        except RuntimeError as error:
            raise RuntimeError(f"{error}{(self.folder / 'log').read_text(errors='replace')}") from None

    def stop(self) -> None:
        """Stop the server at once, as `immediate` does: whoever is connected is told, and it recovers when it is started again."""
        if not (self.data / "postmaster.pid").exists():
            return
        self.call("pg_ctl", "-D", str(self.data), "-w", "-t", str(STOP), "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill the server and all of its processes as a power cut would, and wait until they are gone."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        # Stopped first: a server that still runs could begin a process that is not in the list, which would hold its memory.
        with_signal(pid, signal.SIGSTOP)
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout.split()
        processes = [pid, *map(int, children)]
        for each in processes:
            with_signal(each, signal.SIGKILL)
        ends = time.monotonic() + STOP
        while any(map(runs, processes)):
            if time.monotonic() > ends:
                raise RuntimeError(f"PostgreSQL's process {pid} or one of its own is still there")
            time.sleep(0.01)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder of a server that is stopped."""
        shutil.rmtree(self.folder)

    def run(self, statement: str, database: str = DATABASE) -> list[list[str]]:
        """Run SQL as the user that owns all; return the rows."""
        place = ("-h", str(self.folder), "-p", str(self.port), "-U", USER, "-d", database)
        told = self.call("psql", *place, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement)
        return [line.split("|") for line in told.splitlines()]

    def call(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as the user that owns the database. Raises RuntimeError with what it says."""
        command = [str(programs() / program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "nobody", "--", *command]
        # A file and no pipe: the server that pg_ctl leaves running would hold it open.
        with tempfile.TemporaryFile() as told:
            ended = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=told, stderr=told, check=False)
            told.seek(0)
            words = told.read().decode(errors="replace")
        if ended.returncode:
            raise RuntimeError(f"{program}: {words}")
        return words


def with_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def runs(pid: int) -> bool:
    """Tell whether a process is there and not only waits for its parent to ask how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def programs() -> Path:
    """Return the folder of the newest PostgreSQL on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if (other := shutil.which("initdb")) is not None:
        return Path(other).resolve().parent
    raise RuntimeError("no PostgreSQL here: install postgresql and postgresql-VERSION-pgvector")


def make_folder() -> Path:
    """Return a new folder that another user can reach; sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="asyncrun-pg-", dir="/tmp"))
    folder.chmod(0o711 if os.getuid() == 0 else 0o700)
    return folder
