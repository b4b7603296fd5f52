"""`asyncrun batches`: what lies at a provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.errors import UsageError

if TYPE_CHECKING:
    from asyncrun.app.request import Request
    from asyncrun.ui.batches import BatchListing

JobFileFlag = Annotated[
    Path | None, typer.Option("-f", "--file", metavar="FILE", help="The job file.", show_default="asyncrun.yaml or jobs.yaml")
]


def batches(options: GlobalOptions, file: JobFileFlag = None) -> int:
    """Show what lies at a provider, or ask for its end. Without a command: the list.

    Example: asyncrun batches
    """
    return list_batches(options, file)


def list_batches(options: GlobalOptions, file: JobFileFlag = None) -> int:
    """List our batches at providers. Also those of jobs that have changed since, and those that this ledger does not know.

    Example: asyncrun batches list -f jobs.yaml --json
    """
    from asyncrun.app.batch_listing import list_batches
    from asyncrun.cli._output import print_answer, print_document, width
    from asyncrun.clock import SystemClock
    from asyncrun.ui.batches import listing_document, render_listing

    listing = list_batches(_request(options, file, "batches list"))
    if options.json:
        print_document(listing_document(listing))
    elif not options.quiet:
        print_answer(render_listing(listing, SystemClock().now(), width()), sentences=True)
    return _end(listing)


def cancel(
    options: GlobalOptions,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG...", help="Tags of batches, or how they begin.")] = None,
    file: JobFileFlag = None,
    every: Annotated[bool, typer.Option("--all", help="All that wait and that this ledger knows.")] = False,
) -> int:
    """Ask providers for the end of batches. The next run collects what they have done, which is paid, and sends the rest again.

    Example: asyncrun batches cancel --all -f jobs.yaml
    """
    from asyncrun.app.batch_listing import cancel_batches
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.batches import listing_document, render_cancelled

    if every == bool(tags):
        raise UsageError("which batches?", hint="Name their tags, or say --all: asyncrun batches list shows them.")
    listing = cancel_batches(_request(options, file, "batches cancel TAG"), tags or [], every=every)
    if options.json:
        print_document(listing_document(listing))
    elif not options.quiet:
        print_answer(render_cancelled(listing.batches))
    return _end(listing)


def _request(options: GlobalOptions, file: Path | None, command: str) -> Request:
    from asyncrun.cli._requests import build_request, only_job_file

    return build_request(options, only_job_file(None if file is None else str(file), f"{command} -f jobs.yaml"), [])


def _end(listing: BatchListing) -> int:
    from asyncrun.cli._output import print_answer

    for problem in listing.problems:
        print_answer(f"asyncrun: {problem}", to_stderr=True)
    return listing.exit_code
