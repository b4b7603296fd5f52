"""Embeds the texts of a file with Ray Data's map_batches, the client its users write, into Parquet: BASE_URL INPUT FOLDER."""

import sys
from pathlib import Path

import pyarrow.parquet
import ray
from openai import OpenAI

base_url, texts, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def embed(batch):
    """Embed a batch, as their users write it."""
    client = OpenAI(base_url=base_url, api_key="k")
    answer = client.embeddings.create(model="text-embedding-3-small", input=list(batch["text"]), encoding_format="float")
    return {"id": batch["id"], "vector": [row.embedding for row in answer.data]}


ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", object_store_memory=200_000_000)
ray.data.DataContext.get_current().enable_progress_bars = False
out = folder / "out"
ray.data.read_json(texts).map_batches(embed, batch_size=10).write_parquet(str(out), mode="overwrite")
print("rows", pyarrow.parquet.read_table(out).num_rows)
