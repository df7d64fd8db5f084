"""The services' error answers."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response


class ServiceError(Exception):
    """A refusal with the services' documented body: `{"error": {"code", "message", "target"?}}`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The refusal as it goes over the wire."""
        error = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        headers = {"x-ms-error-code": self.code, **self.headers}
        return Response(json.dumps({"error": error}), self.status, headers, "application/json")


def call_not_found() -> ServiceError:
    """The call is over or never was."""
    return ServiceError(404, "8522", "Call not found.")


def call_not_established() -> ServiceError:
    """The call has not been connected yet, so that nobody can be added to it."""
    return ServiceError(400, "8501", "Action is invalid when call is not in Established state.")


def invalid(field: str) -> ServiceError:
    """A field of the request is missing or malformed."""
    return ServiceError(400, "BadRequest", f"The field {field} is invalid.", target=field)
