"""Graph's refusals: a status, and `{"error": {"code", "message", "innerError"}}`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4


class GraphError(Exception):
    """A refusal. `retry_after_s` becomes a header."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """The refusal as Graph writes it."""
        request_id = str(uuid4())
        inner = {"date": datetime.now(UTC).isoformat(), "request-id": request_id, "client-request-id": request_id}
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def malformed(message: str) -> GraphError:
    """A body that Graph cannot read."""
    return GraphError(400, "RequestBodyRead", message)
