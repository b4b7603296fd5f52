"""What every embedder does for its users, shown on one that counts letters and takes ten tokens (characters) at most."""

import numpy as np
import pytest

from asyncrun.embedders import BaseEmbedding
from asyncrun.errors import ItemError, OutageError
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, EmbedFailure, InputType, Space
from asyncrun.usage import Usage

LIMIT = 10


class Characters:
    added = 0

    def count(self, text):
        return len(text)

    def offsets(self, text):
        return [(place, place + 1) for place in range(len(text))]


class Letters(BaseEmbedding):
    """The vector of a text is (number of a, number of b, 1)."""

    provider = "letters"

    def __init__(self, *, tokenizer=None, down=False, max_items=3, **options):
        super().__init__(model="letters", batch=BatchLimits(max_items=max_items), workers=2, **options)
        self.given_tokenizer = tokenizer
        self.down = down
        self.calls = []

    @property
    def tokenizer(self):
        return self.given_tokenizer

    def space(self, input_type):
        return Space("letters", "letters")

    async def _embed(self, texts, input_type):
        if self.down:
            raise OutageError("down")
        self.calls.append(list(texts))
        good = [place for place, text in enumerate(texts) if len(text) <= LIMIT and "!" not in text]
        long = [place for place, text in enumerate(texts) if len(text) > LIMIT]
        failures = [EmbedFailure(place, "too_long", f"less than {LIMIT} tokens. Given: {len(texts[place])}") for place in long]
        failures += [EmbedFailure(place, "refused", "no!") for place, text in enumerate(texts) if "!" in text and place not in long]
        vectors = np.array([[texts[place].count("a"), texts[place].count("b"), 1] for place in good], np.float32).reshape(-1, 3)
        return Embedded(vectors, tuple(good), tuple(failures), usage=Usage(requests=1))


@pytest.mark.asyncio
async def test_every_text_ends_with_its_vector_or_with_a_reason():
    answer = await Letters().aembed(["ab", " ", "b!", "b" * 11, "aa"])
    assert dict(zip(answer.positions, answer.vectors.tolist(), strict=True)) == {0: [1, 1, 1], 4: [2, 0, 1]}
    assert {failure.position: failure.reason for failure in answer.failures} == {1: "empty", 2: "refused", 3: "too_long"}


@pytest.mark.asyncio
async def test_nothing_is_sent_when_nothing_can_be():
    embedder = Letters(on_empty="skip")
    answer = await embedder.aembed(["", "\n"])
    assert [failure.reason for failure in answer.failures] == ["skipped", "skipped"]
    assert (embedder.calls, answer.positions) == ([], ())


@pytest.mark.asyncio
async def test_documents_and_queries_have_their_prefix_in_what_is_sent_and_in_the_key():
    embedder = Letters(document_prefix="a:", query_prefix="b:")
    await embedder.aembed(["x"])
    await embedder.aembed(["x"], InputType.QUERY)
    assert embedder.calls == [["a:x"], ["b:x"]]
    assert [embedder.as_sent("x", kind) for kind in InputType] == ["a:x", "b:x"]


@pytest.mark.asyncio
@pytest.mark.parametrize("tokenizer", [None, Characters()], ids=["the server's words", "a tokenizer"])
async def test_truncate_embeds_a_beginning_and_counts_it(tokenizer):
    embedder = Letters(on_too_long="truncate", max_input_tokens=LIMIT if tokenizer else None, tokenizer=tokenizer)
    answer = await embedder.aembed(["a", "a" * 9 + "b" * 3, "b"])
    assert (answer.positions, answer.truncated, answer.failures) == ((0, 1, 2), {1}, ())
    assert answer.vectors[1].tolist() == [9, 1 if tokenizer else 0, 1]
    assert answer.usage.requests == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("tokenizer", [None, Characters()], ids=["the server's words", "a tokenizer"])
async def test_split_gives_one_row_the_mean_of_equal_parts_of_unit_length(tokenizer):
    embedder = Letters(on_too_long="split", max_input_tokens=LIMIT if tokenizer else None, tokenizer=tokenizer)
    answer = await embedder.aembed(["b", "a" * 8 + "b" * 8])
    mean = np.array([4, 4, 1]) / np.linalg.norm([4, 4, 1])
    assert answer.positions == (0, 1)
    assert answer.vectors[1] == pytest.approx(mean)
    assert embedder.calls[1] == ["a" * 8, "b" * 8]
    assert not answer.truncated


