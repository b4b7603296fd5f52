"""The files that a job file names: itself, its inputs, its keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asyncrun.errors import JobFileError
from asyncrun.jobfile import JobFile, LoadOptions, load_job_file

JOBS = "jobs:\n  - {name: a, kind: embed, input: notes.jsonl, output: out/vectors.jsonl}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the job file; the user is in the one above."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my"
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "docs" / "deep" / "a.md").write_text("# a")
    (folder / "notes.jsonl").write_text("{}\n")
    return folder


def load(folder: Path, text: str | bytes, **options) -> JobFile:
    (folder / "jobs.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_job_file(Path(os.path.relpath(folder / "jobs.yaml")), LoadOptions(**options))


def mistakes(folder: Path, text: str | bytes, **options) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        load(folder, text, **options)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_file_is_read_where_it_stands(folder):
    job_file = load(folder, JOBS)
    assert (job_file.root, job_file.path) == (folder, Path("my/jobs.yaml"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_unicode_encoding_with_a_mark_is_read(folder, encoding):
    text = JOBS.replace("notes.jsonl", "nötes.jsonl")
    (folder / "nötes.jsonl").write_text("")
    assert load(folder, text.encode(encoding)).jobs[0].input.paths == ("nötes.jsonl",)


def test_a_byte_order_mark_shifts_no_column(folder):
    assert mistakes(folder, "\ufeffjobs: []")[0].startswith("my/jobs.yaml:1:7: jobs: ")


def test_windows_line_breaks_are_read(folder):
    assert load(folder, JOBS.replace("\n", "\r\n")).jobs[0].name == "a"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: 1\nb: caf\xe9\n", "my/jobs.yaml:2:7: the byte 0xe9 is not valid UTF-8; allowed: text in UTF-8"),
        (b"\x7fELF\x02\x01\x00", "my/jobs.yaml:1:1: the character U+007F cannot stand in a job file"),
        ("jobs: []".encode("utf-16-le"), "my/jobs.yaml:1:2: the character U+0000 cannot stand in a job file"),
        (b"\xff\xfea", "my/jobs.yaml:1:3: the byte 0x61 is not valid UTF-16"),
        (b"#" * 1_000_001, "my/jobs.yaml: larger than 1 MB; is this a job file?"),
        (b"", "my/jobs.yaml:1:1: the file is empty; allowed: a mapping with jobs"),
    ],
)
def test_what_is_no_text_is_refused(folder, data, expected):
    (line,) = mistakes(folder, data)
    assert line.startswith(expected)


def test_a_missing_file_is_told_with_its_neighbour(folder):
    (folder / "jobs.yaml").write_text(JOBS)
    with pytest.raises(JobFileError, match=r"^my/job.yaml: no such file; did you mean 'my/jobs.yaml'\?$"):
        load_job_file(Path("my/job.yaml"), LoadOptions())


def test_a_folder_and_a_pipe_are_no_job_files(folder):
    with pytest.raises(JobFileError, match=r"^my: a folder, not a file$"):
        load_job_file(Path("my"), LoadOptions())
    os.mkfifo(folder / "pipe")
    with pytest.raises(JobFileError, match=r"^my/pipe: not a regular file$"):
        load_job_file(Path("my/pipe"), LoadOptions())
    with pytest.raises(JobFileError, match=r"^x{300}: cannot be read"):
        load_job_file(Path("x" * 300), LoadOptions())


def test_a_file_without_permission_says_so(folder):
    path = Path("my/jobs.yaml")
    path.write_text(JOBS)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(JobFileError, match=r"^my/jobs.yaml: cannot be read: Permission denied$"):
            load_job_file(path, LoadOptions())
    finally:
        os.seteuid(user)


INPUTS = {
    "missing file": ("note.jsonl", "no such file; did you mean 'notes.jsonl'?"),
    "missing file in a folder": ("docs/deep/b.md", "no such file; did you mean 'docs/deep/a.md'?"),
    "folder": ("docs", "a folder; allowed: files of it, such as docs/**/*.md"),
    "glob without a match": ("docs/*.md", "no file matches; allowed: a path or glob with a match, or allow_empty: true"),
    "glob in a missing folder": ("dosc/**/*.md", "no file matches: there is no folder 'dosc'"),
    "glob that only hidden files match": ("hidden/*", "no file matches"),
    "glob that only unknown types match": ("**/*.xyz", "no file matches"),
    "unknown ending": (
        "a.xyz",
        "the ending of the path names no format; allowed: a mapping with path and format: csv, docx, ",
    ),
    "pipe": ("pipe.jsonl", "not a regular file; allowed: a file, or '-' for standard input"),
}


@pytest.mark.parametrize(("typed", "expected"), INPUTS.values(), ids=INPUTS)
def test_an_input_that_is_not_there_is_a_mistake(folder, typed, expected):
    (folder / "hidden").mkdir()
    (folder / "hidden" / ".a.md").write_text("")
    (folder / "a.xyz").write_text("")
    os.mkfifo(folder / "pipe.jsonl")
    (line,) = mistakes(folder, f"jobs:\n  - name: a\n    kind: embed\n    output: o.jsonl\n    input: '{typed}'\n")
    named = "" if expected.startswith("the ending") else f"'{typed}': "
    assert line.startswith(f"my/jobs.yaml:5:12: jobs[0].input: {named}{expected}")


@pytest.mark.parametrize("typed", ["${D}/note.jsonl", "${D}", "${D}/*.md", "${D}/sub", "${G}"])
def test_the_value_of_a_variable_is_not_shown(folder, typed):
    (folder / "sentinel" / "sub").mkdir(parents=True)
    (folder / "sentinel" / "notes.jsonl").write_text("")
    text = f"jobs: [{{name: a, kind: embed, input: '{typed}', output: o.parquet, skip: '{typed}'}}]"
    found = mistakes(folder, text, environ={"D": "sentinel", "G": "sentinels/*.md"})
    assert len(found) == 2
    assert not [line for line in found if "sentinel" in line]


def test_each_path_of_an_input_has_its_place(folder):
    text = """\
