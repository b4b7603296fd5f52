"""A batch goes its way by the time alone: stages in order, lines in an order that is not theirs, nothing after the end."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.testing.batch_servers.schedule import BatchProblem, BatchStage, FakeBatch, FakeLine, LineReply, StagePace

ANSWER = LineReply(200, {})
DAY = 86_400.0


def planned(lines=10, *, window=DAY, slow=1.0, stragglers=0.0, **about):
    made = [FakeLine(f"tag-{number}", "/v1/embeddings", {}) for number in range(lines)]
    batch = FakeBatch(0, "b", "me", 1000.0, window, StagePace.of(180.0, slow), made, {}, **about)
    batch.plan_work(Random(1), stragglers)
    return batch


def answer(batch, now):
    for line in batch.due(now):
        line.reply = ANSWER


def test_it_is_validated_worked_on_and_finished_in_that_order():
    batch = planned()
    stages = [batch.stage(1000.0 + seconds) for seconds in range(200)]
    assert list(dict.fromkeys(stages)) == [BatchStage.VALIDATING, BatchStage.IN_PROGRESS, BatchStage.FINALIZING, BatchStage.COMPLETED]
    assert stages.index(BatchStage.COMPLETED) == pytest.approx(180, abs=1)


def test_what_is_wrong_with_it_fails_it_after_it_was_looked_at_and_no_line_is_worked_on():
    batch = planned(problems=(BatchProblem("invalid_json_line", "no JSON", 1),))
    assert (batch.stage(1001.0), batch.stage(1100.0)) == (BatchStage.VALIDATING, BatchStage.FAILED)
    assert list(batch.due(DAY)) == []


@given(st.integers(1, 60), st.floats(0, 1), st.floats(1, 1000), st.one_of(st.none(), st.floats(0, 400)))
def test_every_line_is_answered_once_at_most_and_none_after_the_end(lines, stragglers, slow, cancelled_after):
    batch = planned(lines, window=400.0, slow=slow, stragglers=stragglers)
    if cancelled_after is not None:
        batch.cancelled = 1000.0 + cancelled_after
    seen = []
    for now in (1000.0, 1050.0, 1100.0, 1200.0, 1400.0, 1000.0 + DAY, math.inf):
        for line in batch.due(now):
            assert batch.started <= line.done <= min(now, batch.stopped)
            line.reply = ANSWER
            seen.append(line.custom_id)
    assert len(seen) == len(set(seen)) == len(batch.finished(math.inf))
    assert len(seen) + len(batch.left(math.inf)) == lines
    assert batch.stage(math.inf).over


def test_stragglers_keep_it_under_way_until_its_window_ends():
    batch = planned(stragglers=0.02)
    answer(batch, 1000.0 + DAY)
    assert (batch.stage(999.0 + DAY), batch.stage(1000.0 + DAY)) == (BatchStage.IN_PROGRESS, BatchStage.EXPIRED)
    assert (len(batch.finished(1000.0 + DAY)), len(batch.left(1000.0 + DAY))) == (9, 1)


def test_an_expiry_that_keeps_nothing_gives_nothing():
    batch = planned(stragglers=0.5, keeps_finished=False)
    answer(batch, 1000.0 + DAY)
    assert (batch.finished(1000.0 + DAY), len(batch.left(1000.0 + DAY))) == ([], 10)


def test_a_batch_that_never_ends_is_worked_on_all_the_same():
    batch = planned(never_ends=True, keeps_finished=False)
    answer(batch, 2000.0)
    assert (len(batch.answered), batch.stage(2000.0), batch.stage(1000.0 + DAY)) == (10, BatchStage.IN_PROGRESS, BatchStage.EXPIRED)
