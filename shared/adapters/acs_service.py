"""What the adapters of Communication Services, of Graph and of Dynamics 365 share.

One client, a deadline a request, one translation.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from shared.adapters.deadline_pool import DeadlinePool, PendingAnswer
from shared.adapters.sdk_answers import NO_REDIRECTS, is_busy, never_left, never_sent, retry_after_s, was_reset
from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

    from shared.adapters.timely_http import HttpTransport

CONNECT_S = 1.0
READ_S = 10.0
THREADS = 32
CONNECTIONS = 64
MAX_WAIT_S = 600.0
HTTPS_PORT = 443
# A faulty setting, a right that has just been assigned, a key being rotated: somebody mends it.
MENDING_S = 30.0
# The reason of `Unavailable` after a 429.
QUOTA = "quota"
# With these a service says that it does not begin. After another 5xx it may have: a 504 is a proxy's.
_TURNED_AWAY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
# Codes of a 400 of call control: the call is not connected, yet or any more; it has ended, and is no 404 yet.
NOT_CONNECTED = "8501"
CALL_OVER = frozenset({"8528", "8543"})
_PATH_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~=+-]{1,2048}", re.ASCII)


class ServiceRefusal(Struct, frozen=True):
    """A refusal by the service: its status, its code, and its whole text, which may name people: never log it."""

    status: int
    code: str
    text: str


class AcsService[C]:
    """Makes the client at first use and sends its requests.

    `make` gets the credentials and the client's options: either a connection string, or an endpoint and a credential.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[str | None, str | None, dict[str, Any]], C],
        *,
        connection_string: str | None,
        endpoint: str | None,
        ca_bundle: str | None,
        threads: int = THREADS,
        waiting: int | None = None,
        knows_repeats: bool = False,
    ) -> None:
        """`threads`: how many requests may be under way at once. `waiting`: how many more may wait for that.

        `knows_repeats`: the service does a repeated request once, so that after any 5xx nothing counts as done.
        """
        self._make = make
        # A slash at the end makes the SDK sign another host than it asks.
        self._endpoint = endpoint.rstrip("/") if endpoint else None
        self._connection_string = connection_string
        self._ca_bundle = ca_bundle
        self._knows_repeats = knows_repeats
        self._pool = DeadlinePool(name, threads, waiting)
        self._lock = threading.Lock()
        self._made: tuple[C, HttpTransport] | None = None
        self._place: tuple[str | None, int] | None = None

    def ask[T](
        self,
        request: Callable[[C], T],
        deadline: Deadline,
        *,
        refusal: Callable[[ServiceRefusal], Exception],
        repeatable: bool = False,
    ) -> T:
        """Send a request and wait for its answer; `refusal` says what a 4xx means.

        It is sent once more where no connection came about, and with `repeatable` also where one broke. Raises
        `Unavailable`, also where the settings make no client and where an answer of success cannot be read.
        """
        return self.begin(request, deadline, refusal=refusal, repeatable=repeatable).result()

    def begin[T](
        self,
        request: Callable[[C], T],
        deadline: Deadline,
        *,
        refusal: Callable[[ServiceRefusal], Exception],
        repeatable: bool = False,
    ) -> PendingAnswer[T]:
        """As `ask`, without waiting: several requests can be on their way at once."""
        return self._pool.submit(lambda: self._tried(request, refusal, deadline, repeatable=repeatable), deadline)

    def ping(self, request: Callable[[C], object], deadline: Deadline) -> None:
        """See that the service answers: any answer will do, but that we may not ask (`Refused`). Raises `Unavailable`.

        `request` asks for something that there is not.
        """
        with suppress(NotFound):
            self.ask(request, deadline, refusal=_answer_to_ping, repeatable=True)

    def is_own(self, url: str) -> bool:
        """Whether an address that the service gave leads back to it: a request there is signed like any other."""
        try:
            leads = urlsplit(url)
            # Its own host without TLS is whoever answers there.
            return leads.scheme in ("", "https") and (not leads.netloc or _place(leads) == self._place)
        except ValueError:
            return False

    def warm_up(self) -> None:
        """Import the SDK and make the client, so that the first request need not wait for that."""
        self._client()

    def close(self) -> None:
        """Begin nothing more, and close the idle connections."""
        self._pool.close()
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made[1].close()

    def _tried[T](
        self,
        request: Callable[[C], T],
        refusal: Callable[[ServiceRefusal], Exception],
        deadline: Deadline,
        *,
        repeatable: bool,
    ) -> T:
        from azure.core.exceptions import AzureError

        client = self._client()
        for repeats_left in (1, 0):
            try:
                return request(client)
            except AzureError as error:
                harmless = never_sent(error) or (repeatable and was_reset(error))
                if harmless and repeats_left and not deadline.passed():
                    continue
                # Without its cause: the SDK's message holds the service's, which names people.
                raise self._translated(error, refusal) from None
            except EmergencyCallingError:
                raise
            except Exception:  # noqa: BLE001 - the SDK raises anything for an answer that does not hold what it must
                raise Unavailable from None
        raise Unavailable

    def _translated(self, error: AzureError, refusal: Callable[[ServiceRefusal], Exception]) -> Exception:
        status = getattr(error, "status_code", None)
        if status is None or status < HTTPStatus.BAD_REQUEST:
            return Unavailable(undone=status is None and never_left(error))
        response = getattr(error, "response", None)
        if is_busy(status):
            return Unavailable(
                retry_after_s=retry_after_s(response, most_s=MAX_WAIT_S),
                reason=QUOTA if status == HTTPStatus.TOO_MANY_REQUESTS else "",
                undone=self._knows_repeats or status in _TURNED_AWAY,
            )
        return refusal(_answered(status, response))

    def _client(self) -> C:
        with self._lock:
            if self._made is None:
                self._made = self._make_once()
            return self._made[0]

    def _make_once(self) -> tuple[C, HttpTransport]:
        """Raises `Unavailable` where the settings make no client: the SDK's message would repeat them."""
        if not (self._connection_string or self._endpoint):
            raise _faulty_settings("the service is not configured")
        from shared.adapters.timely_http import HttpTransport

        try:
            http = HttpTransport(connect_s=CONNECT_S, read_s=READ_S, pool_size=CONNECTIONS, ca_bundle=self._ca_bundle)
        except OSError:
            raise _faulty_settings("no certificates to believe") from None
        options = {"transport": http, "retry_total": 0, **NO_REDIRECTS}
        try:
            self._place = _place(urlsplit(f"//{self._host_of_settings()}"))
            return self._make(self._connection_string, self._endpoint, options), http
        except Exception:  # noqa: BLE001 - the SDK's parsers raise anything, and so does its credential
            http.close()
            raise _faulty_settings("these settings make no client") from None

    def _host_of_settings(self) -> str:
        if self._connection_string is None:
            return urlsplit(self._endpoint or "").netloc
        from azure.communication.email._shared.utils import parse_connection_str

        return parse_connection_str(self._connection_string)[0]


