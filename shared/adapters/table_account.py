"""One storage account: one pool of threads, one session and one breaker, however many tables it has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.adapters.breaker import Attempt, Breaker
from shared.adapters.deadline_pool import Answer, DeadlinePool
from shared.adapters.entity_group import Refusal
from shared.adapters.table import Miss, RowConflict
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Conflict, Unavailable
from shared.ports import Telemetry

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.data.tables import TableClient

    from shared.adapters.timely_http import HttpTransport

CONNECT_S = 0.25
# For callers who can wait; a dial's deadline is far shorter, and every read ends with its deadline.
READ_S = 2.0
THREADS = 64
# A shorter wait than this says nothing of the service, only that its caller was late already.
FAIR_WAIT_S = 0.1
TABLE_NOT_FOUND = "TableNotFound"
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


class RefusedTransaction(Exception):
    """Storage carried nothing out, because of one of the writes."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


class _Away(Exception):
    """The service cannot be reached, or does not answer with anything that can be read."""


class TableAccount:
    """The way to the account's tables.

    Nothing is connected, imported or started before the first request. Either `connection_string` or `endpoint` (then
    with the app's managed identity) says where; a table is created when it is found missing.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        connection_string: str | None = None,
        endpoint: str | None = None,
        ca_bundle: str | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._clock = clock
        self._connection_string = connection_string
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._ca_bundle = ca_bundle
        self._telemetry = telemetry
        self.breaker = Breaker(clock, telemetry)
        self._pool = DeadlinePool("table", THREADS)
        self._lock = threading.Lock()
        self._http: HttpTransport | None = None
        self._clients: dict[str, TableClient] = {}

    def ask[T](self, table_name: str, work: Callable[[TableClient], T], deadline: Deadline) -> Answer[T]:
        """Begin a request to one table. Raises `Unavailable`; its answer raises that and `RowConflict`."""
        attempt = self.breaker.admit()
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
            return self._pool.submit(lambda: self._answer(table_name, work, attempt, away, deadline), deadline, away)
        except Unavailable:
            attempt.dropped()
            raise

    def warm_up(self, table_name: str) -> None:
        """Import the SDK and make the client, so that the first caller need not wait for that. Raises `Unavailable`."""
        self._client(table_name)

    def close(self) -> None:
        """Begin nothing more, and close the idle connections."""
        self._pool.close()
        with self._lock:
            http, self._http = self._http, None
            self._clients.clear()
        if http is not None:
            http.close()

    def _answer[T](
        self,
        table_name: str,
        work: Callable[[TableClient], T],
        attempt: Attempt,
        away: Callable[[], None],
        deadline: Deadline,
    ) -> T:
        try:
            answer = self._tried(self._client(table_name), work, deadline)
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

    def _tried[T](self, client: TableClient, work: Callable[[TableClient], T], deadline: Deadline) -> T:
        """Once more where a kept connection turned out to be dead, and where the table was not there yet."""
        from azure.core.exceptions import AzureError

        retried_reset = created_table = False
        while True:
            try:
                return work(client)
            except (Conflict, Unavailable):
                raise
            except AzureError as error:
                if _was_reset(error) and not retried_reset and not deadline.passed():
                    retried_reset = True
                elif table_is_missing(error) and not created_table:
                    created_table = True
                    self._create_table(client)
                else:
                    raise _translated(error) from None
            except RefusedTransaction as refused:
                if refused.refusal.code == TABLE_NOT_FOUND and not created_table:
                    created_table = True
                    self._create_table(client)
                else:
                    raise _outcome(refused.refusal) from None
            except Exception:  # noqa: BLE001 - the SDK raises anything: on an answer with 200 that is no answer, a
                # broken read, an identity that cannot be used. To whoever asked, the store has not answered.
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

    def _client(self, table_name: str) -> TableClient:
        with self._lock:
            if table_name not in self._clients:
                self._clients[table_name] = self._made(table_name)
            return self._clients[table_name]

    def _made(self, table_name: str) -> TableClient:
        from azure.data.tables import TableClient

        from shared.adapters.timely_http import HttpTransport, managed_credential

        if not (self._connection_string or self._endpoint):
            raise Unavailable
        if self._http is None:
            self._http = HttpTransport(connect_s=CONNECT_S, read_s=READ_S, pool_size=THREADS, ca_bundle=self._ca_bundle)
        options: dict[str, Any] = {"table_name": table_name, "transport": self._http.transport, "retry_total": 0}
        try:
            if self._connection_string:
                return TableClient.from_connection_string(self._connection_string, **options)
            assert self._endpoint is not None
            return TableClient(self._endpoint, credential=managed_credential(), **options)
        except Exception:  # noqa: BLE001 - the SDK's parsers raise anything, and its message may hold the key
            raise Unavailable("The settings of Table storage cannot be used.") from None


def connection_string_is_usable(connection_string: str) -> bool:
    """Whether the SDK itself can make a client of it: its own parser is the check of the setting."""
    from azure.data.tables import TableClient

    try:
        TableClient.from_connection_string(connection_string, table_name="check")
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def conflict_of(error: HttpResponseError, index: int) -> RowConflict | None:
    """The conditional write that was refused, if that is what the error says."""
    miss = next((miss for status, miss in _MISSES.items() if status == error.status_code), None)
    if miss is None or table_is_missing(error):
        return None
    return RowConflict(index, miss)


def table_is_missing(error: AzureError) -> bool:
    """Whether there is no such table yet; a missing row has the same class and status."""
    return getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND and _code_of(error) == TABLE_NOT_FOUND


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
