"""A plugin whose words tell a secret: a reader, an embedder, a chat model, a handler."""

import asyncio
from dataclasses import replace

from asyncrun import CallbackManager, LlamaDebugHandler, run_jobs
from asyncrun.embedders.provider_classes import OpenAIEmbedding
from asyncrun.errors import Place
from asyncrun.llms.interface import Declined
from asyncrun.llms.openai import OpenAIChat
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.records import EmbedFailure, InputType

SECRET = "correct horse battery staple"


def read(path, shown):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line == "unreadable":
            yield BadRecord(Place(shown, number), "bad_record", f"not with the key {SECRET}")
        elif line == "end":
            raise RuntimeError(f"cannot go on with the key {SECRET}")
        else:
            yield Record({"text": line}, Place(shown, number))


class Broken(LlamaDebugHandler):
    def on_event_start(self, *_, **__):
        raise RuntimeError(f"the key {SECRET} is odd")


class Embedding(OpenAIEmbedding):
    async def aembed(self, texts, input_type=InputType.DOCUMENT):
        if "watched" in texts:
            await run_jobs([lambda: asyncio.sleep(0)], callback_manager=CallbackManager([Broken()]))
        kept = tuple(at for at, text in enumerate(texts) if text != "refused")
        answer = await super().aembed([texts[at] for at in kept], input_type)
        refused = tuple(EmbedFailure(at, "refused", f"not with the key {SECRET}") for at in range(len(texts)) if at not in kept)
        return replace(answer, positions=kept, failures=refused)


class Chat(OpenAIChat):
    def __init__(self, **options):
        super().__init__(**{**options, "provider": "openai"})

    async def complete(self, messages):
        completion = await super().complete(messages)
        return replace(completion, answer=Declined("refused", f"no answer for {SECRET}"))
