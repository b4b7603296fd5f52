"""Answering in the job file: models, prompts and their mistakes, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asyncrun.jobfile import QueryJob

LLMS = "llms: {small: {provider: openai, model: gpt}}"


def job(rest: str, llms: str = LLMS) -> str:
    return f"{llms}\njobs:\n- {{name: ask, kind: query, input: {{items: [a], metadata: [lang, user]}}, output: o.jsonl, {rest}}}\n"


def test_all_of_it_is_read(load: Callable[..., object]) -> None:
    llms = (
        "llms: {small: {provider: openai, model: gpt, temperature: 0, max_output_tokens: 500, system: 'Be brief.',"
        " price_per_million_tokens: {input: 0.15, output: 0.60}}}"
    )
    file = load(job("llm: small, prompt: '{context} {question} {metadata.lang} {metadata.user.age}', context_tokens: 3000", llms))
    [asked] = file.jobs  # type: ignore[attr-defined]
    assert isinstance(asked, QueryJob)
    assert asked.llm is not None
    assert asked.prompt is not None
    assert (asked.llm.temperature, asked.llm.max_output_tokens, asked.llm.system) == (0, 500, "Be brief.")
    assert asked.prompt.text == "{context} {question} {metadata.lang} {metadata.user.age}"
    assert asked.context_tokens == 3000


@pytest.mark.parametrize(
    ("rest", "llms", "mistake"),
    [
        ("llm: smal", LLMS, "jobs[0].llm: unknown llm 'smal'; allowed: small; did you mean 'small'?"),
        ("llm: small", "llms: {small: {provider: opnai, model: m}}", "llms.small.provider: unknown provider 'opnai'"),
        ("llm: small", "llms: {small: {provider: openai}}", "llms.small.model: missing"),
        ("llm: {provider: mistral}", LLMS, "jobs[0].llm.model: missing"),
        ("llm: small, prompt: 'a {questoin}'", LLMS, "jobs[0].prompt: unknown placeholder '{questoin}'"),
        ("llm: small, prompt: 'a {questoin}'", LLMS, "did you mean '{question}'?"),
        ("llm: small, prompt: {text: 'a { {question}'}", LLMS, "jobs[0].prompt.text: a single '{' is no placeholder"),
        ("llm: small, prompt: 'no such thing'", LLMS, "jobs[0].prompt: the prompt does not hold {question}"),
        ("llm: small, prompt: '{question} {metadata.lnag}'", LLMS, "jobs[0].prompt: the questions keep no metadata 'lnag'"),
        ("llm: small, prompt: {text: a, path: b}", LLMS, "jobs[0].prompt: a prompt has one source"),
        ("llm: small, context_tokens: 0", LLMS, "jobs[0].context_tokens: "),
        ("prompt: '{question}'", LLMS, "jobs[0].prompt: nobody answers: the job has no llm"),
        ("context_tokens: 30", LLMS, "jobs[0].context_tokens: nobody answers: the job has no llm"),
    ],
)
def test_a_mistake_is_named_with_its_place(mistakes: Callable[..., list[str]], rest: str, llms: str, mistake: str) -> None:
    found = mistakes(job(rest, llms))
    assert any(mistake in line for line in found), found
    assert all(line.startswith("f:") for line in found)


def test_a_budget_of_money_needs_the_price_of_the_model_too(mistakes: Callable[..., list[str]]) -> None:
    found = mistakes(job("llm: small, budget: {cost: 1}"))
    assert any("a budget of money needs a price; allowed: price_per_million_tokens at the llm" in line for line in found), found


def test_two_llms_state_the_same_limits_of_the_same_model(mistakes: Callable[..., list[str]]) -> None:
    llms = "llms: {small: {provider: openai, model: gpt, limits: {concurrency: 2}}}"
    found = mistakes(job("llm: {provider: openai, model: gpt, limits: {concurrency: 3}}", llms))
    assert any("jobs[0].llm.limits: llms.small states other limits" in line for line in found), found


def test_defaults_hold_for_the_jobs_that_answer(load: Callable[..., object]) -> None:
    file = load("defaults: {context_tokens: 300, prompt: '{question}'}\n" + job("top_k: 1"))
    [searched] = file.jobs  # type: ignore[attr-defined]
    assert (searched.llm, searched.context_tokens) == (None, 300)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("Hi\n{context} {questio}\n", "f:3:{column}: jobs[0].prompt.path: unknown placeholder '{{questio}}' (prompt.txt:2:11)"),
        (None, "f:3:{column}: jobs[0].prompt.path: no such file"),
    ],
)
def test_a_prompts_file_is_looked_into(
    mistakes: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, mistake: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "prompt.txt").write_text(text)
    written = job("llm: small, prompt: {path: prompt.txt}")
    column = written.splitlines()[2].index("prompt.txt") + 1
    [found] = mistakes(written, check_inputs=True)
    assert found.startswith(mistake.format(column=column))


def test_the_prompts_file_of_a_job_that_does_not_run_may_be_missing(load: Callable[..., object]) -> None:
    other = "- {name: other, kind: embed, input: {items: [a]}, output: p.jsonl}\n"
    file = load(job("llm: small, prompt: {path: nowhere.txt}") + other, jobs=["other"], check_inputs=True)
    assert [each.name for each in file.jobs] == ["ask", "other"]  # type: ignore[attr-defined]
