"""What a job's input promises: which files, which items, which ids, and what is said about the rest."""

import errno
import gzip
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asyncrun import registry
from asyncrun.errors import MissingExtraError, Place, StorageError, UsageError
from asyncrun.jobs.notes import file_notes
from asyncrun.readers import byte_lines
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.interface import Record
from asyncrun.readers.item_source import ItemSource
from asyncrun.records import BadItem, Item


def put(base: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def told(source: ItemSource) -> list[tuple[str, str]]:
    """Return id and text of each item, for a bad one its reason and message."""
    return [(item.id, item.text if isinstance(item, Item) else f"{item.reason}: {item.message}") for item in source.items()]


class TestIds:
    def test_a_record_has_its_own_or_gets_path_and_line(self, tmp_path: Path) -> None:
        put(
            tmp_path, {"data/a.jsonl": '{"id": "x", "text": "1"}\n\n{"text": "3"}\n{"id": null, "text": "4"}\n{"id": "", "text": "5"}\nbad'}
        )
        source = ItemSource(tmp_path, ("data/a.jsonl",))
        assert [item.id for item in source.items()] == ["x", "a.jsonl#3", "a.jsonl#4", "a.jsonl#5", "a.jsonl#6"]
        assert [str(item.place) for item in source.items()][:2] == ["data/a.jsonl:1", "data/a.jsonl:3"]

    def test_numbers_become_strings(self, tmp_path: Path) -> None:
        rows = [f'{{"id": {number}, "text": "t"}}' for number in ("7", "12345678901234567890", "1.5", "0")]
        put(tmp_path, {"a.jsonl": "\n".join(rows)})
        assert [item.id for item in ItemSource(tmp_path, ("a.jsonl",)).items()] == ["7", "12345678901234567890", "1.5", "0"]

    def test_an_id_that_is_no_text_fails_the_item_under_its_line(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"id": [1], "text": "1"}\n{"id": 123456789012345678901, "text": "2"}'})
        assert told(ItemSource(tmp_path, ("a.jsonl",))) == [
            ("a.jsonl#1", "bad_record: the field 'id' is a list, not a text"),
            ("a.jsonl#2", "bad_record: the field 'id' is a number too large to be read exactly; put it in quotes"),
        ]

    def test_they_may_be_a_field_or_a_template(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"meta": {"key": "k"}, "n": 1, "text": "t"}'})
        assert told(ItemSource(tmp_path, ("a.jsonl",), id="meta.key")) == [("k", "t")]
        assert told(ItemSource(tmp_path, ("a.jsonl",), id="{meta.key}/{n}")) == [("k/1", "t")]
        assert told(ItemSource(tmp_path, ("a.jsonl",), id="{m}/{n}")) == [("a.jsonl#1", "bad_record: no field 'm'; known: meta, n, text")]

    def test_a_document_is_its_path_below_the_first_wildcard_or_the_root(self, tmp_path: Path) -> None:
        put(tmp_path, {"docs/a.md": "A", "docs/deep/b.md": "B", "other/c.txt": "C"})
        paths = ("docs/**/*.md", "other/c.txt")
        assert told(ItemSource(tmp_path, paths)) == [("a.md", "A"), ("deep/b.md", "B"), ("c.txt", "C")]
        assert told(ItemSource(tmp_path, paths, root=".")) == [("docs/a.md", "A"), ("docs/deep/b.md", "B"), ("other/c.txt", "C")]
        assert told(ItemSource(tmp_path, (str(tmp_path / "docs/**/*.md"),), root="docs")) == [("a.md", "A"), ("deep/b.md", "B")]
        with pytest.raises(UsageError, match=r"other/c\.txt: is not under the root 'docs'"):
            told(ItemSource(tmp_path, paths, root="docs"))

    def test_rows_below_a_glob_are_named_by_their_file(self, tmp_path: Path) -> None:
        put(tmp_path, {"in/x/a.txt": "one\n\nthree", "in/b.txt": "four"})
        assert told(ItemSource(tmp_path, ("in/**/*.txt",), format="lines")) == [
            ("b.txt#1", "four"),
            ("x/a.txt#1", "one"),
            ("x/a.txt#3", "three"),
        ]

    def test_inline_items_are_counted(self, tmp_path: Path) -> None:
        source = ItemSource(tmp_path, inline=("one", {"text": "two", "id": "x"}, {"text": "three"}))
        assert told(source) == [("items#1", "one"), ("x", "two"), ("items#3", "three")]
        assert [item.place for item in source.items()][2] == Place("items", 3)

    def test_those_without_one_are_told(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"id": 1, "text": "a"}\n{"text": "b"}\nbad\n', "b.md": "doc"})
        unnamed: list[Item] = []
        list(ItemSource(tmp_path, ("a.jsonl", "b.md"), inline=("c",)).items(on_unnamed=unnamed.append))
        assert [item.id for item in unnamed] == ["a.jsonl#2", "items#1"]

    def test_a_file_name_that_is_not_utf8_makes_an_id_that_is(self, tmp_path: Path) -> None:
        try:
            (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        (item,) = ItemSource(tmp_path, ("*.txt",)).items()
        assert item.id == "caf\\udce9.txt"
        str(item.place).encode()


class TestTexts:
    def test_a_field_that_is_missing_fails_the_item_and_names_what_is_there(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"id": "x", "txt": "1"}\n{"id": "y", "text": "2"}\n'})
        bad, good = ItemSource(tmp_path, ("a.jsonl",)).items()
        assert bad == BadItem("x", Place("a.jsonl", 1), "bad_record", "no field 'text'; known: id, txt; did you mean 'txt'?")
        assert isinstance(good, Item)

    def test_a_template_takes_several_fields(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"title": "T", "text": "x", "year": 1999}'})
        assert told(ItemSource(tmp_path, ("a.jsonl",), text="{title}. {text} ({year})")) == [("a.jsonl#1", "T. x (1999)")]

    def test_a_template_of_blank_fields_is_an_empty_text_and_no_punctuation(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"title": " ", "text": ""}\n{"title": "", "text": "x"}\n'})
        assert told(ItemSource(tmp_path, ("a.jsonl",), text="{title}. {text}")) == [("a.jsonl#1", ""), ("a.jsonl#2", ". x")]

    def test_empty_and_control_characters_are_passed_on(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": rb'{"text": ""}' + b"\n" + rb'{"text": "a\u0000b\u001b"}'})
        assert told(ItemSource(tmp_path, ("a.jsonl",))) == [("a.jsonl#1", ""), ("a.jsonl#2", "a\0b\x1b")]

    def test_half_of_a_surrogate_pair_fails_the_item(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": rb'{"text": "a\ud83d"}' + b"\n" + rb'{"text": "\ud83d\ude00"}'})
        bad, good = ItemSource(tmp_path, ("a.jsonl",)).items()
        assert isinstance(bad, BadItem)
        assert bad.reason == "bad_text"
        assert isinstance(good, Item)
        assert good.text == "\N{GRINNING FACE}"

    def test_a_record_with_half_of_a_surrogate_pair_keeps_the_id_that_it_has(self, tmp_path: Path) -> None:
        lines = [rb'{"id": "n1", "text": "\ud83d"}', rb'{"id": "\ud83d", "text": "x"}', rb'{"id": "n3", "text": "\ud83d"', rb'["\ud83d"]']
        put(tmp_path, {"a.jsonl": b"\n".join(lines)})
        assert [item.id for item in ItemSource(tmp_path, ("a.jsonl",)).items()] == ["n1", "a.jsonl#2", "a.jsonl#3", "a.jsonl#4"]

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("\ud83d", "bad_text"),
            ({"text": "x", "id": "\ud83d"}, "bad_text"),
            ([1], "bad_record"),
            (None, "bad_record"),
            ({1: 2}, "bad_record"),
            (object(), "bad_record"),
        ],
    )
    def test_inline_items_that_are_none_are_set_aside(self, tmp_path: Path, value: Any, reason: str) -> None:
        first, second = ItemSource(tmp_path, inline=(value, 7)).items()
        assert isinstance(first, BadItem)
        assert (first.id, first.reason) == ("items#1", reason)
        assert isinstance(second, Item)
        assert second.text == "7"

    def test_metadata_are_the_fields_named_as_they_are(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.jsonl": '{"text": "t", "lang": "en", "author": {"name": "N"}, "tags": [1, null], "other": 1}'})
        (item,) = ItemSource(tmp_path, ("a.jsonl",), metadata=("lang", "author.name", "tags", "none")).items()
        assert isinstance(item, Item)
        assert item.metadata == {"lang": "en", "author.name": "N", "tags": [1, None]}


class TestFiles:
    def test_metadata_that_no_output_can_hold_fail_the_item_before_it_is_sent(self, tmp_path: Path) -> None:
        table = pa.table({"id": ["a", "b"], "text": ["one", "two"], "picture": [b"\xff\xd8", None]})
        pq.write_table(table, tmp_path / "a.parquet")
        assert told(ItemSource(tmp_path, ("a.parquet",), metadata=("picture",))) == [
            ("a", "bad_record: the metadata cannot be written: Type is not JSON serializable: bytes"),
            ("b", "two"),
        ]

    def test_formats_follow_the_ending(self, tmp_path: Path) -> None:
        put(
            tmp_path,
            {
                "a.JSONL": '{"text": "a"}',
                "b.ndjson": '{"text": "b"}',
                "c.txt": "c\nc",
                "d.md": "# d",
                "e.markdown": "e",
                "f.jsonl.gz": gzip.compress(b'{"text": "f"}'),
                "g.txt.gz": gzip.compress(b"g"),
            },
        )
        texts = [item.text for item in ItemSource(tmp_path, ("*",)).items() if isinstance(item, Item)]
        assert texts == ["a", "b", "c\nc", "# d", "e", "f", "g"]

    def test_what_a_glob_matches_but_cannot_be_read_is_counted(self, tmp_path: Path) -> None:
        put(tmp_path, {"d/a.md": "a", "d/.b.md": "b", "d/c.exe": "c", "d/sub/none": "", ".git/d.md": "d"})
        (tmp_path / "d/link.md").symlink_to(tmp_path / "d/a.md")
        os.mkfifo(tmp_path / "d/pipe.md")
        found = ItemSource(tmp_path, ("**/*",)).check()
        assert [file.shown for file in found.files] == ["d/a.md"]
        assert sorted(found.skipped) == ["d/.b.md", "d/c.exe", "d/link.md", "d/pipe.md", "d/sub/none"]

    def test_order_is_that_of_the_paths_and_a_file_comes_once(self, tmp_path: Path) -> None:
        put(tmp_path, {name: name for name in ("b.md", "a.md", "z/a.md", "a/z.md")})
        found = ItemSource(tmp_path, ("z/*.md", "**/*.md", "./a.md", str(tmp_path / "b.md"))).check()
        assert [file.shown for file in found.files] == ["z/a.md", "a.md", "a/z.md", "b.md"]

    def test_excluded_files_are_left_out_and_not_counted(self, tmp_path: Path) -> None:
        put(tmp_path, {name: name for name in ("docs/a.md", "docs/drafts/b.md", "docs/CHANGELOG.md")})
        found = ItemSource(tmp_path, ("docs/**/*.md",), exclude=("drafts", "docs/CHANGE*.md")).check()
        assert ([file.name for file in found.files], found.skipped) == (["a.md"], ())

    def test_a_literal_symbolic_link_is_read(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.md": "a"})
        (tmp_path / "link.md").symlink_to("a.md")
        assert told(ItemSource(tmp_path, ("link.md",))) == [("link.md", "a")]

    def test_a_name_with_wildcards_in_it_that_exists_is_a_name(self, tmp_path: Path) -> None:
        put(tmp_path, {"a[1].md": "brackets", "a1.md": "one"})
        assert told(ItemSource(tmp_path, ("a[1].md",))) == [("a[1].md", "brackets")]

    def test_several_passes_read_the_same_files(self, tmp_path: Path) -> None:
        put(tmp_path, {"a.md": "a"})
        source = ItemSource(tmp_path, ("*.md",))
        found = source.check()
        put(tmp_path, {"a.md": "a", "b.md": "b"})
        assert [item.id for item in source.items(found)] == ["a.md"]
        assert [item.id for item in source.items()] == ["a.md", "b.md"]
        assert list(source.items()) == list(source.items())


class TestMistakes:
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("nots.jsonl", "nots.jsonl: no such file; did you mean 'notes.jsonl'?"),
            ("dcos/a.md", "dcos/a.md: no such file or folder: there is no 'dcos'; did you mean 'docs'?"),
            ("docs/zzz", "docs/zzz: no such file"),
            ("notes.jsonl/x.md", "notes.jsonl/x.md: no such file"),
            ("dosc/*.md", "dosc: no such file; did you mean 'docs'?"),
            ("docs/*.txt", "docs/*.txt: no file matches"),
            ("docs/*.bin", "docs/*.bin: no file matches that can be read: 1 hidden, linked or of an unknown type"),
            ("docs", "docs: is a folder, not a file"),
            ("docs/x.bin", "docs/x.bin: nothing is known about files with the ending '.bin'"),
            ("pipe", "pipe: is not a regular file"),
            ("/dev/null", "/dev/null: is not a regular file"),
            ("-", "-: standard input was not read"),
        ],
    )
    def test_a_path_that_leads_to_no_input(self, tmp_path: Path, path: str, message: str) -> None:
        put(tmp_path, {"notes.jsonl": "", "docs/a.md": "", "docs/x.bin": ""})
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError) as caught:
            ItemSource(tmp_path, (path,)).check()
        assert str(caught.value) == message
        assert caught.value.hint
        with pytest.raises(UsageError):
            list(ItemSource(tmp_path, (path,)).items())

    def test_a_glob_may_be_empty_when_that_is_allowed(self, tmp_path: Path) -> None:
        assert ItemSource(tmp_path, ("*.md", "none/*.md"), allow_empty=True).check().files == ()
        with pytest.raises(UsageError):
            ItemSource(tmp_path, ("a.md",), allow_empty=True).check()

    def test_braces_get_a_hint_of_their_own(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            ItemSource(tmp_path, ("*.{md,txt}",)).check()
        assert caught.value.hint == "Braces are not expanded: write a list of patterns."

    @pytest.mark.parametrize("changed", [{"format": "jsnol"}, {"text": "{"}, {"id": ""}])
    def test_settings_that_cannot_be_used(self, tmp_path: Path, changed: dict[str, Any]) -> None:
        put(tmp_path, {"a.md": ""})
        with pytest.raises(UsageError):
            ItemSource(tmp_path, ("a.md",), **changed).check()

    @pytest.mark.parametrize("path", ["a\0b.md", "\ud800.md", "x" * 300 + ".md"])
    def test_a_path_that_no_file_can_have_is_an_error_of_ours(self, tmp_path: Path, path: str) -> None:
        with pytest.raises((UsageError, StorageError)):
            ItemSource(tmp_path, (path,)).check()


class TestStandardInput:
    def test_it_is_jsonl_or_lines_unless_the_format_says_so(self, tmp_path: Path) -> None:
        source = ItemSource(tmp_path, ("-",), stdin=tmp_path / "spool")
        put(tmp_path, {"spool": '\n {"text": "a"}\n{"id": "x", "text": "b"}'})
        assert told(source) == [("-#2", "a"), ("x", "b")]
        put(tmp_path, {"spool": "plain\nwords"})
        assert told(source) == [("-#1", "plain"), ("-#2", "words")]
        assert told(ItemSource(tmp_path, ("-",), format="text", stdin=tmp_path / "spool")) == [("-", "plain\nwords")]

    def test_nothing_is_no_item(self, tmp_path: Path) -> None:
        put(tmp_path, {"spool": ""})
        assert told(ItemSource(tmp_path, ("-",), stdin=tmp_path / "spool")) == []


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, as seen by a user who is not root: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            for path in folder.iterdir():
                path.chmod(0o700)


class TestUnreadable:
    def test_a_document_that_may_not_be_read_fails_alone(self, unprivileged: Path) -> None:
        put(unprivileged, {"a.md": "a", "b.txt": "b", "c.md": "c"})
        (unprivileged / "a.md").chmod(0)
        (unprivileged / "b.txt").chmod(0)
        assert told(ItemSource(unprivileged, ("*",))) == [
            ("a.md", "unreadable: cannot be read to its end: Permission denied"),
            ("b.txt", "unreadable: cannot be read to its end: Permission denied"),
            ("c.md", "c"),
        ]

    def test_rows_that_may_not_be_read_end_the_job_with_the_name_of_their_file(self, unprivileged: Path) -> None:
        put(unprivileged, {"a.jsonl": '{"text": "a"}', "b.md": "b"})
        (unprivileged / "a.jsonl").chmod(0)
        with pytest.raises(StorageError, match=r"^a\.jsonl: cannot be read to its end: Permission denied"):
            list(ItemSource(unprivileged, ("*",)).items())

    def test_a_process_that_may_open_no_further_file_blames_no_document(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(tmp_path, {"a.md": "a"})

        def refuse(path: Path, *_: object, **__: object) -> object:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(StorageError, match=r"^a\.md: cannot be read to its end: Too many open files"):
            list(ItemSource(tmp_path, ("a.md",)).items())

    def test_a_folder_that_may_not_be_listed_is_named_and_not_taken_for_empty(self, unprivileged: Path) -> None:
        put(unprivileged, {"a.md": "a", "sub/b.md": "b"})
        (unprivileged / "sub").chmod(0)
        with pytest.raises(StorageError, match=r"^sub: the folder cannot be listed: Permission denied"):
            ItemSource(unprivileged, ("**/*.md",)).check()
        with pytest.raises(StorageError, match=r"^sub/b\.md: cannot be looked at: Permission denied"):
            ItemSource(unprivileged, ("sub/b.md",)).check()


class TestManyFiles:
    @pytest.mark.parametrize("number", [2, 200])
    def test_for_what_is_built_in_nobody_looks_at_the_installed_packages(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        put(tmp_path, {f"docs/{index}.{ending}": "a text" for index in range(number // 2) for ending in ("md", "txt")})
        looked: list[object] = []

        def looking(**chosen: str) -> metadata.EntryPoints:
            looked.append(chosen)
            return metadata.entry_points(**chosen)

        monkeypatch.setattr("asyncrun.plugins.entry_points", looking)
        source = ItemSource(tmp_path, ("docs/*",))
        assert len(list(source.items())) == number
        assert looked == []


class TestWhatItemsKeep:
    def test_a_document_keeps_all_that_it_says_of_itself_and_a_row_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read_as(monkeypatch, {"text": "T", "title": "A", "date": date(2026, 1, 2)}, Place("a.md"))
        (item,) = documents(tmp_path).items()
        assert isinstance(item, Item)
        assert dict(item.metadata) == {"title": "A", "date": "2026-01-02"}
        read_as(monkeypatch, {"text": "T", "title": "A"}, Place("a.md", 1))
        assert [dict(item.metadata) for item in documents(tmp_path).items() if isinstance(item, Item)] == [{}]

    def test_what_is_named_is_kept_of_both_and_nothing_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for place in (Place("a.md"), Place("a.md", 1)):
            read_as(monkeypatch, {"text": "T", "title": "A", "date": "x"}, place)
            for named, kept in ((("title", "text"), {"title": "A", "text": "T"}), ((), {})):
                assert [dict(item.metadata) for item in documents(tmp_path, named).items() if isinstance(item, Item)] == [kept]

    def test_the_field_that_is_the_text_is_not_kept_beside_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read_as(monkeypatch, {"text": "T", "abstract": "B", "title": "A"}, Place("a.md"))
        (item,) = replace(documents(tmp_path), text="abstract").items()
        assert isinstance(item, Item)
        assert (item.text, dict(item.metadata)) == ("B", {"title": "A"})

    def test_what_has_no_json_form_fails_the_document(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read_as(monkeypatch, {"text": "T", "cover": b"\xff"}, Place("a.md"))
        assert told(documents(tmp_path)) == [("a.md", "bad_record: the metadata cannot be written: Type is not JSON serializable: bytes")]

    def test_what_readers_remark_is_told_once_with_a_count_and_an_example(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read_as(monkeypatch, {"text": "T"}, Place("a.md"), remark="read in haste")
        put(tmp_path, {"a.md": "a", "b.md": "b"})
        source = DistinctSource(ItemSource(tmp_path, ("a.md", "b.md")))
        for _ in range(2):
            assert len(list(source.items())) == 2
            assert source.remarks == ("2 files read in haste: a.md, ...",)


def documents(base: Path, metadata: tuple[str, ...] | None = None) -> ItemSource:
    put(base, {"a.md": "as it is"})
    return ItemSource(base, ("a.md",), metadata=metadata)


def read_as(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], place: Place, remark: str = "") -> None:
    """Let every Markdown file be one record of these fields."""
    monkeypatch.setattr("asyncrun.readers.markdown.read_markdown", lambda path, shown: iter([Record(fields, place, remark)]))


class TestEncodings:
    def test_the_input_says_what_its_text_files_are(self, tmp_path: Path) -> None:
        put(
            tmp_path,
            {"a.csv": "id;text\nx;süß".encode("latin-1"), "b.txt": "Flüße".encode("latin-1"), "c.jsonl": b'{"id": "z", "text": "\xe9"}'},
        )
        source = ItemSource(tmp_path, ("a.csv", "b.txt", "c.jsonl"), encoding="latin-1", delimiter=";")
        assert told(source) == [("x", "süß"), ("b.txt", "Flüße"), ("z", "é")]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
    def test_standard_input_is_told_apart_in_its_encoding(self, tmp_path: Path, encoding: str) -> None:
        put(tmp_path, {"stdin": '{"id": "x", "text": "é"}\n'.encode(encoding)})
        assert told(ItemSource(tmp_path, ("-",), stdin=tmp_path / "stdin", encoding=encoding)) == [("x", "é")]


class TestMissingExtras:
    @pytest.fixture(autouse=True)
    def bare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing of the extras is installed."""
        monkeypatch.setattr(registry.importlib.util, "find_spec", lambda _: None)
        monkeypatch.setattr(byte_lines, "find_zstd", lambda: None)

    def test_files_that_need_one_are_passed_over_by_a_glob_and_counted(self, tmp_path: Path) -> None:
        put(tmp_path, {"d/a.md": "A", "d/b.html": "B", "d/c.txt.zst": "C", "d/d.xyz": "D"})
        source = DistinctSource(ItemSource(tmp_path, ("d/*",)))
        assert [item.id for item in source.items()] == ["a.md"]
        assert file_notes(source) == (
            "1 file passed over, hidden or of a type that nothing reads: d/d.xyz",
            "1 file passed over: html needs the extra 'documents', which is not installed. "
            "Install it: pip install 'asyncrun[documents]': d/b.html",
            "1 file passed over: .zst needs the extra 'zstd', which is not installed. "
            "Install it: pip install 'asyncrun[zstd]': d/c.txt.zst",
        )

    def test_a_glob_of_nothing_else_is_refused_with_the_command(self, tmp_path: Path) -> None:
        put(tmp_path, {"d/b.html": "B"})
        with pytest.raises(MissingExtraError, match="html needs the extra 'documents'") as caught:
            ItemSource(tmp_path, ("d/*",)).check()
        assert caught.value.hint == "Install it: pip install 'asyncrun[documents]'."


class TestLargeInputs:
    def test_files_of_a_hundred_folders_are_found_in_order_in_little_memory(self, tmp_path: Path) -> None:
        names = sorted(f"d{folder:02}/f{file:02}.md" for folder in range(50) for file in range(40))
        put(tmp_path, dict.fromkeys(names, "text"))
        tracemalloc.start()
        inventory = ItemSource(tmp_path, ("**/*.md",)).check()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [file.name for file in inventory.files] == names
        assert size < 2000 * 1500

    def test_a_file_above_the_limit_is_one_failed_item_and_is_not_held(self, tmp_path: Path) -> None:
        with (tmp_path / "a.md").open("wb") as file:
            file.truncate(300 * 1024 * 1024)
        put(tmp_path, {"b.md": "B"})
        tracemalloc.start()
        assert told(ItemSource(tmp_path, ("a.md", "b.md"))) == [
            ("a.md", "bad_record: the file is longer than 64 MB; set format: lines if a line is a text"),
            ("b.md", "B"),
        ]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 160 * 1024 * 1024

    def test_a_document_that_goes_while_others_are_read_fails_alone(self, tmp_path: Path) -> None:
        put(tmp_path, {"d/a.md": "A", "d/b.md": "B", "d/c.md": "C"})
        items = ItemSource(tmp_path, ("d/*.md",)).items()
        assert next(items).id == "a.md"
        (tmp_path / "d/b.md").unlink()
        gone = next(items)
        assert isinstance(gone, BadItem)
        assert (gone.id, gone.reason, gone.message) == ("b.md", "unreadable", "cannot be read to its end: No such file or directory")
        assert next(items).text == "C"
