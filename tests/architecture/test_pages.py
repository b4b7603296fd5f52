"""The pages hang together: generated ones are up to date, every page is found from the site and the index, no link leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncrun.cli._app import build_app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("script", ["job_file_page.py", "man_page.py", "public_names.py"])
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
    assert sorted(leaves(config["nav"])) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


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
