"""Dataverse's refusals: a status, and `{"error": {"code", "message"}}` with a hexadecimal code."""

from __future__ import annotations


class DataverseError(Exception):
    """A refusal. `retry_after_s` becomes a header."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def body(self) -> dict[str, dict[str, str]]:
        """The refusal as Dataverse writes it."""
        return {"error": {"code": self.code, "message": self.message}}


def malformed(message: str) -> DataverseError:
    """A query or a body that OData cannot read."""
    return DataverseError(400, "0x80060888", message)


def forbidden(privilege: str) -> DataverseError:
    """A privilege that none of the caller's roles gives."""
    return DataverseError(403, "0x80040220", f"Principal user is missing {privilege} privilege.")


def not_a_member() -> DataverseError:
    """A token of an application that is no user of the organisation."""
    return DataverseError(403, "0x80072560", "The user is not a member of the organization.")
