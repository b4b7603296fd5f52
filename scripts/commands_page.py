"""Writes docs/commands.md from what `--help` of every command says.

Usage: `python scripts/commands_page.py` writes it, `--check` says whether it is up to date (exit code 1 if not).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asyncrun.cli._app import SHARED_FLAGS_NOTE, build_app
from asyncrun.cli._settings import SETTINGS, twin

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
HEAD = """\
# Commands and settings

Written by `scripts/commands_page.py` from what `--help` says. FILE is `asyncrun.yaml`, or else `jobs.yaml`, where none is named.
RUN is an id, the beginning of one, `latest` or `latest~N`. The global flags (`--quiet` to `--help` in the first list below) stand
before or after the name of a command.

`asyncrun --install-completion` teaches your shell to complete commands, job files, the names of jobs and the ids of runs.

## Settings

A setting is looked for in this order: flag, environment, job file, user config, default. The environment has `ASYNCRUN_` and the
flag in capitals; a variable that is set to nothing counts as unset. The user config is `$XDG_CONFIG_HOME/asyncrun/config.toml`,
`~/.config/asyncrun/config.toml` without that variable:

```toml
color = "never"
env-file = "~/keys.env"
workers = 8
```

Paths in it are absolute or begin with `~/`. `workers` and `max-runtime` hold there for each job that states none itself; as a
flag or a variable they hold for the whole run. What spends or deletes, such as `--refresh`, `--max-cost` or `--max-delete`, is
given in each call, and has no twin. The file is read at every call: a mistake in it ends with 2.

"""


def render_page() -> str:
    """Return the page."""
    app: Any = build_app()
    rows = [
        f"| `--{name}` | `{twin(name)}` | {_takes(setting.takes)} | {', '.join(setting.commands) or 'all'} |"
        for name, setting in SETTINGS.items()
    ]
    table = ["| flag | variable | user config takes | commands |", "|---|---|---|---|", *rows]
    return HEAD + "\n".join(table) + "\n" + "".join(_sections(app, "asyncrun", None))


def _takes(takes: str | tuple[str, ...]) -> str:
    return takes if isinstance(takes, str) else ", ".join(json.dumps(word) for word in takes)


def _sections(command: Any, name: str, above: Any, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the help of a command and of those below it, without the flags that are known already."""
    context = command.context_class(command, info_name=name, parent=above, terminal_width=80, max_content_width=80)
    shown = [
        line for line in command.get_help(context).removesuffix(SHARED_FLAGS_NOTE).rstrip().splitlines() if _squeezed(line) not in known
    ]
    text = "\n".join(shown).replace("\nOptions:\n\n", "\n").removesuffix("\nOptions:").rstrip()
    yield f"\n## {context.command_path}\n\n```text\n{text}\n```\n"
    flags = known or frozenset(_squeezed(line) for line in shown if line.startswith("  -"))
    for below, found in getattr(command, "commands", {}).items():
        yield from _sections(found, below, context, flags)


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def main() -> int:
    """Write the page, or only tell whether it is up to date."""
    os.environ["COLUMNS"] = "80"
    page = render_page()
    if "--check" not in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page:
        return 0
    print("docs/commands.md is out of date; run: python scripts/commands_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
