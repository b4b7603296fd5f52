"""`python -m asyncrun.testing --batch` has the batch endpoints, tells where they are, and does wrong what it is told to."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from asyncrun.testing.__main__ import batch_servers, build_parser, main
from asyncrun.testing.batch_servers import BASE_PATHS


def test_as_a_command_it_prints_where_each_vendors_endpoints_are():
    command = [sys.executable, "-m", "asyncrun.testing", "--batch", "--batch-lines", "9", "--key", "right"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = [process.stdout.readline().split() for _ in range(1 + len(BASE_PATHS))]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{dict(lines[1:])['mistral']}/batch/jobs", timeout=60)
        with caught.value as refusal:
            told = json.load(refusal)
        with urllib.request.urlopen(lines[0][0].removesuffix("/v1") + "/batch-stats", timeout=60) as reply:
            stats = json.load(reply)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert told == {"detail": "Unauthorized"}
    assert stats == {"uploads": [], "created": [], "billed": [], "refused": {}}


def test_options_of_batches_without_them_are_a_mistake(capsys):
    with pytest.raises(SystemExit):
        main(["--batch-speed", "60"])
    assert "--batch" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["no_such_fault", "[]", '{"no_such_field": 1}'])
def test_what_is_no_fault_of_batches_is_refused(fault):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--batch", "--batch-fault", fault])


def test_without_batch_there_are_none():
    assert batch_servers(build_parser().parse_args([])) is None
