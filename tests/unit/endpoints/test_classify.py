"""Each vendor's error has the meaning that facts about vendors give it: the body is read before the status."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.retry import FailureClass as F
from asyncrun.endpoints.classify import MOST_WORDS, classify, is_filtered


def judge(status, body, headers=None):
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    return classify(status, headers or {}, document, text)


def openai(message, kind="invalid_request_error", code=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


CASES = {
    "openai bad key": (401, openai("Incorrect API key provided", code="invalid_api_key"), F.AUTH),
    "forbidden, no body": (403, "", F.AUTH),
    "cohere 498": (498, {"message": "invalid token"}, F.AUTH),
    "gemini bad key is 400": (
        400,
        {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}},
        F.AUTH,
    ),
    "no such path": (404, "Not Found", F.CONFIG),
    "no such model": (404, openai("The model `m` does not exist", code="model_not_found"), F.CONFIG),
    "mistral: no such model is 400": (400, {"object": "error", "message": "Invalid model: m", "code": 1500}, F.CONFIG),
    "redirect": (307, "", F.CONFIG),
    "402": (402, {"detail": "top up"}, F.QUOTA),
    "openai out of credit": (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), F.QUOTA),
    "gemini per day": (
        429,
        {"error": {"message": "Quota", "details": [{"violations": [{"quotaId": "EmbedContentRequestsPerDayPerProject"}]}]}},
        F.QUOTA,
    ),
    "cohere trial": (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."}, F.QUOTA),
    "openai too fast": (429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), F.THROTTLE),
    "gemini per minute": (
        429,
        {"error": {"message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "37s"}]}},
        F.THROTTLE,
    ),
    "tei overloaded": (429, {"error": "Model is overloaded", "error_type": "overloaded"}, F.THROTTLE),
    "ollama busy": (503, {"error": "server busy, please try again. maximum pending requests exceeded"}, F.THROTTLE),
    "503 with a time": (503, "", F.THROTTLE),
    "502 of a gateway": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>", F.TRANSIENT),
    "500": (500, openai("The server had an error"), F.TRANSIENT),
    "cloudflare": (524, "", F.TRANSIENT),
    "tei backend": (424, {"error": "Backend error", "error_type": "backend"}, F.TRANSIENT),
    "413": (413, "", F.TOO_BIG),
    "openai too many tokens": (400, openai("Requested 453357 tokens, max 300000 tokens per request", "max_tokens_per_request"), F.TOO_BIG),
    "mistral 3210": (400, {"object": "error", "message": "Too many tokens overall, split into more batches.", "code": "3210"}, F.TOO_BIG),
    "gemini 100": (400, {"error": {"message": "at most 100 requests can be in one batch", "status": "INVALID_ARGUMENT"}}, F.TOO_BIG),
    "tei batch": (422, {"error": "batch size 64 > maximum allowed batch size 32", "error_type": "Validation"}, F.TOO_BIG),
    "jina 2048": (400, {"detail": "input length is larger than the largest allowed size 2048"}, F.TOO_BIG),
    "infinity 2048": (
        422,
        {"detail": [{"loc": ["body", "input"], "msg": "List should have at most 2048 items after validation, not 3000"}]},
        F.TOO_BIG,
    ),
    "voyage too many": (400, {"detail": "The batch size limit is 1000. Your batch size is 2000."}, F.TOO_BIG),
    "voyage too many tokens": (
        400,
        {"detail": "The max allowed tokens per submitted batch is 120000. Your batch has 125000 tokens after truncation."},
        F.TOO_BIG,
    ),
    "voyage too long": (
        400,
        {"detail": "The example at index 3 in your batch has too many tokens and does not fit into the model's context window."},
        F.TOO_LONG,
    ),
    "jina too long": (400, {"detail": "Input text exceeds maximum length of 8194 tokens"}, F.TOO_LONG),
    "tei too long, as its pages have it": (413, {"error": "`inputs` must have less than 512 tokens. Given: 700"}, F.TOO_LONG),
    "isaacus out of money": (402, {"title": "Payment Required", "status": 402, "detail": "Top up."}, F.QUOTA),
    "isaacus bad key": (401, {"title": "Unauthorized", "status": 401, "detail": "Invalid key."}, F.AUTH),
    "openai too long": (400, openai("Invalid 'input[22]': maximum input length is 8192 tokens."), F.TOO_LONG),
    "openai too long, older": (400, openai("This model's maximum context length is 8192 tokens, however you requested 9001"), F.TOO_LONG),
    "tei too long": (
        422,
        {"message": "`inputs` must have less than 512 tokens. Given: 700", "code": 422, "type": "validation"},
        F.TOO_LONG,
    ),
    "llama.cpp too long is 500": (
        500,
        openai("input (600 tokens) is too large to process. increase the physical batch size (current batch size: 512)", "server_error"),
        F.TOO_LONG,
    ),
    "ollama too long": (400, {"error": "the input length exceeds the context length"}, F.TOO_LONG),
    "cohere too long": (400, {"message": "too many tokens: 600 > 512"}, F.TOO_LONG),
    "ollama nan is 500": (500, {"error": "failed to encode response: json: unsupported value: NaN"}, F.ITEM),
    "openai empty": (400, openai("Invalid 'input[3]': input cannot be an empty string."), F.ITEM),
    "litellm without a database says so of a bad key": (400, openai("No connected db.", "no_db_connection", "400"), F.AUTH),
    "openai: more than a minute's limit at once": (
        429,
        openai("Request too large for m on tokens per min (TPM): Limit 40000, Requested 70000.", "tokens", "rate_limit_exceeded"),
        F.TOO_BIG,
    ),
    "unknown 422": (422, {"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, F.UNKNOWN),
    "200 with an error": (200, {"error": {"message": "upstream failed"}}, F.BAD_RESPONSE),
    "200 with a page": (200, "<!doctype html><title>Welcome</title>", F.BAD_RESPONSE),
}


@pytest.mark.parametrize(("status", "body", "meaning"), CASES.values(), ids=CASES.keys())
def test_what_vendors_answer(status, body, meaning):
    headers = {"retry-after": "3"} if (status, body) == (503, "") else {}
    assert judge(status, body, headers).failure is meaning


@pytest.mark.parametrize(
    ("message", "blamed_index"),
    [("Invalid 'input[22]': maximum input length is 8192 tokens.", 22), ("maximum context length is 8192 tokens", None)],
)
def test_a_named_text_is_known(message, blamed_index):
    assert judge(400, openai(message)).blamed_index == blamed_index


def test_a_named_text_of_a_validation_error_is_known():
    assert judge(422, {"detail": [{"loc": ["body", "input", 7], "msg": "must not be empty"}]}).blamed_index == 7
    assert judge(400, {"detail": "The example at index 3 in your batch has too many tokens"}).blamed_index == 3


@pytest.mark.parametrize(
    ("message", "cap", "share"),
    [
        ("batch size 64 > maximum allowed batch size 32", 32, None),
        ("at most 100 requests can be in one batch", 100, None),
        ("List should have at most 2048 items after validation, not 3000", 2048, None),
        ("Requested 400000 tokens, max 300000 tokens per request", None, 0.75),
        ("request entity too large", None, None),
    ],
)
def test_what_would_have_fitted_is_learned(message, cap, share):
    verdict = judge(400, openai(message))
    assert (verdict.failure, verdict.cap, verdict.share) == (F.TOO_BIG, cap, share)


@pytest.mark.parametrize(
    ("header", "status", "meaning"), [("true", 418, F.TRANSIENT), ("false", 500, F.UNKNOWN), ("maybe", 500, F.TRANSIENT)]
)
def test_a_server_may_say_itself_whether_to_retry(header, status, meaning):
    assert judge(status, "", {"x-should-retry": header}).failure is meaning


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (openai("a sentence"), "a sentence"),
        ({"error": "a sentence"}, "a sentence"),
        ({"message": "a sentence"}, "a sentence"),
        ({"detail": "a sentence"}, "a sentence"),
        ([{"error": {"message": "a sentence"}}], "a sentence"),
        ("<html><head><style>x{}</style></head><body><h1>a</h1>\n sentence</body></html>", "a sentence"),
        ('"a sentence"', "a sentence"),
        ("", "no explanation"),
    ],
)
def test_the_servers_words_are_found_in_every_shape(body, words):
    assert judge(400, body).words == words


@given(
    st.integers(100, 599),
    st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)
def test_whatever_comes_has_a_meaning(status, document):
    verdict = classify(status, {}, document, "")
    assert isinstance(verdict.failure, F)
    assert verdict.words


@pytest.mark.parametrize("status", [200, 400, 429, 500])
def test_of_the_longest_explanation_only_the_beginning_is_looked_at(status):
    """Every pattern that is looked for costs time for each character, in which nothing else of the run goes on."""
    long = "maximum input length is 8192 tokens; " + "x" * 1_000_000
    for body in (openai(long), long, {"error": {"message": long, "code": long}}):
        verdict = judge(status, body)
        assert len(verdict.words) == MOST_WORDS
        assert verdict.failure is judge(status, openai(long[:100])).failure


def test_a_filter_is_known_by_its_words():
    assert is_filtered("code: content_filter")
    assert not is_filtered("maximum context length is 8192 tokens")
