"""What a server asks to wait is understood in every form it is known to come in, and nonsense is ignored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.endpoints.rate_headers import parse_go_duration, wait_hint

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"  # NOW
RETRY_INFO = {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}]}}


@pytest.mark.parametrize(
    ("headers", "document", "words", "seconds"),
    [
        ({"retry-after": "2"}, None, "", 2.0),
        ({"retry-after": "0.5"}, None, "", 0.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, None, "", 0.25),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, None, "", 30.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:10:00 GMT", "date": "Fri, 15 Jan 2027 08:09:50 GMT"}, None, "", 10.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, None, "", 0.0),
        ({"retry-after": "86400"}, None, "", 86400.0),
        ({}, RETRY_INFO, "", 37.0),
        ({}, [RETRY_INFO], "", 37.0),
        ({}, None, "Rate limit reached. Please try again in 1.5s.", 1.5),
        ({}, None, "Please retry after 20 seconds.", 20.0),
        ({}, None, "try again in 200ms", 0.2),
        ({"ratelimit": '"api";r=0;t=55'}, None, "", 56.0),
        ({"x-ratelimit-reset": "1800000060"}, None, "", 60.0),
        ({"x-ratelimit-reset": "60"}, None, "", 60.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-reset-requests": "1s"}, None, "", 360.0),
        ({"retry-after": "soon", "x-ratelimit-reset": "3"}, None, "", 3.0),
    ],
)
def test_the_forms_that_servers_use(headers, document, words, seconds):
    assert wait_hint(headers, document, words, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["nan", "-1", "1e400", "inf", "-inf", "", "later", "Fri, 99 Foo 2027"])
def test_a_retry_after_that_makes_no_sense_is_no_hint(value):
    assert wait_hint({"retry-after": value}, None, "", NOW) is None
    assert wait_hint({"retry-after": value, "retry-after-ms": value}, {"error": value}, value, NOW) is None


def test_the_date_of_the_reply_goes_before_our_clock():
    assert wait_hint({"retry-after": "Fri, 15 Jan 2027 08:00:05 GMT", "date": DATE}, None, "", NOW + 86400) == 5.0


@given(st.text(max_size=30), st.none() | st.lists(st.text(max_size=5)) | st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_whatever_comes_it_is_a_time_to_wait_or_nothing(text, document):
    headers = dict.fromkeys(("retry-after", "retry-after-ms", "x-ratelimit-reset", "date", "ratelimit"), text)
    seconds = wait_hint(headers, document, text, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("6m0s", 360), ("12ms", 0.012), ("1h30m", 5400), ("7", 7), ("1s2", None), ("s", None)]
)
def test_durations(text, seconds):
    assert parse_go_duration(text) == seconds
