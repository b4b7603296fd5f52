"""Addresses of notices: what in them is secret."""

from __future__ import annotations

import pytest

from asyncrun.jobfile.notify import NotifyConfig, secrets_in
from asyncrun.redact import Redactor


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"]),
        ("mailto://me:pass%40word1@smtp.example.com?to=ops@example.com", ["pass%40word1", "pass@word1"]),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", ["4174216298", "JHMHI8qBe7bk2ZwO5U711o3dV_js"]),
        ("tgram://123456789:abcdefg_hijklmnop1/lead2gold_generic", ["123456789", "abcdefg_hijklmnop1", "lead2gold_generic"]),
        ("json://127.0.0.1:8080/notifications?token=a1b2c3d4e5", ["a1b2c3d4e5"]),
    ],
)
def test_words_of_an_address_that_may_be_keys_are_masked(address: str, words: list[str]) -> None:
    assert secrets_in(address) == {address, *words}
    redact = Redactor(secrets_in(address)).redact
    assert [redact(f"see {word}!") for word in (address, *words)] == ["see ***!"] * (1 + len(words))


def test_hosts_and_plain_words_stay_readable() -> None:
    redact = Redactor(secrets_in("json://127.0.0.1:8080/notifications/alerts.test.io")).redact
    assert redact("notifications at 127.0.0.1 of alerts.test.io") == "notifications at 127.0.0.1 of alerts.test.io"


def test_a_config_made_in_python_shows_no_address() -> None:
    made = NotifyConfig(to=("json://localhost/A1BRTD4JD",), when="always")  # type: ignore[arg-type]
    assert made.when == ("always",)
    assert "A1BRTD4JD" not in f"{made!r} {made.model_dump_json()}"
    assert "A1BRTD4JD" in made.secrets()