jobs:
  - name: a
    kind: embed
    output: o.jsonl
    input:
      path:
        - notes.jsonl
        - x
        - y
"""
    assert [line.split(": no")[0] for line in mistakes(folder, text)] == [
        "my/jobs.yaml:8:11: jobs[0].input.path[1]: 'x'",
        "my/jobs.yaml:9:11: jobs[0].input.path[2]: 'y'",
    ]


@pytest.mark.parametrize(
    "typed", ["notes.jsonl", "./docs/../notes.jsonl", "*.jsonl", "docs/**/*.md", "docs/*/a.md", "docs/**", "-", "n[o]tes.jsonl"]
)
def test_an_input_that_is_there_is_fine(folder, typed):
    text = f"jobs:\n  - name: a\n    kind: embed\n    output: o.parquet\n    input: '{typed}'\n"
    assert load(folder, text).jobs[0].input.paths == (typed,)


def test_an_absolute_input_is_fine(folder):
    text = f"jobs: [{{name: a, kind: ingest, input: ['{folder}/notes.jsonl', '{folder}/docs/**/*.md']}}]"
    assert len(load(folder, text).jobs[0].input.paths) == 2


def test_a_name_with_brackets_is_a_file_when_there_is_one(folder):
    (folder / "a[1].jsonl").write_text("")
    assert load(folder, "jobs: [{name: a, kind: embed, input: 'a[1].jsonl', output: o.jsonl}]").jobs[0].name == "a"


def test_brackets_in_the_folder_of_the_job_file_are_no_wildcards(folder):
    (folder / "a[1]" / "docs").mkdir(parents=True)
    (folder / "a[1]" / "docs" / "x.md").write_text("")
    text = "jobs: [{name: a, kind: ingest, input: 'docs/*.md'}, {name: b, kind: ingest, input: 'dosc/*.md'}]"
    (line,) = mistakes(folder / "a[1]", text)
    assert "jobs[1].input: 'dosc/*.md': no file matches: there is no folder 'dosc'" in line


def test_an_output_that_the_input_excludes_is_fine(folder):
    text = "jobs: [{name: a, kind: embed, input: {path: '**/*.jsonl', exclude: out}, output: out/a.jsonl}]"
    assert load(folder, text).jobs[0].needs == ()


def test_an_input_that_may_be_empty_needs_no_match(folder):
    text = "jobs: [{name: a, kind: embed, input: {path: 'x/*.md', allow_empty: true}, output: o.jsonl}]"
    assert load(folder, text).jobs[0].input.allow_empty


def test_an_input_that_another_job_writes_need_not_be_there(folder):
    text = """\
