"""One partition of a table in Azure Table storage, or in Cosmos DB for Table, through azure-data-tables.

The requests are our own and travel through the SDK's pipeline: its signing, its tokens, its transport. The SDK's
operations build the same requests and read the same answers, but need a multiple of the time (see
`shared.adapters.entity_group`, docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from shared.adapters.deadline_pool import PendingAnswer
from shared.adapters.entity_group import Refusal, decode, encode, entity_bytes, row_url
from shared.adapters.table import Delete, Insert, Replace, Row, Values, Write, require_key, require_writes
from shared.adapters.table_account import RefusedRequest, TableAccount
from shared.adapters.told_rows import ToldRows
from shared.deadlines import Deadline
from shared.ports import Telemetry

if TYPE_CHECKING:
    from azure.core.rest import HttpResponse
    from azure.data.tables import TableClient

MAX_ROWS_A_PAGE = 1000
_HEADERS = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0;NetFx",
}
_CONTINUATION = {name: f"x-ms-continuation-{name}" for name in ("NextPartitionKey", "NextRowKey")}
_NO_VALUES = ("PartitionKey", "RowKey", "Timestamp", "odata.etag", "odata.metadata")


class SdkTable:
    """Port `Table`: one partition of one table of the account."""

    def __init__(
        self, account: TableAccount, *, table_name: str, partition: str, telemetry: Telemetry | None = None
    ) -> None:
        self._account = account
        self._told = ToldRows(telemetry)
        self._table_name = table_name
        self._partition = partition

    def get(self, key: str, deadline: Deadline) -> PendingAnswer[Row | None]:
        """One row."""
        require_key(key)
        return self._account.ask(self._table_name, lambda client: self._get(client, key), deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> PendingAnswer[list[Row]]:
        """At most `limit` rows with `first <= key < end`, in the order of their keys."""
        if limit < 1:
            raise ValueError("the limit must be at least 1")
        return self._account.ask(
            self._table_name, lambda client: self._between(client, first, end, limit, deadline), deadline
        )

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        """Apply all writes or none (`RowConflict`); gives the new version of each row, None for a removed one.

        A request that was repeated because its connection broke, and had been carried out, shows as a `RowConflict`:
        `shared.adapters.signed_table` tells it from another's.
        """
        require_writes(writes)
        whole = tuple(writes)
        return self._account.ask(self._table_name, lambda client: self._commit(client, whole), deadline).result()

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first caller need not wait for that. Raises `Unavailable`."""
        self._account.warm_up(self._table_name)

    def close(self) -> None:
        """Begin nothing more in this account, and close its idle connections."""
        self._account.close()

    # The requests ----------------------------------------------------------------------------------------------------

    def _get(self, client: TableClient, key: str) -> Row | None:
        try:
            response = _ask(client, "GET", row_url(self._url(client), self._partition, key), HTTPStatus.OK)
        except RefusedRequest as refused:
            if refused.status == HTTPStatus.NOT_FOUND and refused.is_of_one_row:
                return None
            raise
        row = _row(msgspec.json.decode(response.content))
        if row.key != key:
            raise TypeError("another entity than the one asked for is no answer")
        return row

    def _between(self, client: TableClient, first: str, end: str, limit: int, deadline: Deadline) -> list[Row]:
        partition, least, most = (each.replace("'", "''") for each in (self._partition, first, end))
        within = quote(f"PartitionKey eq '{partition}' and RowKey ge '{least}' and RowKey lt '{most}'", safe="")
        rows: list[Row] = []
        following = before = ""
        left_out = False
        while True:
            # Behind a row that was left out may be more of them than are asked for.
            top = MAX_ROWS_A_PAGE if left_out else min(limit - len(rows), MAX_ROWS_A_PAGE)
            url = f"{self._url(client)}()?$top={top}&$filter={within}{following}"
            response = _ask(client, "GET", url, HTTPStatus.OK)
            page = [_row(entity) for entity in msgspec.json.decode(response.content)["value"]]
            following = "".join(
                f"&{name}={quote(response.headers[header], safe='')}"
                for name, header in _CONTINUATION.items()
                if header in response.headers
            )
            if not all(first <= row.key < end for row in page):
                raise TypeError("entities other than those asked for are no answer")
            named = self._told.named(page)
            left_out = left_out or len(named) < len(page)
            rows += named
            if not following or len(rows) >= limit:
                return rows[:limit]
            if following == before:
                raise TypeError("a continuation that leads to itself would never end")
            before = following
            deadline.require()

    def _commit(self, client: TableClient, writes: tuple[Write, ...]) -> list[str | None]:
        if len(writes) > 1:
            return self._write_all(client, writes)
        # A row of its own costs storage half of a transaction of one.
        try:
            return [self._write_one(client, writes[0])]
        except RefusedRequest as refused:
            refused.index = 0 if refused.is_of_one_row else None
            raise

    def _write_one(self, client: TableClient, write: Write) -> str | None:
        url = self._url(client)
        if isinstance(write, Insert):
            body = entity_bytes(write, self._partition)
            return _etag(_ask(client, "POST", url, HTTPStatus.NO_CONTENT, body, {"Prefer": "return-no-content"}))
        url = row_url(url, self._partition, write.key)
        if isinstance(write, Delete):
            _ask(client, "DELETE", url, HTTPStatus.NO_CONTENT, headers={"If-Match": write.version or "*"})
            return None
        # Without a condition it creates the row where there is none.
        condition = {"If-Match": write.version or "*"} if isinstance(write, Replace) else {}
        return _etag(_ask(client, "PUT", url, HTTPStatus.NO_CONTENT, entity_bytes(write, self._partition), condition))

    def _write_all(self, client: TableClient, writes: tuple[Write, ...]) -> list[str | None]:
        batch = encode(writes, table_url=self._url(client), partition=self._partition)
        kind = {"Content-Type": batch.content_type}
        response = _ask(client, "POST", f"{_account_url(client)}/$batch", HTTPStatus.ACCEPTED, batch.body, kind)
        answer = decode(response.content, writes)
        if isinstance(answer, Refusal):
            raise RefusedRequest(answer.status, answer.code, index=answer.index)
        return answer

    def _url(self, client: TableClient) -> str:
        return f"{_account_url(client)}/{self._table_name}"


