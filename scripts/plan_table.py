"""Measures what `plan` says against what `run` does, on the Cranfield collection, and writes the table into docs/plan.md.

Run: python scripts/plan_table.py FOLDER, with docs.jsonl and queries.jsonl in it; --check only tells whether the table is up to date.
It fails when requests are not exact, or tokens are off by more than 10 %.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plan.md"
HEAD = "| server | job | requests planned | requests sent | tokens planned | tokens used | off |\n|---|---|---|---|---|---|---|\n"
MOST_OFF = 0.1
JOBS = """
embedders:
  remote: {provider: openai, model: m, base_url: "${SERVER}", price_per_million_tokens: 0.02, batch: {max_items: 96},
    on_empty: skip}
  places: {provider: openai, model: m, space: two-places, batch: {max_items: 96},
    endpoints: [{base_url: "${SERVER}"}, {base_url: "${SECOND}"}]}
jobs:
  - {name: documents, kind: embed, input: {path: "${CRANFIELD}/docs.jsonl", text: "{title}. {text}"}, embedder: remote,
     output: documents.jsonl}
  - {name: ingest, kind: ingest, needs: [documents], embedder: remote, input: {path: "${CRANFIELD}/docs.jsonl", text: "{title}. {text}"},
     chunk: {by: sentence, size: 128}, store: {path: index.db}, collection: cranfield}
  - {name: queries, kind: query, needs: [ingest], input: "${CRANFIELD}/queries.jsonl", embedder: remote, store: {path: index.db},
     collection: cranfield, output: queries.jsonl}
  - {name: two-places, kind: embed, input: "${CRANFIELD}/queries.jsonl", embedder: places, output: places.jsonl}
  - {name: local-queries, kind: embed, input: "${CRANFIELD}/queries.jsonl", output: local.jsonl}
"""


def _dearer(document: dict[str, Any]) -> dict[str, Any]:
    """Answer as a server whose tokens are shorter than the four bytes of the rule."""
    document["usage"]["prompt_tokens"] = document["usage"]["total_tokens"] = round(document["usage"]["total_tokens"] * 1.3)
    return document


class _Bench:
    """A folder with the jobs, and two servers that they send to."""

    def __init__(self, folder: Path, data: Path, servers: tuple[FakeServer, FakeServer]) -> None:
        (folder / "jobs.yaml").write_text(JOBS)
        first, second = servers
        self.folder, self.servers = folder, servers
        self.environ = {**os.environ, "CRANFIELD": str(data.resolve()), "SERVER": first.base_url, "SECOND": second.base_url}

    def asyncrun(self, *arguments: str) -> dict[str, Any]:
        """Return the last JSON document that a command prints."""
        command = [sys.executable, "-m", "asyncrun", *arguments, "--json"]
        ran = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"{' '.join(arguments)}: exit code {ran.returncode}\n{ran.stderr}")
        document: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        return document

    def rows(self, server: str, jobs: tuple[str, ...]) -> Iterator[str]:
        """Plan, run, and yield a row a job."""
        planned = self.asyncrun("plan", "jobs.yaml", *jobs)["jobs"]
        before = self._requests()
        ran = {job["name"]: job for job in self.asyncrun("run", "jobs.yaml", *jobs)["jobs"]}
        if self._requests() - before != sum(job["requests"] for job in planned if job["name"] != "local-queries"):
            sys.exit(f"{server}: the servers got another number of requests than was planned")
        for job in planned:
            did = ran[job["name"]]
            off = job["tokens"] / did["tokens"] - 1
            if job["requests"] != did["requests"] or abs(off) > MOST_OFF:
                counts = f"{job['requests']} and {job['tokens']}, was {did['requests']} and {did['tokens']}"
                sys.exit(f"{server}, {job['name']}: planned {counts}")
            how = "counted" if job["exact"] else "estimated"
            requests = f"{job['requests']} | {did['requests']}"
            yield f"| {server} | {job['name']} | {requests} | {job['tokens']:,} ({how}) | {did['tokens']:,} | {off:+.1%} |\n"

    def _requests(self) -> int:
        return sum(len(server.requests) for server in self.servers)


@contextmanager
def _bench(data: Path, *faults: Fault) -> Iterator[_Bench]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one, other = (stack.enter_context(FakeServer(faults=list(faults)).in_thread()) for _ in range(2))
        yield _Bench(folder, data, (one, other))


def measure(data: Path) -> str:
    """Return the table."""
    jobs = ("documents", "ingest", "queries", "two-places")
    rows: list[str] = []
    with _bench(data) as bench:
        rows += bench.rows("four bytes a token", (*jobs, "local-queries"))
    with _bench(data, Fault(change=_dearer, times=None)) as bench:
        # The first items teach how many tokens a byte has in a space.
        bench.asyncrun("run", "jobs.yaml", "documents", "two-places", "--limit", "100")
        rows += bench.rows("three bytes a token", jobs)
    return HEAD + "".join(rows)


def with_table(page: str, table: str) -> str:
    """Return the page with this table in the place of its own."""
    before, head, rest = page.partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :] if head else ""
    return before + table + after


def main() -> int:
    """Write the table, or only tell whether it is up to date."""
    folders = [word for word in sys.argv[1:] if not word.startswith("-")]
    if len(folders) != 1:
        sys.exit(__doc__)
    page = PAGE.read_text(encoding="utf-8")
    now = with_table(page, measure(Path(folders[0])))
    if "--check" not in sys.argv:
        PAGE.write_text(now, encoding="utf-8")
    elif now != page:
        print("docs/plan.md is out of date; run: python scripts/plan_table.py FOLDER", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
