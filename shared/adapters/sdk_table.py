"""One partition of a table in Azure Table storage, or in Cosmos DB for Table, through azure-data-tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from shared.adapters.breaker import Attempt, Breaker
from shared.adapters.deadline_pool import Answer, DeadlinePool
from shared.adapters.entity_group import Refusal, decode, encode
from shared.adapters.table import (
    Delete,
    Insert,
    Miss,
    Put,
    Replace,
    Row,
    RowConflict,
    Values,
    Write,
    require_key,
    require_writes,
)
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable
from shared.ports import Telemetry

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.data.tables import TableClient, TableEntity

    from shared.adapters.timely_http import HttpTransport

CONNECT_S = 0.25
# For callers who can wait; a dial's deadline is far shorter, and every read ends with its deadline.
READ_S = 2.0
THREADS = 64
MOST_ROWS_A_PAGE = 1000
# A shorter wait than this says nothing of the service, only that its caller was late already.
FAIR_WAIT_S = 0.1
_INT32 = 2**31
TABLE_NOT_FOUND = "TableNotFound"
_RANGE = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"
_MISSES = {
    HTTPStatus.NOT_FOUND: Miss.MISSING,
    HTTPStatus.CONFLICT: Miss.EXISTS,
    HTTPStatus.PRECONDITION_FAILED: Miss.CHANGED,
}
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class TableRefused(Unavailable):
    """Table storage refused a request that should never have been sent, or the app may not use it.

    For a caller it is as good as away (B1).
    """

    def __init__(self, status: int | None, code: str) -> None:
        super().__init__(f"Table storage answered {status} {code}".rstrip())
        self.status = status
        self.code = code


class SdkTable:
    """Port `Table`.

    Nothing is connected, imported or started before the first request. Either `connection_string` or `endpoint` (then
    with the app's managed identity) says where; the table is created when it is found missing. Tables of one account
    share a `breaker`: what one has found out, the others need not.
    """

    def __init__(
        self,
        *,
        table_name: str,
        partition: str,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
        telemetry: Telemetry | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._table_name = table_name
        self._partition = partition
        self._clock = clock
        self._connection_string = connection_string
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._ca_bundle = ca_bundle
        self._telemetry = telemetry
        self._breaker = breaker or Breaker(clock, telemetry)
        self._pool = DeadlinePool("table", THREADS)
        self._lock = threading.Lock()
        self._made: tuple[TableClient, HttpTransport] | None = None

    # Port ------------------------------------------------------------------------------------------------------------

    def get(self, key: str, deadline: Deadline) -> Answer[Row | None]:
        """One row."""
        require_key(key)
        return self._ask(lambda client: self._get(client, key), deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answer[list[Row]]:
        """At most `limit` rows with `first <= key < end`, in the order of their keys."""
        if limit < 1:
            raise ValueError("the limit must be at least 1")
        return self._ask(lambda client: self._between(client, first, end, limit, deadline), deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        """Apply all writes or none (`RowConflict`); gives the new version of each row, None for a removed one.

        A request that was repeated because its connection broke, and had been carried out, shows as a `RowConflict`.
        """
        require_writes(writes)
        whole = tuple(writes)
        return self._ask(lambda client: self._commit(client, whole), deadline).result()

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first caller need not wait for that."""
        self._client()

    def close(self) -> None:
        """Begin nothing more, and close the idle connections."""
        self._pool.close()
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made[1].close()

    # The way there ---------------------------------------------------------------------------------------------------

    def _ask[T](self, work: Callable[[TableClient], T], deadline: Deadline) -> Answer[T]:
        attempt = self._breaker.admit()
        begun = self._clock.monotonic()
        fair = deadline.latest_s() >= FAIR_WAIT_S

        def away() -> None:
            if fair:
                attempt.failed()
            else:
                attempt.dropped()
            if self._telemetry is not None:
                self._telemetry.emit("storage_failed", ms=round((self._clock.monotonic() - begun) * 1000))

        try:
            return self._pool.submit(lambda: self._answer(work, attempt, away, deadline), deadline, away)
        except Unavailable:
            attempt.dropped()
            raise

    def _answer[T](
        self, work: Callable[[TableClient], T], attempt: Attempt, away: Callable[[], None], deadline: Deadline
    ) -> T:
        try:
            answer = self._tried(work, deadline)
        except _Away:
            away()
            raise Unavailable from None
        except TableRefused:
            raise
        except Unavailable:
            # A service that is only ever busy or broken is as good as away.
            attempt.failed()
            raise
        finally:
            # Whatever else came of it, the service answered; the first word counts.
            attempt.answered()
        return answer

    def _tried[T](self, work: Callable[[TableClient], T], deadline: Deadline) -> T:
        """Once more where a kept connection turned out to be dead, and where the table was not there yet."""
        from azure.core.exceptions import AzureError
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        client = self._client()
        retried_reset = created_table = False
        while True:
            try:
                return work(client)
            except AzureError as error:
                if _was_reset(error) and not retried_reset and not deadline.passed():
                    retried_reset = True
                elif _table_is_missing(error) and not created_table:
                    created_table = True
                    self._create_table(client)
                else:
                    raise _translated(error) from None
            except _RefusedTransaction as refused:
                if refused.refusal.code == TABLE_NOT_FOUND and not created_table:
                    created_table = True
                    self._create_table(client)
                else:
                    raise _outcome(refused.refusal) from None
            except (RequestException, HTTPError, OSError):
                # The SDK does not translate everything that can happen while it reads an answer.
                raise _Away from None

    def _create_table(self, client: TableClient) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            client.create_table()
        except ResourceExistsError as error:
            if _code_of(error) != "TableAlreadyExists":
                raise Unavailable from None
        except AzureError as error:
            raise _translated(error) from None

    def _client(self) -> TableClient:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made[0]

    def _make_client(self) -> tuple[TableClient, HttpTransport]:
        from azure.data.tables import TableClient

        from shared.adapters.timely_http import HttpTransport, managed_credential

        http = HttpTransport(connect_s=CONNECT_S, read_s=READ_S, pool_size=THREADS, ca_bundle=self._ca_bundle)
        options: dict[str, Any] = {"table_name": self._table_name, "transport": http.transport, "retry_total": 0}
        if self._connection_string:
            return TableClient.from_connection_string(self._connection_string, **options), http
        if not self._endpoint:
            raise Unavailable
        return TableClient(self._endpoint, credential=managed_credential(), **options), http

    # The requests ----------------------------------------------------------------------------------------------------

    def _get(self, client: TableClient, key: str) -> Row | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return _row(client.get_entity(self._partition, key))
        except ResourceNotFoundError as error:
            if _table_is_missing(error):
                raise
            return None

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
            raise _conflict(error, 0) or error from None

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
            raise _RefusedTransaction(answer)
        return answer

    def _entity(self, write: Insert | Put | Replace) -> dict[str, Any]:
        from azure.data.tables import EdmType, EntityProperty

        def stored(value: str | int | bool) -> Any:
            if isinstance(value, int) and not isinstance(value, bool) and not -_INT32 <= value < _INT32:
                return EntityProperty(value, EdmType.INT64)
            return str(value) if isinstance(value, str) else value

        values = {name: stored(value) for name, value in write.values.items()}
        return {"PartitionKey": self._partition, "RowKey": write.key, **values}


class _RefusedTransaction(Exception):
    """Storage carried nothing out, because of one of the writes."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class _Away(Exception):
    """The service cannot be reached, or does not answer."""


def _row(entity: TableEntity) -> Row:
    values: Values = {
        # A 64-bit number comes as a pair of value and type.
        name: value[0] if isinstance(value, tuple) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey")
    }
    return Row(entity["RowKey"], values, str(entity.metadata["etag"]))


def _etag(answer: Any) -> str:
    return str(answer["etag"])


def _conflict(error: HttpResponseError, index: int) -> RowConflict | None:
    miss = next((miss for status, miss in _MISSES.items() if status == error.status_code), None)
    if miss is None or _table_is_missing(error):
        return None
    return RowConflict(index, miss)


def _outcome(refusal: Refusal) -> Exception:
    miss = next((miss for status, miss in _MISSES.items() if status == refusal.status), None)
    if miss is not None and refusal.code != TABLE_NOT_FOUND:
        return RowConflict(refusal.index, miss)
    if refusal.status in _BUSY or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable()
    return TableRefused(refusal.status, refusal.code)


def _code_of(error: AzureError) -> str:
    code = getattr(error, "error_code", None) or _code_in(getattr(error, "response", None))
    text = str(getattr(code, "value", code) or "")
    return text if text.isalnum() else ""


def _code_in(response: Any) -> str | None:
    if response is None:
        return None
    try:
        return str(response.json()["odata.error"]["code"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _table_is_missing(error: AzureError) -> bool:
    return getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND and _code_of(error) == TABLE_NOT_FOUND


def _was_reset(error: AzureError) -> bool:
    """Whether a connection broke before any of the answer came: a repeat costs nothing and may help."""
    from azure.core.exceptions import ServiceResponseError, ServiceResponseTimeoutError

    return isinstance(error, ServiceResponseError) and not isinstance(error, ServiceResponseTimeoutError)


def _translated(error: AzureError) -> Exception:
    status = getattr(error, "status_code", None)
    if status is None or status < HTTPStatus.BAD_REQUEST:
        # No answer, or half of one.
        return _Away()
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(retry_after_s=_retry_after_s(error))
    return TableRefused(status, _code_of(error))


def _retry_after_s(error: AzureError) -> float:
    response = getattr(error, "response", None)
    try:
        return min(60.0, max(0.5, float(response.headers["Retry-After"]))) if response is not None else 2.0
    except (KeyError, ValueError):
        return 2.0
