"""Embeds the texts of a file with asyncrun's command line: BASE_URL INPUT FOLDER."""

import subprocess
import sys
from pathlib import Path

base_url, texts, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
job = folder / "job.yaml"
job.write_text(
    f"""jobs:
  - name: embed
    kind: embed
    input: {texts}
    embedder: {{provider: openai, model: text-embedding-3-small, base_url: "{base_url}", batch: {{max_items: 10}}}}
    output: out.jsonl
"""
)
ended = subprocess.run([sys.executable, "-m", "asyncrun", "run", str(job), "-q"], cwd=folder, check=False)
rows = folder / "out.jsonl"
print("rows", len(rows.read_text().splitlines()) if rows.exists() else 0)
sys.exit(ended.returncode)
