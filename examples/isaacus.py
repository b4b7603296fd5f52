"""Embed legal texts with Isaacus: one text, a batch, how alike they are, the same from synchronous code, and the end.

ISAACUS_API_KEY=... python examples/isaacus.py
python examples/isaacus.py         # without the variable: to a small server of its own, whose vectors mean nothing
"""

import asyncio
import os

from asyncrun.embedders import IsaacusEmbedding
from asyncrun.testing.server import FakeServer

TEXTS = [
    "The tenant shall pay the rent on the first day of each month.",
    "Rent is due monthly, in advance.",
    "The court dismissed the appeal.",
]


async def show(embedder: IsaacusEmbedding) -> None:
    try:
        vector = await embedder.aget_text_embedding(TEXTS[0])
        print(f"one text: {len(vector)} dimensions")

        vectors = await embedder.aget_text_embedding_batch(TEXTS, show_progress=True)
        print(f"a batch: {len(vectors)} vectors")

        # A question is embedded as a question: the model tells them apart.
        query = await embedder.aget_query_embedding("When must the rent be paid?")
        for text, vector in zip(TEXTS, vectors, strict=True):
            print(f"{embedder.similarity(query, vector):6.3f}  {text}")
    finally:
        await embedder.aclose()


def show_synchronous(embedder: IsaacusEmbedding) -> None:
    print(f"without await: {len(embedder.get_text_embedding(TEXTS[0]))} dimensions")


def main() -> None:
    if "ISAACUS_API_KEY" in os.environ:
        asyncio.run(show(IsaacusEmbedding()))
        show_synchronous(IsaacusEmbedding())
        return
    with FakeServer(key="no-secret").in_thread() as server:
        asyncio.run(show(IsaacusEmbedding(api_key="no-secret", base_url=server.base_url)))
        show_synchronous(IsaacusEmbedding(api_key="no-secret", base_url=server.base_url))


if __name__ == "__main__":
    main()
