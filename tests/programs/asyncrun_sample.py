"""What plugins of the tests bring: a handler, an exporter, and what is broken."""

from asyncrun import BaseCallbackHandler
from asyncrun.errors import ArgumentError
from asyncrun.stores import SqliteStore

HEARD = []


class Loud(BaseCallbackHandler):
    def __init__(self):
        super().__init__((), ())

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        HEARD.append(event_type.value)

    def start_trace(self, trace_id=None):
        pass

    def end_trace(self, trace_id=None, trace_map=None):
        HEARD.append("end")


def broken():
    raise RuntimeError("no webhook is set")


def lines(run, spans, now):
    return f"{run.run_id}: {len(spans)} spans"


NOTHING = 3


class Tagged(SqliteStore):
    """A store with an option of its own, a key and an address."""

    def __init__(self, path, options=None, api_key="", url=""):
        super().__init__(path)
        if unknown := (options or {}).keys() - {"tag"}:
            raise ArgumentError(f"options has no {min(unknown)}", hint="It has `tag`.")
        HEARD.append((dict(options or {}), api_key, url))


class AfterDraft:
    """A chunker that gives the whole text, and nothing of a text that begins with `draft`."""

    def __init__(self, tokenizer, options):
        pass

    def __call__(self, text):
        from asyncrun.records import Chunk

        if not text.startswith("draft"):
            yield Chunk(text, 0, len(text), 0)
