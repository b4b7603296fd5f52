"""Settings beside flags: their twins in the environment, and the user config. What spends or deletes is never one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from asyncrun.errors import Place, UsageError, os_words
from asyncrun.humanize import did_you_mean


class KnownSetting(NamedTuple):
    """One setting: what it takes (`flag`, `path`, `text`, `number`, or one of some words), and the commands whose flag it is."""

    takes: str | tuple[str, ...]
    commands: tuple[str, ...] = ()


WHEN = ("auto", "always", "never")
GLOBAL: Mapping[str, KnownSetting] = {
    "quiet": KnownSetting("flag"),
    "verbose": KnownSetting("flag"),
    "json": KnownSetting("flag"),
    "progress": KnownSetting(WHEN),
    "color": KnownSetting(WHEN),
    "state-dir": KnownSetting("path"),
    "env-file": KnownSetting("path"),
    "debug": KnownSetting("flag"),
}
"""Settings of every command, by the names of their flags."""
OWN: Mapping[str, KnownSetting] = {
    "workers": KnownSetting("number", ("run",)),
    "max-runtime": KnownSetting("text", ("run",)),
    "if-running": KnownSetting("text", ("run",)),
    "fail-fast": KnownSetting("flag", ("run",)),
    "executor": KnownSetting("text", ("run",)),
    "summary-file": KnownSetting("path", ("run",)),
    "metrics-file": KnownSetting("path", ("run",)),
    "log-file": KnownSetting("path", ("run",)),
    "handlers": KnownSetting("text", ("run", "embed", "generate", "retry")),
    "embedder": KnownSetting("text", ("embed",)),
    "llm": KnownSetting("text", ("generate",)),
    "strict": KnownSetting("flag", ("validate",)),
}
"""Settings of one command each."""
SETTINGS: Mapping[str, KnownSetting] = {**GLOBAL, **OWN}
_TYPES: Mapping[str, tuple[type, str]] = {
    "flag": (bool, "true or false"),
    "text": (str, "a text"),
    "path": (str, 'an absolute path as a text, or one that begins with "~/"'),
    "number": (int, "a whole number of 1 or more"),
}
_YES, _NO = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


def twin(flag: str) -> str:
    """Return the variable that stands for a flag.

    >>> twin("max-runtime")
    'ASYNCRUN_MAX_RUNTIME'
    """
    return f"ASYNCRUN_{flag.upper().replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class Config:
    """The user config: settings by the names of their flags, and the file that they stand in (it need not be there)."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)

    def for_commands(self) -> dict[str, dict[str, Any]]:
        """Return the commands' own settings, by command and parameter."""
        found: dict[str, dict[str, Any]] = {}
        for name, value in self.values.items():
            for command in SETTINGS[name].commands:
                found.setdefault(command, {})[name.replace("-", "_")] = value
        return found


def config_file(environ: Mapping[str, str]) -> Path:
    """Return where the user config is looked for (XDG Base Directory Specification: a relative XDG_CONFIG_HOME is ignored).

    >>> config_file({"XDG_CONFIG_HOME": "/home/me/.config"})
    PosixPath('/home/me/.config/asyncrun/config.toml')
    """
    home = environ.get("XDG_CONFIG_HOME", "")
    folder = Path(home) if home.startswith("/") else Path(environ.get("HOME") or "/", ".config")
    return folder / "asyncrun" / "config.toml"


def load_config(environ: Mapping[str, str]) -> Config:
    """Return the user config; nothing is in it where there is no file. Raises UsageError for the first mistake in it."""
    path = config_file(environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Config(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the user config cannot be read: {os_words(error)}", place=Place(str(path)), hint="Mend or remove it.") from error
    import tomllib

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", place=Place(str(path)), hint="Correct the user config.") from error
    home = environ.get("HOME") or "/"
    return Config(path, {name: _checked(name, value, path, home) for name, value in found.items()})


def globals_of(config: Config, environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of every command that are not the default, by parameter, and where each comes from: environment, user config.

    A variable that is set to nothing counts as unset. Raises UsageError for a variable with a wrong value.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, setting in GLOBAL.items():
        parameter, variable = name.replace("-", "_"), environ.get(twin(name))
        if variable:
            values[parameter], sources[parameter] = _from_environment(name, variable, setting), "environment"
        elif name in config.values:
            value = config.values[name]
            values[parameter], sources[parameter] = Path(value) if setting.takes == "path" else value, "user config"
    return values, sources


def stated_for_commands(config: Config, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the settings of single commands that are not the default, as a flag of the command, and where each comes from."""
    for name, setting in OWN.items():
        stated = [(environ.get(twin(name)), "environment"), (config.values.get(name), "user config")]
        value, source = next(((value, source) for value, source in stated if value not in (None, "")), (None, ""))
        if value is not None:
            yield f"{' '.join(setting.commands)} --{name}", str(value), source


def _from_environment(name: str, text: str, setting: KnownSetting) -> Any:
    takes = setting.takes
    if takes == "path":
        return Path(text)
    if takes == "flag" and text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    if isinstance(takes, tuple) and text in takes:
        return text
    allowed = ", ".join(takes) if isinstance(takes, tuple) else "1 or 0"
    raise UsageError(f"{twin(name)} takes {allowed}, not {text!r}", hint="Correct or unset the variable.")


def _checked(name: str, value: object, path: Path, home: str) -> Any:
    place = Place(str(path))
    if name not in SETTINGS:
        guess = did_you_mean(name.replace("_", "-"), SETTINGS)
        raise UsageError(f"{name}: unknown setting; allowed: {', '.join(SETTINGS)}{guess}", place=place, hint="Correct the user config.")
    takes = SETTINGS[name].takes
    if isinstance(takes, tuple):
        right, allowed = value in takes, ", ".join(takes)
    else:
        kind, allowed = _TYPES[takes]
        right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if takes == "number":
        right = right and isinstance(value, int) and value > 0
    if takes == "path" and isinstance(value, str):
        value = os.path.join(home, value[2:]) if value.startswith("~/") else value  # noqa: PTH118  # of texts
        right = value.startswith("/")
    if not right:
        raise UsageError(f"{name} takes {allowed}", place=place, hint="Correct the user config.")
    return value
