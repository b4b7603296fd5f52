"""Embeds the texts of a file with Daft's embed_text into Parquet: BASE_URL INPUT FOLDER."""

import sys
from pathlib import Path

import daft
from daft.ai.openai.provider import OpenAIProvider
from daft.functions.ai import embed_text

base_url, texts, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
provider = OpenAIProvider(base_url=base_url, api_key="k")
embedded = embed_text(daft.col("text"), provider=provider, model="text-embedding-3-small", dimensions=8, batch_size=10, on_error="ignore")
written = daft.read_json(texts).with_column("vector", embedded).write_parquet(str(folder / "out"), write_mode="overwrite")
table = daft.read_parquet([str(path) for path in written.to_pydict()["path"]])
print("rows", table.where(daft.col("vector").not_null()).count_rows())
