"""Azure's batch endpoint as a fake server: OpenAI's, with other limits and words.

Sources: azure-ai-docs, `articles/ai-foundry/openai/includes/batch/batch-rest.md` and `includes/global-batch-limits.md`;
`articles/foundry/openai/includes/how-to-batch-content.md`: what takes longer than 24 hours runs on until it is cancelled.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply
from asyncrun.testing.batch_servers.desk import CallRefused
from asyncrun.testing.batch_servers.limits import DAY, VendorTerms
from asyncrun.testing.batch_servers.openai import OpenAIDesk
from asyncrun.testing.batch_servers.schedule import BatchStage, FakeBatch

MOST_FILES = 500
"""Files of a resource that never expire; with an expiry 10,000 are allowed."""
MOST_EXPIRING_FILES = 10_000


class AzureDesk(OpenAIDesk):
    """Azure: 100,000 lines and 200 MB, no end by itself, 500 files; a clean run has a file of errors with nothing in it."""

    name: ClassVar[str] = "azure"
    terms: ClassVar[VendorTerms] = VendorTerms(lines=100_000, size=200_000_000, window=math.inf, kept=math.inf)
    roots: ClassVar[tuple[tuple[str, ...], ...]] = (("openai", "v1"), ("openai",))
    endpoints: ClassVar[tuple[str, ...]] = ("/chat/completions", "/v1/chat/completions", "/embeddings", "/v1/embeddings")
    lifetimes: ClassVar[tuple[float, float]] = (14 * DAY, 30 * DAY)

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as Azure tells it."""
        code = refused.code or {401: "401", 404: "notFound", 429: "429"}.get(refused.status, "invalidPayload")
        return VendorReply({"error": {"code": code, "message": refused.message}}, refused.status)

    def upload(self, call: VendorCall) -> VendorReply:
        """Take a file. Raises CallRefused, of one without a Content-Type too (betalgo/openai#628)."""
        if b"content-type:" not in call.body[: call.body.find(b"filename") + 1000].lower():
            raise CallRefused(400, "The file part needs a Content-Type.", "invalidPayload")
        lasting = [stored for stored in self.files.values() if stored.owner == call.key and not stored.gone]
        for most, files in ((MOST_FILES, [stored for stored in lasting if stored.expires == math.inf]), (MOST_EXPIRING_FILES, lasting)):
            if len(files) >= most:
                raise CallRefused(400, f"The resource has reached its limit of {most} files.", "quotaExceeded")
        return super().upload(call)

    def right_url(self, url: object, endpoint: str) -> bool:
        """Tell whether a line's url is that of the batch, with or without the version."""
        return isinstance(url, str) and url.removeprefix("/v1") == endpoint.removeprefix("/v1")

    def word(self, stage: BatchStage) -> str:
        """Return Azure's word for a stage: its samples begin the first one with a capital."""
        return "Validating" if stage is BatchStage.VALIDATING else stage.value

    def view(self, batch: FakeBatch) -> dict[str, Any]:
        """Return what is told of a batch: no counts before work has begun."""
        found = super().view(batch)
        found["endpoint"] = found["endpoint"].removeprefix("/v1")
        if self.now < batch.started:
            found["request_counts"] = None
        return found

    def without_errors(self, batch: FakeBatch) -> None:
        """Write the file of errors that a clean run has, too: of 0 bytes."""
        self.write_file(batch, "error", b"")