jobs:
  - {name: first, kind: embed, input: notes.jsonl, output: out/a.jsonl}
  - {name: second, kind: embed, input: out/a.jsonl, output: b.jsonl}
  - {name: third, kind: embed, input: "out/*.jsonl", output: c.jsonl}
"""
    assert [job.needs for job in load(folder, text).jobs] == [(), ("first",), ("first",)]


def test_only_inputs_of_selected_jobs_must_be_there(folder):
    text = JOBS + "  - {name: b, kind: embed, input: nowhere.jsonl, output: b.jsonl}\n"
    assert load(folder, text, jobs=["a"]).selected(["a"])[0].name == "a"
    assert load(folder, text, check_inputs=False).jobs[1].name == "b"


def test_a_list_of_ids_to_skip_must_be_there(folder):
    (line,) = mistakes(folder, JOBS.replace("}", ", skip: note.jsonl}"))
    assert line.startswith("my/jobs.yaml:2:81: jobs[0].skip: no such file; allowed: a file with one id a line; did you mean 'notes.jsonl'?")


WITH_KEY = """\
embedders:
  e: {provider: openai, model: m, api_key: {file: key.txt}}
stores:
  s: {type: vault, api_key: {file: "${STORE_KEY}"}}
jobs:
  - {name: a, kind: ingest, input: notes.jsonl, embedder: e, store: s}
  - {name: b, kind: embed, input: notes.jsonl, output: o.jsonl}
"""


def test_keys_are_read_from_files(folder, vault):
    (folder / "key.txt").write_text("very-secret-key\n")
    (folder / "other.txt").write_text("other-secret-key")
    job_file = load(folder, WITH_KEY, environ={"STORE_KEY": "other.txt"})
    job = job_file.jobs[0]
    assert job.embedder.api_key.get_secret_value() == "very-secret-key"
    assert job.store.api_key.get_secret_value() == "other-secret-key"
    assert job_file.embedders["e"].api_key.get_secret_value() == "very-secret-key"
    assert job_file.secrets() == {"very-secret-key", "other-secret-key"}
    assert "very-secret-key" not in repr(job_file)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"two\nlines", "the file holds no key"),
        (b"\xff\xfe", "not a text in UTF-8"),
        (b"x" * 20_000, "the file holds no key"),
    ],
)
def test_a_file_without_a_key_is_a_mistake(folder, content, expected, vault):
    if content is not None:
        (folder / "key.txt").write_bytes(content)
    (folder / "other.txt").write_text("other-secret-key")
    (line,) = mistakes(folder, WITH_KEY, environ={"STORE_KEY": "other.txt"})
    assert line.startswith(f"my/jobs.yaml:2:51: embedders.e.api_key.file: {expected}")


def test_a_key_file_is_read_only_where_it_is_reached(folder, vault):
    assert load(folder, WITH_KEY, jobs=["b"]).embedders["e"].api_key is None
    assert load(folder, WITH_KEY, need_keys=False).jobs[0].embedder.api_key is None
