"""One partition of a table in Azure Table storage, or in Cosmos DB for Table, through azure-data-tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.adapters.deadline_pool import Answer
from shared.adapters.entity_group import Refusal, decode, encode
from shared.adapters.table import Delete, Insert, Put, Replace, Row, Values, Write, require_key, require_writes
from shared.adapters.table_account import RefusedTransaction, TableAccount, conflict_of, table_is_missing
from shared.deadlines import Deadline

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableEntity

MOST_ROWS_A_PAGE = 1000
_INT32 = 2**31
_RANGE = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"


class SdkTable:
    """Port `Table`: one partition of one table of the account."""

    def __init__(self, account: TableAccount, *, table_name: str, partition: str) -> None:
        self._account = account
        self._table_name = table_name
        self._partition = partition

    def get(self, key: str, deadline: Deadline) -> Answer[Row | None]:
        """One row."""
        require_key(key)
        return self._account.ask(self._table_name, lambda client: self._get(client, key), deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answer[list[Row]]:
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
        from azure.core.exceptions import ResourceNotFoundError

        try:
            row = _row(client.get_entity(self._partition, key))
        except ResourceNotFoundError as error:
            if table_is_missing(error):
                raise
            return None
        if row.key != key:
            raise TypeError("another entity than the one asked for is no answer")
        return row

    def _between(self, client: TableClient, first: str, end: str, limit: int, deadline: Deadline) -> list[Row]:
        parameters = {"partition": self._partition, "first": first, "end": end}
        found = client.query_entities(_RANGE, parameters=parameters, results_per_page=min(limit, MOST_ROWS_A_PAGE))

        def entities() -> Iterator[TableEntity]:
            for page in found.by_page():
                yield from page
                deadline.require()

        return [_row(entity) for entity in islice(entities(), limit)]

    def _commit(self, client: TableClient, writes: tuple[Write, ...]) -> list[str | None]:
        if len(writes) == 1 and not isinstance(writes[0], Delete):
            return [self._write_one(client, writes[0])]
        # A delete goes as a transaction of its own, because the SDK's `delete_entity` hides that the row was missing.
        return self._write_all(client, writes)

    def _write_one(self, client: TableClient, write: Insert | Put | Replace) -> str:
        """A row of its own costs a third of a transaction of one."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.data.tables import UpdateMode

        entity = self._entity(write)
        try:
            if isinstance(write, Insert):
                return _etag(client.create_entity(entity))
            if isinstance(write, Put):
                return _etag(client.upsert_entity(entity, mode=UpdateMode.REPLACE))
            if write.version is None:
                return _etag(client.update_entity(entity, mode=UpdateMode.REPLACE))
            unchanged = MatchConditions.IfNotModified
            return _etag(
                client.update_entity(entity, mode=UpdateMode.REPLACE, etag=write.version, match_condition=unchanged)
            )
        except HttpResponseError as error:
            raise conflict_of(error, 0) or error from None

    def _write_all(self, client: TableClient, writes: tuple[Write, ...]) -> list[str | None]:
        """One transaction, in our own bytes, through the SDK's pipeline (see `shared.adapters.entity_group`)."""
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        account = f"{client.scheme}://{client._primary_hostname}"  # noqa: SLF001 - no public name; the version is pinned
        batch = encode(writes, table_url=f"{account}/{self._table_name}", partition=self._partition)
        headers = {
            "Content-Type": batch.content_type,
            "Accept": "application/json",
            "DataServiceVersion": "3.0",
            "MaxDataServiceVersion": "3.0;NetFx",
            "x-ms-version": client.api_version,
        }
        request = HttpRequest("POST", f"{account}/$batch", headers=headers, content=batch.body)
        response = client._client._client.send_request(request, stream=True)  # noqa: SLF001 - as above
        body = response.read()
        if response.status_code != HTTPStatus.ACCEPTED:
            raise HttpResponseError(response=response)
        answer = decode(body, writes)
        if isinstance(answer, Refusal):
            raise RefusedTransaction(answer)
        return answer

    def _entity(self, write: Insert | Put | Replace) -> dict[str, Any]:
        from azure.data.tables import EdmType, EntityProperty

        def stored(value: str | int | bool) -> Any:
            if isinstance(value, int) and not isinstance(value, bool) and not -_INT32 <= value < _INT32:
                return EntityProperty(value, EdmType.INT64)
            return str(value) if isinstance(value, str) else value

        values = {name: stored(value) for name, value in write.values.items()}
        return {"PartitionKey": self._partition, "RowKey": write.key, **values}


def _row(entity: TableEntity) -> Row:
    values: Values = {
        # A 64-bit number comes as a pair of value and type.
        name: value[0] if isinstance(value, tuple) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey")
    }
    key, version = entity["RowKey"], entity.metadata["etag"]
    if not (isinstance(key, str) and isinstance(version, str)):
        raise TypeError("an entity without key and version is no answer")
    return Row(key, values, version)


def _etag(answer: Any) -> str:
    version = answer["etag"]
    if not isinstance(version, str):
        raise TypeError("an answer without a version is none")
    return version
