"""The `/files` of the fake batch servers, which OpenAI, Azure, Mistral and Voyage have much alike."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply, whole
from asyncrun.testing.batch_servers.desk import CallRefused, StoredFile, VendorDesk
from asyncrun.testing.batch_servers.limits import DAY, HOUR

EXPIRY = ("expires_after[seconds]", "expires_after.seconds")
"""The form's field for a life of a file's own: OpenAI's (openai-python, `types/file_create_params.py`) and Azure's."""


class FilesDesk(VendorDesk):
    """Takes, lists, shows, hands out and deletes files. `lifetimes` are the least and the most seconds that an upload may ask for."""

    lifetimes: ClassVar[tuple[float, float]] = (HOUR, 30 * DAY)

    def route_files(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call of files, None for a path that is none of them."""
        match call.method, steps:
            case "POST", ():
                return self.upload(call)
            case "GET", ():
                mine = [self.file_view(stored) for stored in self.my_files(call)]
                return VendorReply({"object": "list", "data": mine, "has_more": False, "total": len(mine)})
            case "GET", (file_id,):
                return VendorReply(self.file_view(self.file_of(call, file_id)))
            case "DELETE", (file_id,):
                self.file_of(call, file_id).gone = True
                return VendorReply({"id": file_id, "object": "file", "deleted": True})
            case "GET", (file_id, "content"):
                return VendorReply(self.file_of(call, file_id).content, headers={"content-type": "application/octet-stream"})
        return None

    def upload(self, call: VendorCall) -> VendorReply:
        """Take a file. Raises CallRefused."""
        form = call.form()
        name, content = form.get("file", (None, b""))
        purpose = form.get("purpose", (None, b""))[1].decode()
        if name is None or not purpose:
            raise CallRefused(400, f"'{'purpose' if name else 'file'}' is a required property.", param="purpose" if name else "file")
        if purpose != "batch":
            raise CallRefused(400, f"'{purpose}' is not one of ['batch'] here.", param="purpose")
        if len(content) > self.rules.size:
            raise CallRefused(413, f"Maximum content size limit ({self.rules.size}) exceeded.")
        stored = self.store(call.key, name, content, **self._lifetime(form))
        self.uploaded(stored)
        return VendorReply(self.file_view(stored))

    def _lifetime(self, form: dict[str, tuple[str | None, bytes]]) -> dict[str, float]:
        given = next((form[name][1] for name in EXPIRY if name in form), None)
        if given is None:
            return {}
        least, most = self.lifetimes
        if not given.isdigit() or not least <= int(given) <= most:
            raise CallRefused(400, f"expires_after must be between {least:.0f} and {most:.0f} seconds.", param="expires_after")
        return {"expires": self.now + int(given)}

    def file_view(self, stored: StoredFile) -> dict[str, Any]:
        """Return what is told of a file."""
        return {
            "id": stored.id,
            "object": "file",
            "purpose": stored.purpose,
            "filename": stored.name,
            "bytes": len(stored.content),
            "created_at": whole(stored.created),
            "expires_at": None if stored.expires == math.inf else whole(stored.expires),
            "status": "processed",
            "status_details": None,
        }
