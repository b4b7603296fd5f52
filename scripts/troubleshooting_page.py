"""Write the messages into docs/troubleshooting.md: each error with what it means and the hint that it gives; `--check` compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from asyncrun import errors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- messages -->\n", "<!-- /messages -->"

WORDS = {
    "AuthError": "",
    "BudgetError": "is reached: ",
    "DamagedStateError": "the ledger is damaged",
    "DamagedStoreError": " is damaged: ",
    "EndpointError": "",
    "JobFileError": "did you mean",
    "LockedError": " is going on (",
    "MissingExtraError": "which is not installed",
    "MissingKeyError": "no key",
    "NestedLoopError": "event loop",
    "OutageError": "",
    "OutputError": "cannot be created",
    "QuotaError": "billing or quota, not speed",
    "RefusedDeletionError": "may be deleted (max_delete)",
    "RepliesGoneError": "has no replies of",
    "ResourceError": "no more memory",
    "SpaceMismatchError": "was filled by another embedder than",
    "StopRunError": "a handler has stopped the work",
    "StorageError": "",
    "ThrottledError": "throttled, ",
    "TokenBudgetError": "that they may use",
    "TooManyFailuresError": "may (max_failures)",
    "UnknownRunError": "no run",
    "WorkerLostError": "was lost: ",
}
"""A piece of the sentence by the class of the error; empty where the words are those of a server or of the system."""


def rows() -> Iterator[str]:
    """Yield a row for each error, in the order of exit codes."""
    found = [(getattr(errors, name), words) for name, words in WORDS.items()]
    for kind, words in sorted(found, key=lambda pair: (pair[0].exit_code, pair[1])):
        meaning = (kind.__doc__ or "").partition("\n")[0]
        hint = kind.hint.replace("|", "\\|")
        shown = f"`{words.strip()}`" if words else f"words of {'the system' if issubclass(kind, errors.StorageError) else 'the server'}"
        yield f"| {shown} ({kind.exit_code}) | {meaning} | {hint} |\n"


def page(text: str) -> str:
    """Return the page with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{''.join(rows())}{END}{after}"


def main() -> int:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when the page is not up to date")
    text = PAGE.read_text(encoding="utf-8")
    new = page(text)
    if not parser.parse_args().check:
        PAGE.write_text(new, encoding="utf-8")
        return 0
    if new != text:
        print("docs/troubleshooting.md is not up to date: python scripts/troubleshooting_page.py", file=sys.stderr)
    return int(new != text)


if __name__ == "__main__":
    sys.exit(main())
