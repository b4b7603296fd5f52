"""Where a ping goes, and what it tells."""

from __future__ import annotations

from uuid import UUID

import pytest

from asyncrun.notify.pings import ping_address, ping_body
from asyncrun.redact import Redactor

RID = UUID(int=1)


@pytest.mark.parametrize(
    ("url", "step", "address"),
    [
        ("https://hc.example/uuid", "start", f"https://hc.example/uuid/start?rid={RID}"),
        ("https://hc.example/uuid", "", f"https://hc.example/uuid?rid={RID}"),
        ("https://hc.example/uuid/", "fail", f"https://hc.example/uuid/fail?rid={RID}"),
        ("https://hc.example/key/slug?create=1", "75", f"https://hc.example/key/slug/75?create=1&rid={RID}"),
        ("https://hc.example/uuid#x", "3", f"https://hc.example/uuid/3?rid={RID}"),
    ],
)
def test_a_step_has_its_address(url: str, step: str, address: str) -> None:
    assert ping_address(url, step, RID) == address


def test_a_body_has_no_secret_and_no_control_character() -> None:
    body = ping_body("notes failed: hunter2hunter2\n  \x1b[31mred\u202e", Redactor(["hunter2hunter2"]).redact)
    assert body.decode() == "notes failed: ***\n  \\x1b[31mred\\u202e"


def test_a_body_has_100_kb_at_most_and_whole_characters() -> None:
    body = ping_body("a" + "ü" * 100_000, str)
    assert len(body) == 99_999
    assert body.decode() == "a" + "ü" * 49_999
