"""The local model: its vectors are the reference's, whoever else is embedding, and the loop never waits for it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from asyncrun.embedders import LocalEmbedding
from asyncrun.embedders.local_model import MODEL
from asyncrun.errors import ItemError, UsageError
from asyncrun.records import InputType

TEXTS = ["a text", "Another one, with more words in it.", "日本語のテキスト", "wing flow " * 40, "a text"]
LONG = "the boundary layer of a flat plate " * 60


def reference(tokenizer, text):
    """The vector as the model's authors define it, computed without any code of ours."""
    session = onnxruntime.InferenceSession(str(MODEL.find()), providers=["CPUExecutionProvider"])
    ids = tokenizer.encode(text).ids
    ids = np.array([ids if len(ids) <= 256 else [*ids[:255], ids[-1]]])
    states = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)})[0][0]
    return states.mean(axis=0) / np.linalg.norm(states.mean(axis=0))


@pytest.mark.asyncio
async def test_a_vector_is_the_references_alone_and_in_company(minilm_reference):
    async with LocalEmbedding() as embedder:
        alone = [(await embedder.aembed([text])).vectors[0] for text in TEXTS]
        together = await asyncio.gather(*(embedder.aembed(TEXTS) for _ in range(3)))
    for answer in together:
        assert answer.positions == tuple(range(len(TEXTS)))
        assert (answer.vectors == np.stack(alone)).all()
    assert together[0].vectors.shape == (len(TEXTS), 384)
    assert together[0].vectors.dtype == np.float32
    assert np.linalg.norm(together[0].vectors, axis=1) == pytest.approx(1)
    assert alone[1] == pytest.approx(await asyncio.to_thread(reference, minilm_reference, TEXTS[1]), abs=1e-5)


@pytest.mark.asyncio
async def test_a_long_text_is_cut_and_counted_by_default(minilm_reference):
    async with LocalEmbedding() as embedder:
        answer = await embedder.aembed(["short", LONG])
    assert (answer.truncated, answer.failures) == ({1}, ())
    assert answer.vectors[1] == pytest.approx(await asyncio.to_thread(reference, minilm_reference, LONG), abs=1e-5)
    assert answer.usage.tokens == 3 + 256


@pytest.mark.asyncio
async def test_a_long_text_fails_where_the_policy_says_so():
    async with LocalEmbedding(on_too_long="fail") as embedder:
        answer = await embedder.aembed(["short", LONG])
        with pytest.raises(ItemError, match="more than 256 tokens"):
            await embedder.aget_text_embedding(LONG)
    assert (answer.positions, [failure.reason for failure in answer.failures]) == ((0,), ["too_long"])


@pytest.mark.asyncio
async def test_a_long_text_is_split_into_equal_parts_whose_mean_is_one_row():
    async with LocalEmbedding(on_too_long="split") as embedder:
        answer = await embedder.aembed([LONG])
        half = LONG[: len(LONG) // 2]
        first, second = (await embedder.aembed([half, LONG[len(half) :]])).vectors
    mean = (first + second) / np.linalg.norm(first + second)
    assert answer.vectors.shape == (1, 384)
    assert np.linalg.norm(answer.vectors[0]) == pytest.approx(1)
    assert answer.vectors[0] @ mean > 0.999
    assert not answer.truncated


@pytest.mark.asyncio
async def test_empty_broken_nul_and_5_mb_texts_do_not_poison_their_batch():
    async with LocalEmbedding() as embedder:
        answer = await embedder.aembed(["good", "", " \n", "\ud800", "nul\x00nul", "word " * 1_000_000])
    assert answer.positions == (0, 4, 5)
    assert {failure.position: failure.reason for failure in answer.failures} == {1: "empty", 2: "empty", 3: "bad_text"}


@pytest.mark.asyncio
async def test_the_loop_goes_on_while_the_model_is_loaded_and_reads():
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with LocalEmbedding(threads=1) as embedder:
        turning = asyncio.create_task(turn())
        await embedder.aembed(TEXTS)
        turning.cancel()
    # Were the model on the loop, the loop would turn a few times in all.
    assert turns > 20


@pytest.mark.asyncio
async def test_cancelling_begins_nothing_more_and_leaves_no_thread():
    before = threading.active_count()
    async with LocalEmbedding(threads=1) as embedder:
        await embedder.aembed(["loaded"])
        work = asyncio.create_task(embedder.aembed(["word " * 300] * 200))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert threading.active_count() <= before + 1  # the loop's own helper thread, which ends with it
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncrun-local")]


@pytest.mark.asyncio
async def test_it_can_be_closed_twice_and_used_again():
    embedder = LocalEmbedding()
    await embedder.aclose()
    first = await embedder.aget_text_embedding("a")
    await embedder.aclose()
    assert await embedder.aget_text_embedding("a") == first
    await embedder.aclose()


def test_the_synchronous_twins_need_no_loop():
    embedder = LocalEmbedding()
    assert embedder.get_text_embedding_batch(["a", "b"])[1] == embedder.get_query_embedding("b")
    asyncio.run(embedder.aclose())


def test_the_space_is_the_file_and_documents_and_queries_share_it():
    embedder = LocalEmbedding()
    assert embedder.space(InputType.DOCUMENT) == embedder.space(InputType.QUERY)
    assert embedder.space(InputType.QUERY).model == MODEL.sha256
    assert LocalEmbedding(space="mine").space(InputType.QUERY).name == "mine"


@pytest.mark.parametrize("options", [{"model": "another"}, {"dimensions": 128}])
def test_what_it_is_not_is_refused(options):
    with pytest.raises(UsageError):
        LocalEmbedding(**options)


def test_making_one_loads_nothing_and_embedding_writes_nothing_to_stderr():
    program = Path(__file__).resolve().parents[2] / "programs" / "embed_locally.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_it_works_in_a_process_that_was_forked_after_its_first_use():
    embedder = LocalEmbedding(threads=1)
    vector = embedder.get_text_embedding("a text")
    if (child := os.fork()) == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        same = embedder.get_text_embedding("a text") == vector
        asyncio.run(embedder.aclose())
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert embedder.get_text_embedding("a text") == vector
