"""A plugin's embedder, whose texts may end the process that embeds them."""

import os
import signal

import numpy as np

from asyncrun.embedders.base import BaseEmbedding
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, Space
from asyncrun.usage import Usage


class Embedding(BaseEmbedding):
    provider = "poisoned"

    def __init__(self, *, model="m", limiter=None, **_):
        super().__init__(model=model, batch=BatchLimits(max_items=8), workers=4)
        self.limiter = limiter

    def space(self, input_type):
        return Space(self.provider, self.model_name)

    async def _embed(self, texts, input_type, *, cut=False):
        if any("poison" in text for text in texts):
            os.kill(os.getpid(), signal.SIGSEGV)
        async with self.limiter.permit():
            vectors = np.array([[len(text), 1] for text in texts], np.float32)
        return Embedded(vectors, tuple(range(len(texts))), usage=Usage(requests=1, tokens=len(texts)))
