"""A mistake comes with its line, but for lines that may hold a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import JobFileError
from asyncrun.jobfile import LoadOptions, parse_job_file

JOBS = "\njobs: [{name: a, kind: embed, input: i, output: o.jsonl}]"


def lines(text: str) -> list[str | None]:
    with pytest.raises(JobFileError) as caught:
        parse_job_file(text, Path("f"), LoadOptions(check_inputs=False))
    return [mistake.line for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    "line",
    [
        "job: {a: 1}",
        "embedders: {e: {provider: opnai, model: m}}",
        'embedders: {e: {provider: opnai, model: m, api_key: "${K}"}}',
        "embedders: {e: {provider: opnai, model: m, api_key: {file: key.txt}, headers: {}}}",
        "embedders: {e: {provider: opnai, model: m, base_url: http://x/v1}}",
        "embedders: {e: {provider: 'opnai}}",
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_the_line_is_the_files(line: str, ending: str) -> None:
    assert lines(("# a note\n" + line + JOBS).replace("\n", ending))[0] in (line, JOBS.strip())


@pytest.mark.parametrize(
    "text",
    [
        "embedders: {e: {provider: opnai, model: m, api_key: sentinel}}",
        "embedders: {e: {provider: opnai, model: m, 'api_key': sentinel}}",
        "embedders: {e: {provider: openai, model: m, api_key: sentinel-sentinel-sentinel}}",
        "embedders: {e: {provider: opnai, model: m, headers: {X: sentinel}}}",
        "embedders: {e: {provider: opnai, model: m, base_url: 'http://sentinel:x@host'}}",
        "embedders: {e: {provider: openai, model: m, base_url: 'http://host/?key=sentinel'}}",
        "embedders:\n  e:\n    headers:\n      X: sentinel: y",
        "embedders:\n  e:\n    headers:\n      X: [sentinel]",
        "embedders:\n  e:\n    headers:\n    - X: sentinel\n      Y: 'z",
        "embedders:\n  e:\n    api_key: 'sentinel\n      sentinel' x",
        "embedders:\n  e:\n    api_key: sentinel: x",
        "stores: {s: {typ: pgvector, url: 'postgresql://u:sentinel@h/d'}}",
        "vars: {a b: sentinel}",
        "vars:\n  K: [sentinel]",
    ],
)
def test_a_line_that_may_hold_a_secret_is_not_shown(text: str) -> None:
    assert not [line for line in lines(text + JOBS) if line and "sentinel" in line]
