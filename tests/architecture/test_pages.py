"""The pages hang together: generated ones are up to date, every page is found from the site and the index, no link leads nowhere."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from asyncrun import errors
from asyncrun.cli._app import build_app
from asyncrun.errors import Place
from asyncrun.failure_groups import FailureGroup
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.ui.run_notice import NoticeSource, render_notice
from asyncrun.usage import Usage

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MADE_WITH_THE_SITE = "library-reference.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("script", ["job_file_page.py", "man_page.py", "public_names.py", "troubleshooting_page.py"])
def test_a_generated_file_is_up_to_date(script: str) -> None:
    checked = subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def leaves(nav: Any) -> Iterator[str]:
    for entry in nav:
        [value] = entry.values()
        yield from [value] if isinstance(value, str) else leaves(value)


def test_the_site_shows_every_page_once() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["strict"]
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(leaves(config["nav"])) == sorted({*written, MADE_WITH_THE_SITE})


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_public_name() -> None:
    reference = script("library_reference")
    found = re.findall(r"^### (.*)$", reference.page(), re.MULTILINE)
    public = {name for package in reference.PACKAGES for name in importlib.import_module(package).__all__}
    assert set(found) == public


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Python-Markdown make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_leads_nowhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if target == DOCS / MADE_WITH_THE_SITE:
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
        # The site has nothing above its folder.
        assert not page.is_relative_to(DOCS) or target.is_relative_to(DOCS), link


def names(group: Any, above: str) -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{above} {name}"
        yield from names(command, f"{above} {name}") if hasattr(command, "commands") else ()


def test_the_manual_page_tells_of_every_command_and_comes_with_the_wheel() -> None:
    told = (ROOT / "man" / "asyncrun.1").read_text(encoding="utf-8").replace("\\-", "-")
    assert [name for name in names(build_app(), "asyncrun") if f'.SS "{name} ' not in told] == []
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"man/asyncrun.1": "share/man/man1/asyncrun.1"}


def test_troubleshooting_knows_every_error_and_quotes_what_is_said() -> None:
    page = script("troubleshooting_page")
    # The roots are raised by none; an item's error stands in the list of failed ones.
    roots = {"AsyncrunError", "UsageError", "JobFailedError", "TryLaterError", "ItemError", "ArgumentError"}
    known = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.AsyncrunError)}
    assert page.WORDS.keys() == known - roots
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "asyncrun").rglob("*.py"))
    assert [words for words in page.WORDS.values() if words not in said] == []


def test_a_notice_reads_as_the_page_on_notices_shows_it() -> None:
    failed = [
        FailureGroup(10, ItemFailure("n12", Place("data.jsonl", 12), "bad_record", "no field 'title'")),
        FailureGroup(2, ItemFailure("n40", Place("data.jsonl", 40), "too_long", "9,000 tokens, 8,192 at most")),
    ]
    counts = Counts(items=1240, ok=1228, failed=12)
    notes = JobResult("notes", "embed", Status.PARTIAL, 3, counts=counts, usage=Usage(cost=0.02), failure_groups=tuple(failed))
    docs = JobResult("docs", "ingest", Status.FAILED, 77, "the endpoint refused the key", "Check OPENAI_API_KEY.")
    where = NoticeSource("nightly.yaml", Path("/srv/nightly.yaml"), "web-3", "-f /srv/nightly.yaml")
    notice = render_notice(RunResult("20261128-021500-4f2a", (notes, docs), 200.0), where)
    block = f"```text\nSubject: {notice.title}\n\n{notice.body}\n```\n"
    assert block in (DOCS / "notices.md").read_text(encoding="utf-8"), f"the page has to show:\n{block}"
