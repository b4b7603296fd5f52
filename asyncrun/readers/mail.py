"""The reader of mail, a message a file: its body as text, and who wrote what to whom beside it."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

from asyncrun.readers.encodings import Decoded, decode_document
from asyncrun.readers.interface import ParsedReader, refused
from asyncrun.readers.parse_child import REMARK

read_eml = ParsedReader("asyncrun.readers.mail:parse_eml")

_FIELDS = {"subject": "subject", "from": "from", "to": "to", "cc": "cc", "message_id": "message-id"}


def parse_eml(data: bytes) -> dict[str, Any]:
    """Return `text`, the body of a message, with `subject`, `from`, `to`, `cc`, `date`, `message_id`, and the names of `attachments`.

    Of a body in several forms plain text is taken, else HTML, read as `parse_html` does. Attachments are not read. Raises ItemError for
    what has no headers.
    """
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101 (what this policy makes)
    if not message.keys():
        raise refused("not a message: it has no headers")
    fields = {name: words for name, header in _FIELDS.items() if (words := _header(message, header))}
    if date := _date(message):
        fields["date"] = date
    attachments = [name for part in message.walk() if (name := part.get_filename())]
    text, guess = _body(message)
    remark = {REMARK: f"that says no encoding, read as {guess} by a guess"} if guess else {}
    return {"text": text, **fields, **({"attachments": attachments} if attachments else {}), **remark}


def _body(message: EmailMessage) -> Decoded:
    part = message.get_body(("plain", "html"))
    if part is None:
        return Decoded("")
    content = part.get_payload(decode=True)
    data = content if isinstance(content, bytes) else b""
    text, guess = decode_document(data, declared=part.get_content_charset())
    if part.get_content_subtype() == "html":
        from asyncrun.readers.html import html_fields

        return Decoded(html_fields(text)["text"], guess)
    return Decoded(text.replace("\r\n", "\n").strip("\n"), guess)


def _header(message: EmailMessage, name: str) -> str:
    """Return a header as text; one that is no header in truth is left out."""
    try:
        words = " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, AttributeError, IndexError, TypeError):  # what the library raises for headers that it cannot parse
        return ""
    return words.encode(errors="replace").decode()


def _date(message: EmailMessage) -> str:
    try:
        return parsedate_to_datetime(str(message["date"])).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
