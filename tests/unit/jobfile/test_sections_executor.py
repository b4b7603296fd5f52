"""A flag that names an executor keeps what the job file states of it, as far as that belongs to the one that is named."""

from __future__ import annotations

import pytest

from asyncrun.jobfile.sections import ExecutorConfig

CLUSTER = ExecutorConfig(type="ray", address="head:6379", processes=16, cpus=2)


@pytest.mark.parametrize(
    ("stated", "flag", "used"),
    [
        (CLUSTER, None, CLUSTER),
        (CLUSTER, "ray", CLUSTER),
        (CLUSTER, "processes", ExecutorConfig(type="processes", processes=16)),
        (CLUSTER, "local", ExecutorConfig()),
        (ExecutorConfig(), "processes", ExecutorConfig(type="processes")),
        (ExecutorConfig(type="processes", processes=4), "ray", ExecutorConfig(type="ray", processes=4)),
    ],
)
def test_a_flag_goes_before_the_file(stated: ExecutorConfig, flag: str | None, used: ExecutorConfig) -> None:
    assert stated.overridden(flag) == used
