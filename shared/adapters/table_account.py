"""One storage account: one pool of threads, one session and one breaker, however many tables it has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shared.adapters.breaker import Attempt, Breaker
from shared.adapters.deadline_pool import DeadlinePool, PendingAnswer
from shared.adapters.sdk_answers import NO_REDIRECTS, USUAL_WAIT_S, is_busy, never_sent, retry_after_s, was_reset
from shared.adapters.table import Miss, RowConflict
from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable
from shared.ports import Telemetry

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError
    from azure.core.rest import HttpResponse
    from azure.data.tables import TableClient

    from shared.adapters.timely_http import HttpTransport

CONNECT_S = 0.25
# For callers who can wait; a dial's deadline is far shorter, and every read ends with its deadline.
READ_S = 2.0
THREADS = 64
# A shorter wait than this says nothing of the service, only that its caller was late already.
FAIR_WAIT_S = 0.1
TABLE_NOT_FOUND = "TableNotFound"
# What Table storage, Azurite and Cosmos DB for Table say of one row, with 404, 409 or 412. A proxy, or a site that is
# switched off, answers these statuses without them.
_CODES_OF_A_ROW = frozenset(
    {"ResourceNotFound", "EntityNotFound", "EntityAlreadyExists", "UpdateConditionNotSatisfied", "ConditionNotMet"}
)
MAX_WAIT_S = 60.0
_MISSES: dict[int, Miss] = {
    HTTPStatus.NOT_FOUND: Miss.MISSING,
    HTTPStatus.CONFLICT: Miss.EXISTS,
    HTTPStatus.PRECONDITION_FAILED: Miss.CHANGED,
}


class TableRefused(Unavailable):
    """Table storage refused a request that should never have been sent, or the app may not use it.

    For a caller it is as good as away (B1).
    """

    def __init__(self, status: int | None, code: str) -> None:
        super().__init__(f"Table storage answered {status} {code}".rstrip())
        self.status = status
        self.code = code


class RefusedRequest(Exception):
    """Storage, or whoever answered in its place, refused a request, and wrote nothing.

    `code` is storage's own, empty where the answer has none. `index` is that of the write which is to blame, None where
    that is none of them.
    """

    def __init__(
        self, status: int, code: str, *, index: int | None = None, retry_after_s: float = USUAL_WAIT_S
    ) -> None:
        super().__init__()
        self.status, self.code, self.index, self.retry_after_s = status, code, index, retry_after_s

    @classmethod
    def answered(cls, response: HttpResponse) -> RefusedRequest:
        """By this answer; of its text only the service's code is read, since the rest may name a row."""
        return cls(response.status_code, _code_in(response), retry_after_s=retry_after_s(response, most_s=MAX_WAIT_S))

    @property
    def is_of_one_row(self) -> bool:
        """Whether storage says by its own code that the row is missing, exists or has changed."""
        return self.status in _MISSES and self.code in _CODES_OF_A_ROW


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

    def ask[T](self, table_name: str, work: Callable[[TableClient], T], deadline: Deadline) -> PendingAnswer[T]:
        """Begin a request to one table. Raises `Unavailable`; its answer raises that and `RowConflict`."""
        attempt = self.breaker.admit()
        begun = self._clock.monotonic()
        fair = deadline.latest_s() >= FAIR_WAIT_S

        def away() -> None:
            first = attempt.failed() if fair else attempt.dropped()
            # Of a request that times out the waiter says so, and soon after it the thread that did the work.
            if first and self._telemetry is not None:
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
        except (RowConflict, TableRefused):
            attempt.answered()
            raise
        except Unavailable:
            # A service that is only ever busy or broken is as good as away.
            attempt.failed()
            raise
        except Exception:  # noqa: BLE001 - anything may come of a lost connection, of an answer with 200 that is no
            # answer, of an identity that cannot be used. To whoever asked, the store has not answered.
            away()
            raise Unavailable from None
        attempt.answered()
        return answer

    def _tried[T](self, client: TableClient, work: Callable[[TableClient], T], deadline: Deadline) -> T:
        """Once more where a connection broke or did not come about, and where the table was not there yet.

        To the breaker it is one attempt all the same.
        """
        from azure.core.exceptions import AzureError

        repeated = created_table = False
        while True:
            try:
                return work(client)
            except RefusedRequest as refused:
                if refused.code != TABLE_NOT_FOUND or created_table:
                    raise _outcome(refused) from None
                created_table = True
                self._create_table(client)
            except AzureError as error:
                broke = was_reset(error) or never_sent(error)
                if not broke or repeated or deadline.passed():
                    raise _translated(error) from None
                repeated = True

    def _create_table(self, client: TableClient) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            client.create_table()
        except ResourceExistsError as error:
            if _code_in(error.response) != "TableAlreadyExists":
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
        try:
            if self._http is None:
                self._http = HttpTransport(
                    connect_s=CONNECT_S, read_s=READ_S, pool_size=THREADS, ca_bundle=self._ca_bundle
                )
            options: dict[str, Any] = {
                "table_name": table_name,
                "transport": self._http,
                "retry_total": 0,
                **NO_REDIRECTS,
            }
            if self._connection_string:
                return TableClient.from_connection_string(self._connection_string, **options)
            assert self._endpoint is not None
            return TableClient(self._endpoint, credential=managed_credential(), **options)
        except Exception:  # noqa: BLE001 - the SDK's parsers raise anything, and their message may hold the key; a bundle
            # of certificates may be missing
            raise Unavailable("The settings of Table storage cannot be used.") from None


def _outcome(refused: RefusedRequest) -> Exception:
    miss = _MISSES.get(refused.status)
    if miss is not None and refused.index is not None and refused.code != TABLE_NOT_FOUND:
        return RowConflict(refused.index, miss)
    not_storage = miss is not None and not refused.code
    if is_busy(refused.status) or not_storage:
        return Unavailable(retry_after_s=refused.retry_after_s)
    return TableRefused(refused.status, refused.code)


def _translated(error: AzureError) -> Exception:
    """What the SDK itself raised: its pipeline, its tokens, the making of a table."""
    response = getattr(error, "response", None)
    if response is None or response.status_code < HTTPStatus.BAD_REQUEST:
        # No answer, or half of one.
        return error
    return _outcome(RefusedRequest.answered(response))


def _code_in(response: Any) -> str:
    try:
        code = str(response.json()["odata.error"]["code"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return code if code.isalnum() else ""
