"""The doctor: what a job file runs with, where each setting comes from, and whether cluster, models and stores answer."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asyncrun import __version__, registry
from asyncrun.app.batch_check import check_batches
from asyncrun.app.cron import bare_environment, program
from asyncrun.app.flag_overrides import Selection
from asyncrun.app.inspection import open_builder
from asyncrun.app.job_checks import mismatches, unusable_parts
from asyncrun.app.model_check import DEFAULT, ENVIRONMENT, check_models
from asyncrun.app.request import Request, environment_secrets
from asyncrun.app.store_check import check_stores
from asyncrun.endpoints.address import host_of
from asyncrun.errors import AsyncrunError, JobFileError
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.jobfile.sections import ExecutorConfig
from asyncrun.notify.notices import missing_apprise
from asyncrun.redact import Redactor
from asyncrun.state_folder import state_folder
from asyncrun.ui.doctor import Checkup, Diagnosis, DoctorSetting

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
CRON_TIMEOUT = 600.0
"""Seconds for the doctor's double under cron."""
NODES_SHOWN = 10
"""Nodes of a cluster that are named, beside those that something is wrong with."""


def diagnose(
    request: Request | None, flags: Sequence[DoctorSetting], environ: Mapping[str, str], *, send_notices: bool = False
) -> Diagnosis:
    """Look at the environment and, where there is a job file, at every place of every model that its jobs use, and at its stores. Blocks.

    With `send_notices` everybody under `notify.to` is sent a test.

    A short text is embedded at each place; of a chat model only the list of models is asked for. `flags` are the settings of the call,
    `environ` is the process's own: proxies and bundles of an env file are not used for connections.
    """
    plugins = [offer for offer in registry.offers(__version__) if offer.part.distribution != "asyncrun" or offer.problem]
    brought = sorted({f"{offer.part.distribution} {offer.version}" for offer in plugins if offer.part.distribution != "asyncrun"})
    installed = [DoctorSetting("plugins", ", ".join(brought))] if brought else []
    warnings = tuple(f"{offer.port} of {offer.part.distribution}: {offer.problem}" for offer in plugins if offer.problem)
    settings = (*_program(request), *installed, *flags, *_network(environ))
    if request is None:
        return Diagnosis(settings, warnings=warnings)
    redact = Redactor(environment_secrets(request.environ)).redact
    try:
        found = asyncio.run(_check(request, send_notices))
        return replace(found, settings=settings, mistakes=tuple(map(redact, found.mistakes)), warnings=warnings)
    except JobFileError as error:
        # They hold no value of a variable.
        return Diagnosis(settings, mistakes=tuple(map(str, error.mistakes)), warnings=warnings)
    except AsyncrunError as error:
        return Diagnosis(settings, mistakes=(redact(str(error)),), warnings=warnings)


def diagnose_under_cron(words: Sequence[str]) -> tuple[int, str, str]:
    """Run `asyncrun doctor` as cron runs a command: in the home folder, with next to no environment.

    Returns exit code, stdout and stderr. Blocks.
    """
    bare = bare_environment()
    home = bare["HOME"] if Path(bare["HOME"]).is_dir() else "/"
    done = subprocess.run(  # noqa: S603
        [*program(), "doctor", *words], env=bare, cwd=home, capture_output=True, text=True, timeout=CRON_TIMEOUT, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def _check(request: Request, send_notices: bool) -> Diagnosis:
    """Find how the executor, the models and the stores do, and what else a run would be refused for."""
    async with open_builder(request, need_keys=True) as (builder, jobs):
        executor = tuple(await _check_executor(builder.job_file.executor))
        checkups = [*await check_models(jobs, builder, request.environ), *await check_batches(jobs, builder)]
        stores = await check_stores(jobs, builder)
        away = any(store.error is not None for store in stores)
        # What a job wants of its collection can be told of a store that answers.
        wrong = await asyncio.to_thread(lambda: [*unusable_parts(jobs, builder), *([] if away else mismatches(jobs, builder))])
        selection = Selection(builder.job_file, tuple(jobs))
    told = {checkup.error for checkup in (*checkups, *stores)}
    mistakes = [f"job {job.name}: {each.message}. {each.hint}" for job, each in wrong if each.refused and each.message not in told]
    if send_notices and selection.notices():
        checkups += await _test_notices(selection, request)
    elif send_notices:
        mistakes.append("nobody is told by notices: `notify` has no `to` in this job file")
    return Diagnosis((), tuple(checkups), tuple(stores), tuple(mistakes), executor=executor)


async def _check_executor(config: ExecutorConfig) -> list[Checkup]:
    """Return a checkup of the cluster, none where the executor is this machine."""
    if config.type != "ray":
        return []
    from asyncrun.executors.ray_nodes import look

    what, where = "executor ray", printable(config.address or "auto")
    try:
        found = await look(config.address or "auto")
    except AsyncrunError as error:
        return [Checkup(what, where, error=printable(error.message), hint=error.hint)]
    wrong = [(node, problem) for node, problem in found.nodes if problem is not None]
    shown = [*wrong, *((node, None) for node, problem in found.nodes if problem is None)][: max(NODES_SHOWN, len(wrong))]
    settings = [DoctorSetting(node.address, printable(problem or f"{node.cpus:g} CPU, {node.gpus:g} GPU")) for node, problem in shown]
    if len(found.nodes) > len(shown):
        settings.append(DoctorSetting("...", f"{len(found.nodes) - len(shown):,} more"))
    said = f"Ray {found.version}, {counted(len(found.nodes), 'node')}, {sum(node.cpus for node, _ in found.nodes):g} CPU"
    failure = f"{len(wrong)} of {counted(len(found.nodes), 'node')} cannot run workers" if wrong else None
    hint = "Install the same version of asyncrun on every node; docs/scale.md shows how." if wrong else None
    return [Checkup(what, found.address, tuple(settings), found=said, error=failure, hint=hint)]


async def _test_notices(selection: Selection, request: Request) -> list[Checkup]:
    from asyncrun.app.run_notices import send_test_notices

    if (missing := missing_apprise()) is not None:
        return [Checkup("notices", None, error=missing.message, hint=missing.hint)]
    redact = selection.redactor(request.environ).redact
    sent = await send_test_notices(selection.notices(), request.file.name)
    return [Checkup(name, None, found="sent" if why is None else None, error=None if why is None else redact(why)) for name, why in sent]


def _program(request: Request | None) -> Iterator[DoctorSetting]:
    yield DoctorSetting("asyncrun", f"{__version__}, Python {platform.python_version()}, {platform.system()}")
    if request is None:
        yield DoctorSetting("job file", "none here", DEFAULT)
        return
    folder = state_folder(request.file, request.state_dir).absolute()
    if not os.access(folder if folder.exists() else request.file.absolute().parent, os.W_OK):
        yield DoctorSetting("state", f"{folder} cannot be written")


def _network(environ: Mapping[str, str]) -> Iterator[DoctorSetting]:
    """Yield what connections take from the environment."""
    for name in (*PROXIES, *BUNDLES):
        value = environ.get(name.lower() if name in PROXIES else name) or environ.get(name)
        if not value:
            continue
        if name in BUNDLES:
            yield DoctorSetting(name, value if Path(value).exists() else f"{value} is not there", ENVIRONMENT)
        else:
            # The address of a proxy may hold a password.
            yield DoctorSetting(name, value if name == "NO_PROXY" else host_of(value if "://" in value else f"//{value}"), ENVIRONMENT)
