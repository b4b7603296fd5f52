"""Embeds the texts of a file with LlamaIndex's IngestionPipeline and its cache: BASE_URL INPUT FOLDER."""

import json
import sys
from pathlib import Path

from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai import OpenAIEmbedding

base_url, texts, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
nodes = [TextNode(id_=row["id"], text=row["text"]) for row in map(json.loads, texts.read_text().splitlines())]
embedder = OpenAIEmbedding(model="text-embedding-3-small", api_base=base_url, api_key="k", embed_batch_size=10)
pipeline = IngestionPipeline(transformations=[embedder], cache=IngestionCache())
kept = folder / "pipeline"
if kept.exists():
    pipeline.load(str(kept))
done = pipeline.run(nodes=nodes)
pipeline.persist(str(kept))
print("rows", len(done))