def _place(url: SplitResult) -> tuple[str | None, int]:
    """Host and port, whatever the case and whether the usual port is written (RFC 3986, 6.2)."""
    return url.hostname, url.port or HTTPS_PORT


def _faulty_settings(message: str) -> Unavailable:
    return Unavailable(message, retry_after_s=MENDING_S, reason="settings", undone=True)


def _answer_to_ping(answered: ServiceRefusal) -> Exception:
    if answered.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Refused(f"the service answered {answered.status}", code=answered.code or f"status_{answered.status}")
    return NotFound()


def path_segment(outside_id: str) -> str:
    """An id from outside that may stand in a path; `NotFound` for one that would lead elsewhere: nothing has that name.

    The SDK quotes a slash, but not the dot segments that are taken out of a path on the way.
    """
    if _PATH_SEGMENT.fullmatch(outside_id) is None:
        raise NotFound
    return outside_id


def _answered(status: int, response: Any) -> ServiceRefusal:
    try:
        said = response.json()
        code = str(said["error"]["code"])
        # Written anew: the services' own JSON escapes the plus sign and the apostrophe of an address.
        text = json.dumps(said, ensure_ascii=False)
    except Exception:  # noqa: BLE001 - as above: what cannot be read says nothing
        return ServiceRefusal(status, "", "")
    return ServiceRefusal(status, code if code.isascii() and code.isalnum() else "", text)