def _account_url(client: TableClient) -> str:
    return f"{client.scheme}://{client._primary_hostname}"  # noqa: SLF001 - no public name; the version is pinned


def _ask(
    client: TableClient,
    method: str,
    url: str,
    expected: HTTPStatus,
    body: bytes | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> HttpResponse:
    """The answer of the expected status; raises `RefusedRequest` for one of 400 and above, `TypeError` for another."""
    from azure.core.rest import HttpRequest

    sent = _HEADERS | {"x-ms-version": client.api_version} | ({"Content-Type": "application/json"} if body else {})
    request = HttpRequest(method, url, headers=sent | dict(headers), content=body)
    # As a stream, so that no policy decodes the body once more.
    response: HttpResponse = client._client._client.send_request(request, stream=True)  # noqa: SLF001 - as above
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise RefusedRequest.answered(response)
    if response.status_code != expected:
        raise TypeError("a success of another kind is no answer")
    return response


def _row(entity: dict[str, Any]) -> Row:
    values: Values = {}
    for name, value in entity.items():
        base, _, annotation = name.partition("@")
        if annotation == "odata.type" and value == "Edm.Int64":
            values[base] = int(entity[base])
        elif not annotation and base not in _NO_VALUES:
            values.setdefault(base, value)
    key, version = entity["RowKey"], entity["odata.etag"]
    if not (isinstance(key, str) and isinstance(version, str)):
        raise TypeError("an entity without key and version is no answer")
    return Row(key, values, version)


def _etag(response: HttpResponse) -> str:
    return response.headers["etag"]
