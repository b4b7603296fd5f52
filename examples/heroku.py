"""Embed with Heroku's inference add-on: one text, a batch, how alike they are, and the end.

EMBEDDING_URL=... EMBEDDING_KEY=... EMBEDDING_MODEL_ID=... python examples/heroku.py
python examples/heroku.py          # without the variables: to a small server of its own, whose vectors mean nothing
"""

import asyncio
import os

from asyncrun.embedders import HerokuEmbedding
from asyncrun.testing.server import FakeServer

TEXTS = ["A cat sits on the mat.", "A kitten lies on a rug.", "Shares fell on Monday."]


async def show(embedder: HerokuEmbedding) -> None:
    async with embedder:  # closes the connections at the end, also after an error
        vector = await embedder.aget_text_embedding(TEXTS[0])
        print(f"one text: {len(vector)} dimensions")

        vectors = await embedder.aget_text_embedding_batch(TEXTS, show_progress=True)
        print(f"a batch: {len(vectors)} vectors")

        query = await embedder.aget_query_embedding("Where is the cat?")
        for text, vector in zip(TEXTS, vectors, strict=True):
            print(f"{embedder.similarity(query, vector):6.3f}  {text}")


async def main() -> None:
    if "EMBEDDING_KEY" in os.environ:
        await show(HerokuEmbedding())
        return
    async with FakeServer(key="no-secret") as server:
        await show(HerokuEmbedding(model="any", api_key="no-secret", base_url=server.base_url))


if __name__ == "__main__":
    asyncio.run(main())
