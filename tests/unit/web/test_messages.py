"""Requests and answers: a query is read, an unchanged body is not sent twice, every answer is fenced off from other sites."""

from __future__ import annotations

from asyncrun.web.messages import HTML, JSON, WebRequest, WebResponse, said, tagged


def test_a_query_is_read_and_odd_ones_do_no_harm() -> None:
    assert WebRequest("GET", "/runs.json?page=2&file=a%20b.yaml&page=3").query == {"page": "3", "file": "a b.yaml"}
    assert WebRequest("GET", "/runs.json?%zz&=&a").query == {"%zz": "", "": "", "a": ""}
    assert WebRequest("GET", "/?" + "&".join(f"a{number}=1" for number in range(20))).path == "/"


def test_a_body_that_the_browser_has_is_not_sent_again() -> None:
    first = tagged(b"[1]", JSON, None)
    again, other = tagged(b"[1]", JSON, first.headers["etag"]), tagged(b"[2]", JSON, first.headers["etag"])
    assert (first.status, first.body) == (200, b"[1]")
    assert (again.status, again.body, "content-length" in again.all_headers()) == (304, b"", False)
    assert (other.status, other.body) == (200, b"[2]")


def test_every_answer_is_fenced_off_from_other_sites() -> None:
    for response in (
        said(404, "Nothing."),
        tagged(b"{}", JSON, None),
        WebResponse(200, b"", HTML, {"content-security-policy": "frame-ancestors 'none'"}),
    ):
        headers = response.all_headers()
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert (headers["cross-origin-resource-policy"], headers["cache-control"]) == ("same-origin", "no-store")
