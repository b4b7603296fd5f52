"""Notices to people by Apprise (the extra `notify`): what is told, and one notice sent within its time."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from typing import Literal

from asyncrun.aio.thread_calls import in_own_thread
from asyncrun.errors import MissingExtraError

NOTICE_TIMEOUT = 10.0
"""Seconds for one notice, whatever hangs."""
SOCKET_TIMEOUT = 8.0
"""Seconds for a server that says nothing: less than for the notice, so that it can be told what was waited for."""


NoticeKind = Literal["success", "warning", "failure", "info"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person is told, as plain text; `kind` is how it looks where a service has colours for it."""

    title: str
    body: str
    kind: NoticeKind = "info"


def service_of(address: str) -> str:
    """Return which service an address is of: all of it that may be shown.

    >>> service_of("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    'slack'
    """
    return address.partition("://")[0].lower()


def missing_apprise() -> MissingExtraError | None:
    """Return the error of the extra that is not installed; nothing is imported."""
    if importlib.util.find_spec("apprise") is not None:
        return None
    hint = "Install it: pip install 'asyncrun[notify]'."
    return MissingExtraError("notify.to needs the extra 'notify', which is not installed", hint=hint)


async def send_notice(address: str, notice: Notice, patience: float = NOTICE_TIMEOUT) -> str | None:
    """Send a notice and return why it was not sent, None when it was; after `patience` seconds it is given up.

    The words may hold what a server has said: whoever shows them takes secrets out.
    """
    try:
        # Apprise's services block, and nobody else can end them.
        return await in_own_thread(partial(_send, address, notice), patience)
    except TimeoutError:
        return f"it has taken more than {patience:g} s"
    except Exception as error:  # Apprise's, or that of a service: a notice that is not sent is no failure of the run
        return f"{type(error).__name__}: {error}"


def _send(address: str, notice: Notice) -> str | None:
    import apprise

    # Whom a server redirects to has the words and the headers of the address as well: only who asks for it by ?redirect=yes.
    asset = apprise.AppriseAsset(
        async_mode=False, service_timeout=0, http_redirects=False, app_id="asyncrun", app_desc="asyncrun", app_url=""
    )
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return "Apprise knows no such address"
    service.socket_connect_timeout = service.socket_read_timeout = SOCKET_TIMEOUT
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    result = sender.notify(title=notice.title, body=notice.body, notify_type=notice.kind, body_format=apprise.NotifyFormat.TEXT)
    if result:
        return None
    return next((entry.message for each in result for entry in each.logs()), "no reason is given")
