"""An ingestion pipeline of LlamaIndex over an embedder of ours: ADDRESS FOLDER NUMBER; prints how many nodes have a vector."""

import sys

from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline

from asyncrun.embedders import OpenAIEmbedding
from asyncrun.llama_index import AsyncrunEmbedding

address, folder, number = sys.argv[1:]
embedder = OpenAIEmbedding(model="m", base_url=address, api_key="sk-1", embed_batch_size=2)
embedder.workers = 1
pipeline = IngestionPipeline(transformations=[AsyncrunEmbedding(embedder, ledger=folder)])
nodes = pipeline.run(documents=[Document(text=f"document {at}") for at in range(int(number))])
print(sum(node.embedding is not None for node in nodes))
