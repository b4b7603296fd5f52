"""The folder where systemd looks for a user's units: ours are written, listed and removed there, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from asyncrun.errors import OutputError, StorageError, os_words
from asyncrun.schedule.crontab import Entry
from asyncrun.schedule.systemd import PREFIX, Units

WRITTEN = "# Written by `asyncrun cron add`"


def home(environ: Mapping[str, str]) -> Path:
    """Return the user's home."""
    return Path(environ.get("HOME") or Path.home())


def units_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder (systemd.unit(5)): $XDG_CONFIG_HOME/systemd/user, by default under ~/.config."""
    above = environ.get("XDG_CONFIG_HOME") or str(home(environ) / ".config")
    return Path(above) / "systemd" / "user"


def write_units(folder: Path, units: Units) -> list[Path]:
    """Write both files and return their paths. Raises OutputError."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.files.items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise OutputError(f"cannot write units to {folder}: {os_words(error)}", hint="Make the folder writable.") from error
    return paths


def read_units(folder: Path) -> list[Entry]:
    """Return the timers of ours, by name, with their calendar lines and what their services run. Raises StorageError."""
    entries = []
    try:
        for timer in sorted(folder.glob(f"{PREFIX}*.timer")):
            text = timer.read_text(encoding="utf-8", errors="replace")
            if text.startswith(WRITTEN):
                service = timer.with_suffix(".service")
                command = _values(service.read_text(encoding="utf-8", errors="replace"), "ExecStart") if service.exists() else []
                entries.append(Entry(timer.stem.removeprefix(PREFIX), "; ".join(_values(text, "OnCalendar")), " ".join(command)))
    except OSError as error:
        raise StorageError(f"cannot read the units of {folder}: {os_words(error)}", hint="Make the folder readable.") from error
    return entries


def remove_units(folder: Path, name: str) -> list[Path]:
    """Delete both files of an entry of ours, and the link by which it was enabled; return the paths. Raises StorageError."""
    link = folder / "timers.target.wants" / f"{PREFIX}{name}.timer"
    paths = [folder / f"{PREFIX}{name}.timer", folder / f"{PREFIX}{name}.service"]
    try:
        for path in [*([link] if link.is_symlink() else []), *paths]:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as error:
        raise StorageError(f"cannot remove the units of {folder}: {os_words(error)}", hint="Make the folder writable.") from error
    return paths


def _values(text: str, key: str) -> list[str]:
    return [line.removeprefix(f"{key}=") for line in text.splitlines() if line.startswith(f"{key}=")]
