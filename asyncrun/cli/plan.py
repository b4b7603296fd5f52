"""`asyncrun plan`: what a run would send."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions, Words
from asyncrun.cli.run import ShardFlag


def plan(
    options: GlobalOptions,
    words: Words = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 if there is anything to do.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Plan a run that is given --rebuild.")] = False,
    shard: ShardFlag = None,
) -> int:
    """Say what a run would do; sends nothing and needs no key.

    Example: asyncrun plan jobs.yaml
    """
    from asyncrun.app.plan import plan_jobs
    from asyncrun.cli._output import print_answer, print_document, width
    from asyncrun.cli._requests import build_request, job_file, parse_shard
    from asyncrun.jobs.run_options import RunOptions
    from asyncrun.ui.plan_table import plan_document, render_plan

    file, jobs = job_file(words or [], "plan jobs.yaml")
    plans = plan_jobs(build_request(options, file, jobs, run=RunOptions(rebuild=rebuild, shard=parse_shard(shard))))
    if options.json:
        print_document(plan_document(plans))
    elif not options.quiet:
        print_answer(render_plan(plans, width()), sentences=True)
    return int(check and any(each.new + each.changed + each.delete for each in plans))
