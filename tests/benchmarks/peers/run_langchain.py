"""Embeds the texts of a file with LangChain's index(), which skips what its record manager knows: BASE_URL INPUT FOLDER."""

import json
import sys
from pathlib import Path

from langchain_community.indexes._sql_record_manager import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.indexing import index
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

base_url, texts, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
rows = [json.loads(line) for line in texts.read_text().splitlines()]
embedder = OpenAIEmbeddings(model="text-embedding-3-small", base_url=base_url, api_key="k", chunk_size=10, check_embedding_ctx_length=False)
manager = SQLRecordManager("texts", db_url=f"sqlite:///{folder / 'records.db'}")
manager.create_schema()
kept = folder / "store.json"
store = InMemoryVectorStore.load(str(kept), embedder) if kept.exists() else InMemoryVectorStore(embedder)
add = store.add_documents


def add_and_keep(*args, **options):
    """Keep what was added, before the record manager says that it is there."""
    added = add(*args, **options)
    store.dump(str(kept))
    return added


store.add_documents = add_and_keep
documents = [Document(page_content=row["text"], metadata={"source": row["id"]}, id=row["id"]) for row in rows]
try:
    index(documents, manager, store, batch_size=10, cleanup=None, key_encoder="sha256")
finally:
    print("rows", len(manager.list_keys()))
