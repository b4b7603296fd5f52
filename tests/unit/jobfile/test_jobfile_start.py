"""Loading a job file imports what it needs and no more."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import pathlib, sys
import asyncrun.jobfile
options = asyncrun.jobfile.LoadOptions(check_inputs=False)
asyncrun.jobfile.parse_job_file("jobs: [{name: a, kind: embed, input: i, output: o.jsonl}]", pathlib.Path("f"), options)
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def test_only_pydantic_and_yaml_are_imported():
    loaded = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout.split()
    assert {"pydantic", "yaml"} <= set(loaded)
    assert not {"numpy", "httpx", "rich", "typer", "onnxruntime", "orjson", "asyncio"}.intersection(loaded)