@pytest.mark.asyncio
async def test_the_prefix_stands_before_each_part():
    embedder = Letters(on_too_long="split", max_input_tokens=LIMIT, tokenizer=Characters(), document_prefix="d: ")
    await embedder.aembed(["a" * 14])
    assert embedder.calls[1] == ["d: " + "a" * 7] * 2


@pytest.mark.asyncio
async def test_many_parts_keep_to_the_batch():
    embedder = Letters(on_too_long="split", max_input_tokens=LIMIT, tokenizer=Characters())
    await embedder.aembed(["a" * 70])
    assert [len(call) for call in embedder.calls] == [1, 3, 3, 1]


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", ["truncate", "split"])
async def test_a_long_text_that_is_refused_for_another_reason_fails_with_that(policy):
    answer = await Letters(on_too_long=policy).aembed(["!" * 11, "a"])
    assert (answer.positions, [(failure.position, failure.reason) for failure in answer.failures]) == ((1,), [(0, "refused")])


@pytest.mark.asyncio
async def test_the_methods_that_llamaindex_users_know():
    async with Letters(query_prefix="b") as embedder:
        assert await embedder.aget_text_embedding("ab") == [1, 1, 1]
        assert await embedder.aget_query_embedding("ab") == [1, 2, 1]
        assert await embedder.aget_text_embeddings(["a", "b"]) == [[1, 0, 1], [0, 1, 1]]
        assert embedder.similarity([1, 0], [1, 0]) == 1.0


@pytest.mark.asyncio
async def test_a_batch_of_any_size_is_split_and_comes_back_in_order():
    embedder = Letters()
    texts = ["a" * (number % 7 + 1) for number in range(20)]
    rows = await embedder.aget_text_embedding_batch(texts, show_progress=False)
    assert [row[0] for row in rows] == [len(text) for text in texts]
    assert max(map(len, embedder.calls)) == 3
    assert await embedder.aget_text_embedding_batch([]) == []


@pytest.mark.asyncio
async def test_a_batch_keeps_to_tokens_and_bytes_too():
    for limits in (BatchLimits(max_tokens=4), BatchLimits(max_bytes=4)):
        embedder = Letters()
        embedder.batch = limits
        await embedder.aget_text_embedding_batch(["aa"] * 5)
        assert [len(call) for call in embedder.calls] == [2, 2, 1]


def test_the_synchronous_twins_give_the_same():
    embedder = Letters()
    assert embedder.get_text_embedding("ab") == [1, 1, 1]
    assert embedder.get_query_embedding("ab") == [1, 1, 1]
    assert embedder.get_text_embeddings(["a"]) == [[1, 0, 1]]
    assert embedder.get_text_embedding_batch(["a"] * 4) == [[1, 0, 1]] * 4


@pytest.mark.asyncio
async def test_a_synchronous_twin_can_be_called_where_a_loop_runs():
    assert Letters().get_text_embedding("ab") == [1, 1, 1]


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "reason"), [(" ", "empty"), ("b" * 11, "too_long"), ("!", "refused")])
async def test_a_library_call_raises_what_a_text_fails_with(text, reason):
    with pytest.raises(ItemError) as caught:
        await Letters().aget_text_embedding(text)
    assert caught.value.reason == reason


@pytest.mark.asyncio
async def test_a_failed_text_of_a_batch_is_named_by_its_number():
    with pytest.raises(ItemError, match="text 7: no!"):
        await Letters().aget_text_embedding_batch(["a"] * 7 + ["!"])


@pytest.mark.asyncio
async def test_what_is_wrong_with_the_endpoint_ends_the_call_and_is_raised_as_it_is_by_the_methods_for_users():
    down = Letters(down=True)
    answer = await down.aembed(["a", " "])
    assert isinstance(answer.error, OutageError)
    assert (answer.positions, [failure.reason for failure in answer.failures]) == ((), ["empty"])
    for call in (down.aget_text_embedding("a"), down.aget_text_embedding_batch(["a"] * 9), down.aget_query_embedding("a")):
        with pytest.raises(OutageError, match="down"):
            await call


@pytest.mark.asyncio
async def test_what_was_answered_before_an_error_is_part_of_the_outcome():
    class Ending(Letters):
        async def _embed(self, texts, input_type):
            self.down = len(self.calls) == 2
            return await super()._embed(texts, input_type)

    answer = await Ending(max_items=2).aembed(["a", " ", "b!", "ab", "aa", "b", "bb"])
    assert isinstance(answer.error, OutageError)
    assert (answer.positions, answer.usage.requests) == ((0, 3, 4), 2)
    assert {failure.position: failure.reason for failure in answer.failures} == {1: "empty", 2: "refused"}
