"""What patterns match: Python's glob says it, without symbolic links."""

import glob
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.errors import UsageError
from asyncrun.grammar.globs import parse_exclude, parse_glob
from tests.depth import times

NAMES = ["b.md", "a.txt", "A", ".h", ".h.md", "x[1].md", "a-b", "é.md", "]", "^"]
PARTS = [
    "a",
    "*",
    "**",
    "*.md",
    "?",
    "[ab]*",
    "[!a]*",
    "*[1]*",
    ".*",
    ".h*",
    "[]]",
    "[!]]*",
    "[a-c].*",
    "[",
    "x[[]1].md",
    "[^]",
    "**a",
    "*a*",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("tree")
    for first in ("a", "b", ".hidden", "a-b"):
        for second in ("", "a", "c", ".hide"):
            folder = base / first / second
            folder.mkdir(parents=True, exist_ok=True)
            for name in NAMES:
                if not (folder / name).exists():
                    (folder / name).write_text("")
    for name in NAMES:
        if not (base / name).exists():
            (base / name).write_text("")
    return base


@settings(max_examples=times(quick=60, deep=300))
@given(parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=4))
def test_matches_the_files_that_glob_matches(tree: Path, parts: list[str]) -> None:
    pattern = "/".join(parts)
    found = parse_glob(pattern, tree)
    try:
        ours = {str(Path(found.shown) / path) for path, is_input in found.walk(lambda path: False) if is_input}
    except (FileNotFoundError, NotADirectoryError):
        ours = set()
    matches = glob.glob(pattern, root_dir=tree, recursive=True)  # noqa: PTH207 - Path.glob has other rules for hidden files
    theirs = {path for path in matches if (tree / path).is_file()}
    if glob.has_magic(pattern):
        assert ours == theirs


def test_a_loop_of_symbolic_links_is_not_walked(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("")
    for name in ("one", "two", "three"):
        (tmp_path / name).symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link.md").symlink_to(tmp_path / "a.md")
    assert sorted(parse_glob("**/*.md", tmp_path).walk(lambda path: False)) == [("a.md", True), ("link.md", False)]


def test_a_hidden_folder_is_looked_into_only_when_the_pattern_names_it(tmp_path: Path) -> None:
    for folder in ("a/.git", "a/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.md").write_text("")

    def inputs(pattern: str) -> list[str]:
        return sorted(path for path, is_input in parse_glob(pattern, tmp_path).walk(lambda path: False) if is_input)

    assert inputs("**/*.md") == ["a/b/x.md"]
    assert inputs("**/.git/*.md") == ["a/.git/x.md"]
    assert inputs("a/.git/*.md") == ["x.md"]


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("drafts", "/base/docs/drafts/a.md", True),
        ("draft-*", "/base/docs/draft-1.md", True),
        ("draft-*", "/base/docs/a-draft-1.md", False),
        ("docs/drafts", "/base/docs/drafts/deep/a.md", True),
        ("docs/drafts/", "/base/docs/drafts/a.md", True),
        ("docs/drafts", "/base/docs/drafts2/a.md", False),
        ("docs/drafts", "/base/other/docs/drafts/a.md", False),
        ("**/drafts/**", "/base/other/docs/drafts/a.md", True),
        ("**/*.tmp.md", "/base/a.tmp.md", True),
        ("/elsewhere/*.md", "/elsewhere/a.md", True),
        ("*.md", "/base/.hidden.md", True),
        ("a", "/base/a\nb/a", True),
    ],
)
def test_excludes(pattern: str, path: str, excluded: bool) -> None:
    assert parse_exclude((pattern,), Path("/base"))(path) is excluded


def test_a_range_that_cannot_be_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="the pattern 'a/\\[z-a\\]' cannot be used"):
        parse_glob("a/[z-a]", Path("/base"))
    with pytest.raises(UsageError):
        parse_exclude(("[z-a]",), Path("/base"))


@pytest.mark.parametrize(
    ("path", "covered"),
    [("/base/out/a.jsonl", True), ("/base/out/.a.jsonl", False), ("/base/out/b/a.jsonl", False), ("/out/a.jsonl", False)],
)
def test_tells_what_it_would_match_before_it_is_there(path: str, covered: bool) -> None:
    assert parse_glob("./out/*.jsonl", Path("/base")).covers(path) is covered
