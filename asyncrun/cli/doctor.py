"""`asyncrun doctor`: the environment, the settings and their sources, and whether every model and store answers."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import FLAGS, GlobalOptions, complete_files
from asyncrun.cli._settings import load_config, stated_for_commands


def doctor(
    options: GlobalOptions,
    file: Annotated[str | None, typer.Argument(metavar="FILE", autocompletion=complete_files, help="The job file.")] = None,
    *,
    notify: Annotated[bool, typer.Option("--notify", help="Send a test notice to everybody under notify.to.")] = False,
    cron: Annotated[bool, typer.Option("--cron", help="Look at it as cron would: with next to no environment.")] = False,
) -> int:
    """Look whether a job file can run; exit 1 if not. Embeds one short text at each place of each model.

    Example: asyncrun doctor jobs.yaml --cron
    """
    import os
    from pathlib import Path

    from asyncrun.app.doctor import diagnose, diagnose_under_cron
    from asyncrun.cli._output import print_answer, print_document
    from asyncrun.cli._requests import DEFAULTS, build_request, only_job_file
    from asyncrun.ui.doctor import DoctorSetting, diagnosis_document, render_diagnosis

    found = file is not None or notify or any(Path(name).exists() for name in DEFAULTS)
    path = only_job_file(file, "doctor jobs.yaml") if found else None
    if cron:
        paths = (("--env-file", options.env_file), ("--state-dir", options.state_dir))
        words = [str(path.absolute())] if path is not None else []
        words += ["--notify"] if notify else []
        words += [word for flag, value in paths if value is not None for word in (flag, str(value.absolute()))]
        code, out, err = diagnose_under_cron([*words, *(["--json"] if options.json else [])])
        if out and not (options.quiet and code == 0):
            print_answer(out, sentences=not options.json)
        if err:
            print_answer(err, to_stderr=True)
        return code
    given = [DoctorSetting("job file", str(path), "flag" if file else "default")] if path is not None else []
    given += [
        DoctorSetting(name.replace("_", "-"), str(getattr(options, name)), options.sources[name])
        for name in FLAGS
        if name in options.sources
    ]
    given += [DoctorSetting(*stated) for stated in stated_for_commands(load_config(os.environ), os.environ)]
    diagnosis = diagnose(build_request(options, path, []) if path is not None else None, given, os.environ, send_notices=notify)
    if options.json:
        print_document(diagnosis_document(diagnosis))
    elif not (options.quiet and diagnosis.healthy):
        print_answer(render_diagnosis(diagnosis), sentences=True)
    return 0 if diagnosis.healthy else 1
