"""What is promised about an output file: whole or not at all, and the former one until then."""

import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asyncrun.errors import AsyncrunError, OutputError, StorageError
from asyncrun.writers.atomic import AtomicFile


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """A disk with little room: Python turns the signal off, so that the write fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_former_file_stays_until_commit(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"former")
    file = AtomicFile(path)
    file.write(b"x" * 3_000_000)
    assert path.read_bytes() == b"former"
    file.write(b"end")
    file.commit()
    file.abort()
    assert path.read_bytes() == b"x" * 3_000_000 + b"end"
    assert names(tmp_path) == ["out.jsonl"]


def test_abort_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"former")
    file = AtomicFile(path)
    file.write(b"x" * 3_000_000)
    file.abort()
    file.abort()
    assert path.read_bytes() == b"former"
    assert names(tmp_path) == ["out.jsonl"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    file = AtomicFile(tmp_path / "a/b/out.jsonl")
    file.commit()
    assert (tmp_path / "a/b/out.jsonl").read_bytes() == b""


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o000, 0o666), (0o077, 0o600)])
def test_permissions_follow_the_umask_also_over_a_former_file(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "new/out.jsonl"
    for former in (None, 0o640):
        if former is not None:
            path.chmod(former)
        with umask(mask):
            AtomicFile(path).commit()
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~mask


def test_a_symbolic_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "out.jsonl"
    for content in (b"first", b"second"):
        link.unlink(missing_ok=True)
        link.symlink_to("real/data.jsonl")
        file = AtomicFile(link)
        file.write(content)
        file.commit()
        assert link.is_symlink()
        assert (tmp_path / "real/data.jsonl").read_bytes() == content
    assert names(tmp_path / "real") == ["data.jsonl"]


@pytest.mark.parametrize(
    "name", ["folder", "file/out.jsonl", "x" * 300 + ".jsonl", "loop", "pipe", "/dev/null", "a\0b", "/proc/none/out.jsonl"]
)
def test_what_cannot_be_an_output_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        AtomicFile(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: the output cannot be created: ")
    assert caught.value.exit_code == 73
    assert names(tmp_path) == before


def test_the_longest_name_that_a_file_can_have_is_taken(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 124 + ".jsonl")
    AtomicFile(path).commit()
    assert names(tmp_path) == [path.name]


def test_a_folder_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        root = os.geteuid() == 0
        if root:  # Root may write everywhere: act as nobody meanwhile.
            os.seteuid(65534)
        try:
            with pytest.raises(OutputError, match="Permission denied"):
                AtomicFile(Path(name) / "out.jsonl")
        finally:
            if root:
                os.seteuid(0)
            Path(name).chmod(0o755)


def test_a_full_disk_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"former")
    file = AtomicFile(path)
    file.write(b"x" * 900_000)
    with file_size_limit(500_000), pytest.raises(StorageError) as caught:
        file.commit()
    file.abort()
    assert caught.value.exit_code == 74
    assert str(caught.value) == f"{path}: the output cannot be written: File too large"
    assert path.read_bytes() == b"former"
    assert names(tmp_path) == ["out.jsonl"]


def test_what_dead_runs_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    alive = AtomicFile(path)
    alive.write(b"alive")
    (others,) = [name for name in names(tmp_path) if name.endswith(".tmp")]
    left = [".out.jsonl.0123456789abcdef.tmp"]
    kept = [".out.jsonl.backup.tmp", ".other.jsonl.0123456789abcdef.tmp", "out.jsonl.0123456789abcdef.tmp"]
    for name in left + kept:
        (tmp_path / name).write_bytes(b"")
    second = AtomicFile(path)
    second.abort()
    assert names(tmp_path) == sorted([*kept, others])
    alive.commit()
    assert path.read_bytes() == b"alive"


def test_a_closed_file_takes_no_more(tmp_path: Path) -> None:
    file = AtomicFile(tmp_path / "out")
    file.abort()
    with pytest.raises(AsyncrunError):
        file.commit()
    assert names(tmp_path) == []
