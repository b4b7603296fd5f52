"""The disk is full, slow or closed: nothing more is sent, the exit code says why, and the same command ends it once there is room."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from asyncrun.writers.jsonl import json_line
from tests.depth import first

ITEMS, BATCH, IN_FLIGHT, DIMENSIONS = 320, 8, 2, 256


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(latency=0.01, dimensions=DIMENSIONS).in_thread() as running:
        yield running


def write_job(folder: Path, server: FakeServer, output: str = "out.jsonl") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(ITEMS)))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}}
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": output, "embedder": embedder, "workers": IN_FLIGHT}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def expected() -> bytes:
    rows = ({"id": str(n), "embedding": vector_of(f"text {n}", DIMENSIONS), "text": f"text {n}", "metadata": {}} for n in range(ITEMS))
    return b"".join(map(json_line, rows))


def run(
    folder: Path, *flags: str, before: Callable[[], object] | None = None, stdout: Path | None = None
) -> subprocess.CompletedProcess[str]:
    with (stdout or Path(os.devnull)).open("w") as out:
        return subprocess.run(
            [sys.executable, "-m", "asyncrun", "run", *flags],
            check=False,
            **{"cwd": folder, "stdout": out, "stderr": subprocess.PIPE, "text": True, "timeout": 60, "preexec_fn": before},
        )


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_where_files_may_not_grow_nothing_more_is_sent_and_the_next_run_goes_on(server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server)
    ended = run(tmp_path, before=partial(limit_files, 150_000))
    assert ended.returncode == 74, ended.stderr
    sent = len(server.sent_texts)
    assert 0 < sent < ITEMS
    assert not (tmp_path / "out.jsonl").exists()
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == expected()
    repeated = sum(Counter(server.sent_texts).values()) - ITEMS
    assert repeated <= (IN_FLIGHT + 1) * BATCH


def test_where_not_even_a_ledger_can_be_made_the_reason_is_told(server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server)
    ended = run(tmp_path, before=partial(limit_files, 60_000))
    assert ended.returncode == 74, ended.stderr
    assert "disk I/O error" in ended.stderr
    assert server.requests == []


def test_an_output_that_may_not_grow_leaves_the_former_one(server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server)
    assert run(tmp_path).returncode == 0
    (tmp_path / "out.jsonl").write_text("former\n")
    ended = run(tmp_path, before=partial(limit_files, len(expected()) // 2))
    assert ended.returncode == 74, ended.stderr
    assert (tmp_path / "out.jsonl").read_text() == "former\n"
    assert run(tmp_path).returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == expected()
    assert len(server.sent_texts) == ITEMS


@pytest.mark.needs("mount")
def test_on_a_full_disk_it_stops_and_goes_on_when_there_is_room(server: FakeServer, tmp_path: Path, small_disk: Path) -> None:
    write_job(tmp_path, server)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(300_000))
    ended = run(tmp_path, "--state-dir", str(small_disk / "state"))
    assert ended.returncode == 74, ended.stderr
    assert len(server.sent_texts) < ITEMS
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    ended = run(tmp_path, "--state-dir", str(small_disk / "state"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == expected()


@pytest.mark.needs("mount")
def test_what_cannot_fit_is_refused_before_the_first_call_once_the_size_of_a_vector_is_known(
    server: FakeServer, tmp_path: Path, small_disk: Path
) -> None:
    write_job(tmp_path, server, output="small/out.jsonl")
    ended = run(tmp_path)
    assert ended.returncode == 74, ended.stderr
    assert "nothing more is sent" in ended.stderr
    sent = len(server.sent_texts)
    assert 0 < sent <= (IN_FLIGHT + 1) * BATCH
    ended = run(tmp_path)
    assert ended.returncode == 74
    assert "nothing was sent" in ended.stderr
    assert "are needed in" in ended.stderr
    assert len(server.sent_texts) == sent
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (small_disk / "out.jsonl").read_bytes() == expected()
    assert len(server.sent_texts) == ITEMS


def test_standard_output_on_a_full_device(server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server, output="-")
    ended = run(tmp_path, stdout=Path("/dev/full"))
    assert ended.returncode == 74, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.needs("mount")
def test_an_output_folder_that_cannot_be_written_is_found_before_the_first_call(
    server: FakeServer, tmp_path: Path, small_disk: Path
) -> None:
    write_job(tmp_path, server, output="small/out.jsonl")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert run(tmp_path).returncode == 73
    assert server.requests == []


@pytest.mark.needs("mount")
@pytest.mark.parametrize("there_before", [False, True])
def test_a_state_folder_that_cannot_be_written_is_told_before_the_first_call(
    server: FakeServer, tmp_path: Path, small_disk: Path, there_before: bool
) -> None:
    write_job(tmp_path, server)
    state = small_disk / "state"
    if there_before:
        (state / "locks").mkdir(parents=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    ended = run(tmp_path, "--state-dir", str(state))
    assert ended.returncode == 74
    assert str(state) in ended.stderr
    assert "--state-dir" in ended.stderr
    assert server.requests == []


@pytest.mark.parametrize("output", ["folder.jsonl", "items.jsonl/out.jsonl"])
def test_an_output_that_cannot_be_a_file_is_found_before_the_first_call(server: FakeServer, tmp_path: Path, output: str) -> None:
    write_job(tmp_path, server, output=output)
    (tmp_path / "folder.jsonl").mkdir()
    assert run(tmp_path).returncode in (2, 73)
    assert server.requests == []


def test_missing_parents_of_an_output_are_made(server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server, output="a/b/out.jsonl")
    assert run(tmp_path).returncode == 0
    assert (tmp_path / "a" / "b" / "out.jsonl").read_bytes() == expected()


@pytest.mark.parametrize("mask", first([0o022, 0o000, 0o077]))
def test_the_state_is_private_and_outputs_follow_the_umask(server: FakeServer, tmp_path: Path, mask: int) -> None:
    write_job(tmp_path, server)
    assert run(tmp_path, before=partial(os.umask, mask)).returncode == 0
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o666 & ~mask
    state = tmp_path / ".asyncrun"
    modes = {path.relative_to(tmp_path).as_posix(): oct(path.stat().st_mode & 0o777) for path in (state, *state.rglob("*"))}
    wanted = {name: "0o700" if (tmp_path / name).is_dir() else "0o600" for name in modes}
    assert modes == wanted
