"""Addresses of notices: what in them is secret, and what of them may stand in a job file."""

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


JOB = "name: a, kind: embed, input: i, output: o.jsonl"
LITERAL = "an address of notices is a key, which must not stand in the job file; allowed: ${VAR}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"notify: {{to: [slack://T1JJ3T3L2/A1BRTD4JD]}}\njobs: [{{{JOB}}}]", f"f:1:15: notify.to[0]: {LITERAL}"),
        (f'vars: {{s: "slack://T1JJ3T3L2"}}\nnotify: {{to: "${{s}}"}}\njobs: [{{{JOB}}}]', f"f:2:14: notify.to: {LITERAL}"),
        (f'jobs: [{{{JOB}, notify: {{to: "mailto://me:word@here.test"}}}}]', f"f:1:71: jobs[0].notify.to: {LITERAL}"),
        (f"defaults: {{notify: {{to: ntfy://topic}}}}\njobs: [{{{JOB}}}]", f"f:1:25: defaults.notify.to: {LITERAL}"),
        (f'notify: {{to: ["${{NOWHERE}}"]}}\njobs: [{{{JOB}}}]', "f:1:15: notify.to[0]: the variable NOWHERE is not set"),
        (f"notify: {{when: always}}\njobs: [{{{JOB}}}]", "f:1:9: notify: `when` stands without `to`; allowed: to: [...] beside it"),
    ],
    ids=["a literal", "through vars", "of a job", "of defaults", "a variable that is not set", "nobody"],
)
def test_an_address_stands_in_a_variable_and_ends_have_somebody_who_is_told(mistakes, text, expected):
    (line,) = mistakes(text)
    assert line.startswith(expected)


def test_an_address_that_apprise_cannot_read_and_an_unknown_end_are_told_without_their_values(mistakes):
    text = f'notify: {{to: ["${{SLACK}}"], when: "${{WHEN}}"}}\njobs: [{{{JOB}}}]'
    address, when = mistakes(text, environ={"SLACK": "T1JJ3T3L2 A1BRTD4JD", "WHEN": "A1BRTD4JD"})
    assert address == "f:1:15: notify.to[0]: not an address of Apprise; allowed: SERVICE://..., from a variable: ${SLACK_URL}"
    assert when == "f:1:34: notify.when: this value does not fit; allowed: failure, partial, always, recovered, never"


def test_an_address_may_be_partly_in_the_file(load):
    text = f'notify: {{to: "mailto://${{USER}}:${{WORD}}@here.test?to=ops@here.test"}}\njobs: [{{{JOB}}}]'
    file = load(text, environ={"USER": "me", "WORD": "p"})
    assert [address.get_secret_value() for address in file.notify.to] == ["mailto://me:p@here.test?to=ops@here.test"]
