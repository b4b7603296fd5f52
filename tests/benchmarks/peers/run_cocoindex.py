"""Embeds the texts of a file with a CocoIndex app, a component for each text, into files: BASE_URL INPUT FOLDER."""

import json
import os
import sys
from pathlib import Path

base_url, texts, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
os.environ["COCOINDEX_DB"] = str(folder / "state.db")

import cocoindex as coco  # noqa: E402
from cocoindex.connectors import localfs  # noqa: E402
from cocoindex.ops.litellm import LiteLLMEmbedder  # noqa: E402

embedder = LiteLLMEmbedder("openai/text-embedding-3-small", api_base=base_url, api_key="k", encoding_format="float")


@coco.fn(memo=True)
async def embed(row: dict[str, str], target: localfs.DirTarget) -> None:
    """Embed one text and declare its file."""
    vector = await embedder.embed(row["text"])
    target.declare_file(filename=f"{row['id']}.json", content=json.dumps([float(number) for number in vector]))


@coco.fn
async def main() -> None:
    """Mount a component for each text."""
    rows = [json.loads(line) for line in texts.read_text().splitlines()]
    target = await localfs.mount_dir_target(folder / "out")
    await coco.mount_each(embed, [(row["id"], row) for row in rows], target)


try:
    coco.App(coco.AppConfig(name="texts"), main).update_blocking()
finally:
    print("rows", len(list((folder / "out").glob("*.json"))))
