"""What the readers of mail promise: a body as text, headers beside it, and a message of anything harms nobody."""

from __future__ import annotations

import gzip
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import ItemError, StorageError
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.mail import parse_eml
from asyncrun.readers.mbox import read_mbox


def message(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {"Subject": "Über Katzen", "From": "Ada <ada@example.org>", **headers}.items():
        made[name.replace("_", "-")] = value
    return made


def test_a_message_is_its_plain_body_and_its_headers() -> None:
    mail = message(To="b@example.org, c@example.org", Date="Fri, 02 Jan 2026 03:04:05 +0100", Message_ID="<1@example.org>")
    mail.set_content("Sie schnurren.\n\nÖfter.\n", charset="iso-8859-1")
    mail.add_alternative("<p>not this", subtype="html")
    mail.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Rechnung März.pdf")
    assert parse_eml(mail.as_bytes()) == {
        "text": "Sie schnurren.\n\nÖfter.",
        "subject": "Über Katzen",
        "from": "Ada <ada@example.org>",
        "to": "b@example.org, c@example.org",
        "date": "2026-01-02T03:04:05+01:00",
        "message_id": "<1@example.org>",
        "attachments": ["Rechnung März.pdf"],
    }


def test_a_body_of_html_alone_is_read_as_a_page() -> None:
    mail = message()
    mail.set_content("<style>p {}</style><h1>Angebot</h1><p>Süße Äpfel", subtype="html", charset="windows-1252")
    assert parse_eml(mail.as_bytes())["text"] == "# Angebot\n\nSüße Äpfel"


@pytest.mark.parametrize("data", [b"", b"\n", b"\nonly a body"])
def test_what_has_no_headers_is_no_message(data: bytes) -> None:
    with pytest.raises(ItemError, match="not a message: it has no headers"):
        parse_eml(data)


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: =?klingon?b?!!!?=\nDate: never\nFrom: <<<>>>@\n\nbody",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nbody",
        b"Content-Type: text/plain; charset=klingon\n\nbody",
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!",
        b"Subject: \xff\xfe\n\nbody \xe9",
    ],
)
def test_what_is_broken_in_a_message_is_left_out(data: bytes) -> None:
    assert isinstance(parse_eml(data)["text"], str)


@given(data=st.binary(max_size=200).map(b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n".__add__))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        fields: dict[str, Any] = parse_eml(data)
    except ItemError as error:
        assert error.message
    else:
        fields["text"].encode()


BOX = (
    b"From a@example.org Fri Jan  2 03:04:05 2026\nSubject: one\n\nFirst.\n>From here on\nFrom within\n\n"
    b"From b@example.org Fri Jan  2 03:04:05 2026\nSubject: two\n\nSecond.\n\n"
    b"From c@example.org\n\nno headers\n\nFrom d@example.org\nSubject: four\n\nFourth.\n"
)
READ = [
    (1, "one", "First.\nFrom here on\nFrom within"),
    (8, "two", "Second."),
    (13, "not a message: it has no headers", None),
    (17, "four", "Fourth."),
]


def read(path: Path) -> list[tuple[int | None, str, str | None]]:
    return [
        (record.place.line, record.fields["subject"], record.fields["text"])
        if isinstance(record, Record)
        else (record.place.line, record.message, None)
        for record in read_mbox(path, "in.mbox")
    ]


def test_a_mailbox_is_a_message_after_the_other_each_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(BOX)
    assert read(tmp_path / "a.mbox") == READ
    (tmp_path / "a.mbox.gz").write_bytes(gzip.compress(BOX))
    assert read(tmp_path / "a.mbox.gz") == READ
    (tmp_path / "empty.mbox").write_bytes(b"")
    assert read(tmp_path / "empty.mbox") == []


def test_a_mailbox_that_breaks_off_gives_the_messages_before(tmp_path: Path) -> None:
    many = b"".join(b"From x\nSubject: %d\n\n%d\n\n" % (number, number**9) for number in range(4_000))
    packed = gzip.compress(many)
    (tmp_path / "a.mbox.gz").write_bytes(packed[: len(packed) // 4])
    seen: list[Record | BadRecord] = []
    with pytest.raises(StorageError, match=r"in\.mbox:\d+: cannot be read to its end"):
        seen.extend(read_mbox(tmp_path / "a.mbox.gz", "in.mbox"))
    assert [int(str(record.fields["subject"])) for record in seen if isinstance(record, Record)][:-1] == list(range(len(seen) - 1))
    assert len(seen) > 50
