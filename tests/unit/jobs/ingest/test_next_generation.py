"""Which generation an ingest job fills that may rebuild: what each of them holds decides."""

from __future__ import annotations

import pytest

from asyncrun.errors import SpaceMismatchError
from asyncrun.jobs.ingest.documents import MadeWith
from asyncrun.jobs.ingest.next_generation import Choice, Generations, Held, choose

NOW = MadeWith("sentence 256 32", "", "new")
CUT = MadeWith("token 256 32", "", "new")
"""Another way to cut in the same space."""
NOTHING = Held()


def of(made_with: MadeWith, own: int = 1, others: bool = False) -> Held:
    """Return a generation with documents of the job and of others."""
    return Held(made_with.space, {str(n): f"{made_with.tag}{n:032x}" for n in range(own)}, others)


FORMER = MadeWith("sentence 256 32", "", "old")
THIRD = MadeWith("sentence 256 32", "", "third")
OLD_MARKS = Held("new", {"a": "0" * 32})

CASES = {
    "nothing is there": (Generations(), Choice()),
    "nothing is there but a remainder": (Generations(next=of(FORMER)), Choice(drops=True)),
    "all is as the job makes it": (Generations(of(NOW)), Choice()),
    "marks of a former version tell nothing": (Generations(OLD_MARKS), Choice()),
    "another embedder": (Generations(of(FORMER)), Choice(rebuilds=True)),
    "another embedder, of which only others' documents are there": (Generations(of(FORMER, 0, True)), Choice(rebuilds=True)),
    "another way to cut": (Generations(of(CUT)), Choice(rebuilds=True)),
    "begun before": (Generations(of(FORMER), of(NOW)), Choice(rebuilds=True)),
    "begun before, without one document yet": (Generations(of(FORMER), of(NOW, 0)), Choice(rebuilds=True)),
    "the model was changed again": (Generations(of(FORMER), of(THIRD)), Choice(rebuilds=True, drops=True)),
    "the chunks were changed again": (Generations(of(FORMER), of(CUT)), Choice(rebuilds=True, drops=True)),
    "back to what is asked": (Generations(of(NOW), of(FORMER)), Choice(drops=True)),
    "another job has just begun, in another space": (Generations(of(NOW), of(FORMER, 0)), Choice()),
    "another job has just begun": (Generations(of(NOW), of(NOW, 0)), Choice()),
    "back to the chunks that are asked": (Generations(of(NOW), of(CUT)), Choice(drops=True)),
    "another job's, of another space": (Generations(of(NOW), of(FORMER, 0, True)), Choice()),
    "another job waits for these documents": (Generations(of(NOW), of(NOW, 0, True)), Choice(rebuilds=True)),
    "the former one is of the space, and was cut in another way": (Generations(of(FORMER), former=of(CUT)), Choice(rebuilds=True)),
    "the former one has others' documents alone": (Generations(of(FORMER), former=of(NOW, 0, True)), Choice(rebuilds=True)),
}


@pytest.mark.parametrize(("found", "expected"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("asked", [False, True])
def test_what_the_generations_hold_decides_what_is_filled(found: Generations, expected: Choice, asked: bool) -> None:
    assert choose("notes", found, NOW, asked=asked) == expected


@pytest.mark.parametrize("coming", [NOTHING, of(THIRD)])
def test_who_went_back_is_not_brought_forward_again_before_it_is_asked_for(coming: Held) -> None:
    found = Generations(of(FORMER), coming, former=of(NOW))
    with pytest.raises(SpaceMismatchError, match="somebody has gone back") as refused:
        choose("notes", found, NOW, asked=False)
    assert "--rebuild" in refused.value.hint
    assert choose("notes", found, NOW, asked=True) == Choice(rebuilds=True, returns=True, drops=coming is not NOTHING)
