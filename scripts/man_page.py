"""Writes man/asyncrun.1, the manual page, from what `--help` of every command and docs/exit-codes.md say.

Usage: `python scripts/man_page.py` writes it, `--check` says whether it is up to date (exit code 1 if not).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asyncrun.cli._app import build_app
from asyncrun.cli._settings import SETTINGS, twin

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "man" / "asyncrun.1"
ABOUT = "embed, ingest and query text in bulk: resumable, rate-limited, traced"
DESCRIPTION = """\
A YAML file names the jobs; one command runs them. What is finished is durable before it is reported: after a crash, kill -9 or
Ctrl-C the same command goes on, and nothing that is finished is sent or paid for twice. FILE is asyncrun.yaml, or else jobs.yaml,
where none is named. RUN is an id, the beginning of one, latest or latest~N."""
FILES = {
    "asyncrun.yaml, jobs.yaml": "The job file.",
    ".asyncrun/": "Beside the job file: what is finished, traces, locks. Deleting it loses nothing but time and money.",
    "~/.config/asyncrun/config.toml": "Settings of the user; flags, the environment and the job file come before them.",
}


def render_page() -> str:
    """Return the page as troff, with the macros of man(7)."""
    app: Any = build_app()
    context = app.context_class(app, info_name="asyncrun")
    common = {flag for parameter in app.get_params(context) for flag in parameter.opts}
    lines = ['.TH ASYNCRUN 1 "" "asyncrun" "User Commands"', ".SH NAME", f"asyncrun \\- {plain(ABOUT)}"]
    lines += [".SH SYNOPSIS", ".B asyncrun", "[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]"]
    lines += [".SH DESCRIPTION", plain(" ".join(DESCRIPTION.split())), ".SH OPTIONS", *options(app, context, frozenset())]
    lines += [".SH COMMANDS", *commands(app, context, frozenset(common)), ".SH EXIT STATUS"]
    for code, meaning in exit_codes():
        lines += [".TP", f".B {plain(code)}", plain(meaning)]
    lines += [".SH ENVIRONMENT"]
    for name in SETTINGS:
        lines += [".TP", f".B {plain(twin(name))}", f"As {plain(f'--{name}')}, which comes before it."]
    lines += [".TP", ".B NO_COLOR, FORCE_COLOR", "No colour; colour also where there is no terminal.", ".SH FILES"]
    for path, meaning in FILES.items():
        lines += [".TP", f".I {plain(path)}", plain(meaning)]
    return "\n".join(lines) + "\n"


def options(command: Any, context: Any, known: frozenset[str]) -> Iterator[str]:
    """Yield the flags of a command that are not known already."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if parameter.param_type_name == "option" and record is not None and not known & {*parameter.opts}:
            yield from (".TP", f".B {plain(record[0])}", plain(" ".join(record[1].split())))


def commands(group: Any, above: Any, known: frozenset[str]) -> Iterator[str]:
    """Yield the commands of a group and those below them, each with its own flags."""
    for name, command in group.commands.items():
        context = command.context_class(command, info_name=name, parent=above)
        words = command.collect_usage_pieces(context)
        about, _, example = (command.help or "").partition("Example:")
        yield from (f'.SS "{plain(" ".join([context.command_path, *words]))}"', plain(" ".join(about.split())))
        yield from options(command, context, known)
        if example:
            yield from (".PP", "Example:", ".B " + plain(" ".join(example.split())))
        yield from commands(command, context, known) if hasattr(command, "commands") else ()


def exit_codes() -> list[tuple[str, str]]:
    """Return the exit codes and what they mean, as docs/exit-codes.md has them."""
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (\d[\d, ]*) \| (.+) \|$", page.replace("`", ""), re.MULTILINE)


def plain(text: str) -> str:
    """Return a text as troff prints it letter by letter."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace('"', "\\(dq")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def main() -> int:
    """Write the page, or only tell whether it is up to date."""
    os.environ["COLUMNS"] = "80"
    page = render_page()
    if "--check" not in sys.argv:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print("man/asyncrun.1 is out of date; run: python scripts/man_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
