"""`asyncrun trace`: recorded runs, and where their time went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, complete_runs
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.state_folder import existing_state_folder

if TYPE_CHECKING:
    from asyncrun.trace.views.styled_text import StyledText

FileFlag = Annotated[Path | None, typer.Option("-f", "--file", help="The job file, instead of the nearest .asyncrun upward.")]
RunWord = Annotated[str, typer.Argument(metavar="RUN", autocompletion=complete_runs, help="An id, a unique prefix, latest or latest~N.")]
RunStatus = Literal["succeeded", "partial", "failed", "stopped", "cancelled", "running", "unfinished"]


def trace(options: GlobalOptions, file: FileFlag = None) -> int:
    """Show recorded runs: where the time went. Without a command: the latest run.

    Example: asyncrun trace
    """
    return show(options, "latest", file)


def show(options: GlobalOptions, run: RunWord = "latest", file: FileFlag = None) -> int:
    """Show the trace map and the timing summary of a run.

    Example: asyncrun trace show latest~1
    """
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.clock import SystemClock
    from asyncrun.trace.trace_json import trace_document
    from asyncrun.trace.views.runs import render_show

    found, now = read_trace(existing_state_folder(file, options.state_dir), run), SystemClock().now()
    return _answer(options, lambda: trace_document(*found, now), lambda width: render_show(*found, width, now))


def timeline(options: GlobalOptions, run: RunWord = "latest", file: FileFlag = None) -> int:
    """Show what each job had open over time.

    Example: asyncrun trace timeline
    """
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.trace.trace_json import timeline_document
    from asyncrun.trace.views.timeline import render_timeline

    record, spans = read_trace(existing_state_folder(file, options.state_dir), run)
    return _answer(options, lambda: timeline_document(record, spans), lambda width: render_timeline(spans, width))


def slow(
    options: GlobalOptions,
    run: RunWord = "latest",
    file: FileFlag = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many.")] = 10,
) -> int:
    """Show the slowest events of a run, with what they waited for.

    Example: asyncrun trace slow -n 20
    """
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.trace.trace_json import slow_document
    from asyncrun.trace.views.slow_and_failed import render_slow

    record, spans = read_trace(existing_state_folder(file, options.state_dir), run)
    return _answer(options, lambda: slow_document(record, spans, count), lambda width: render_slow(spans, width, count))


def errors(options: GlobalOptions, run: RunWord = "latest", file: FileFlag = None) -> int:
    """Show what failed in a run, and why.

    Example: asyncrun trace errors
    """
    from asyncrun.app.recorded_runs import read_trace
    from asyncrun.trace.trace_json import errors_document
    from asyncrun.trace.views.slow_and_failed import render_errors

    found = read_trace(existing_state_folder(file, options.state_dir), run)
    return _answer(options, lambda: errors_document(*found), lambda width: render_errors(*found, width))


def diff(
    options: GlobalOptions,
    first: Annotated[
        str | None, typer.Argument(metavar="A", autocompletion=complete_runs, help="The earlier run.", show_default="the one before B")
    ] = None,
    second: Annotated[
        str | None, typer.Argument(metavar="B", autocompletion=complete_runs, help="The later run.", show_default="latest")
    ] = None,
    file: FileFlag = None,
) -> int:
    """Show what got slower between two runs, and why. Without names: the latest run, and the one before of the same job file.

    Example: asyncrun trace diff latest~7 latest
    """
    from asyncrun.app.recorded_runs import read_two_traces
    from asyncrun.clock import SystemClock
    from asyncrun.trace.trace_json import diff_document
    from asyncrun.trace.views.diff import render_diff

    before, after = read_two_traces(existing_state_folder(file, options.state_dir), first, second)
    return _answer(options, lambda: diff_document(before, after), lambda width: render_diff(before, after, width, SystemClock().now()))


def list_runs(
    options: GlobalOptions,
    file: FileFlag = None,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only runs with this job.")] = None,
    status: Annotated[RunStatus | None, typer.Option("--status", help="Only runs with this status.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Only runs of this last time, such as 7d.")] = None,
) -> int:
    """List the recorded runs, the latest first.

    Example: asyncrun trace list --job notes --since 7d
    """
    from asyncrun.app.recorded_runs import select_runs
    from asyncrun.cli._requests import parse_time
    from asyncrun.clock import SystemClock
    from asyncrun.trace.trace_json import runs_document
    from asyncrun.trace.views.runs import render_runs

    seconds, now = parse_time("--since", since), SystemClock().now()
    runs = select_runs(existing_state_folder(file, options.state_dir), now, job=job, status=status, since=seconds)
    is_filtered = (job, status, since) != (None, None, None)
    return _answer(options, lambda: runs_document(runs, now), lambda width: render_runs(runs, width, now, is_filtered=is_filtered))


def export_trace(
    options: GlobalOptions,
    run: RunWord = "latest",
    file: FileFlag = None,
    *,
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="What reads it: otlp, perfetto, json, or an installed exporter's name.")
    ],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE|-", help="Where it goes.")] = STDOUT,
) -> int:
    """Write a run for another tool: OTLP/JSON, Perfetto or plain JSON.

    Example: asyncrun trace export --format perfetto -o trace.json
    """
    from asyncrun.app import recorded_runs
    from asyncrun.cli._requests import check_target

    state = existing_state_folder(file, options.state_dir)
    check_target(options, output, state, file)
    return _write(*recorded_runs.export_trace(state, run, form), output, options)


def html(
    options: GlobalOptions,
    run: RunWord = "latest",
    file: FileFlag = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE|FOLDER|-", help="Where it goes; in a folder it is named after the run.")
    ] = STDOUT,
) -> int:
    """Write a run as one page for a browser: verdict, failures, timeline, waits, earlier runs. It loads nothing.

    Example: asyncrun trace html -o trace.html
    """
    from asyncrun.app import recorded_runs
    from asyncrun.cli._requests import check_target

    state = existing_state_folder(file, options.state_dir)
    target = None if output == STDOUT else recorded_runs.page_path(state, run, Path(output))
    if target is not None:
        output = str(target)
    check_target(options, output, state, file)
    return _write(*recorded_runs.export_page(state, run, target.parent if target else None), output, options)


def serve(
    options: GlobalOptions,
    file: FileFlag = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 takes one that is free.")] = 8787,
    host: Annotated[
        str,
        typer.Option("--host", metavar="H", help="Where it listens; other addresses than this machine's own need a token."),
    ] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser.")] = False,
) -> int:
    """Show the runs of a folder in the browser, live, until Ctrl-C. Nothing is written.

    Example: asyncrun trace serve --open
    """
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.run_json import document
    from asyncrun.web.serve import serve_runs

    def announce(address: str) -> None:
        if options.json:
            print_document(document(address=address))
        else:
            print_answer(address if options.quiet else f"The runs are at {address} until Ctrl-C.")

    serve_runs(existing_state_folder(file, options.state_dir), host, port, announce, open_browser=open_browser)
    return 0


def _write(run_id: str, text: str, output: str, options: GlobalOptions) -> int:
    """Write a run for other programs: to a file, which is told, or to standard output."""
    from asyncrun.app import recorded_runs
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.ui.run_json import document

    if output == STDOUT:
        print_answer(text)
        return 0
    recorded_runs.write_trace(Path(output), text)
    if options.json:
        print_document(document(run_id=run_id))
    elif not options.quiet:
        print_answer(f"run {run_id} written", to_stderr=True)
    return 0


def _answer(options: GlobalOptions, describe: Callable[[], dict[str, Any]], render: Callable[[int], StyledText]) -> int:
    """Print a document for programs, or a text for people."""
    from asyncrun.cli._output import print_document, print_view, width

    if options.json:
        print_document(describe())
    else:
        print_view(render(width()), options)
    return 0
