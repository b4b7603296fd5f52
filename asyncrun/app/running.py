"""A run from its first line to its last: lock, ledger, trace, signals, jobs, report."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from asyncrun import __version__
from asyncrun.aio.signals import handle_signals
from asyncrun.aio.stop import Stop
from asyncrun.app.request import Request
from asyncrun.app.wiring import Workshop
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.clock import Clock, SystemClock
from asyncrun.engine.runner import PlannedJob, Runner
from asyncrun.errors import StorageError
from asyncrun.jobfile import JobFile, load_job_file
from asyncrun.jobfile.jobs import Job
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.lock import hold_lock
from asyncrun.paths import open_state_folder, state_folder
from asyncrun.ports import NullProgress, Progress
from asyncrun.records import JobPlan, JobResult, RunResult
from asyncrun.redact import Redactor
