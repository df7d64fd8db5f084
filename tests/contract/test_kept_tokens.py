"""How long a token is kept, who fetches the next one, and what the SDK's own client makes of it."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.data.tables import TableClient

from shared.adapters.deadline_pool import running_deadline
from shared.adapters.kept_tokens import (
    FETCH_AGAIN_AFTER_S,
    FETCH_WITHIN_S,
    GIVEN_UP_S,
    ONE_FOR_ALL_S,
    SDK_JITTER_S,
    KeptTokens,
)
from shared.adapters.threads import OS_THREADS, OsThreads, Threads
from shared.adapters.timely_http import HttpTransport
from tests.contract.table_servers import in_one, secured, serving
from tests.fakes.house import HandClock

DAY_S = 24 * 3600
SCOPE = "https://storage.azure.com/.default"
PATIENCE_S = 10.0
# What others add on a busy machine to a wait of a quarter of a second.
BUSY_S = 2.0


class Endpoint:
    """An identity endpoint behind a sign-in; its tokens are told apart by their numbers."""

    def __init__(self, clock: HandClock, lives_s: int = DAY_S) -> None:
        self.clock, self.lives_s = clock, lives_s
        self.away = False
        self.asked: list[dict[str, Any]] = []
        self.left_s: list[float] = []
        """How long each request may take: infinite without a deadline."""
        self.came = threading.Semaphore(0)
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self) -> "Endpoint":
        return self

    def get_token(self, *_scopes: str, **options: Any) -> AccessToken:
        self.asked.append(options)
        number, deadline = len(self.asked), running_deadline()
        self.left_s.append(deadline.remaining_s() if deadline else float("inf"))
        self.came.release()
        self.answers.wait(PATIENCE_S)
        if self.away:
            raise ClientAuthenticationError("no token")
        return AccessToken(f"token-{number}", self.expires_on())

    def expires_on(self) -> int:
        return int(self.clock.now().timestamp()) + self.lives_s


class Begun(OsThreads):
    """Threads whose work the test does itself."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def begin(self, name: str, work: Callable[[], None]) -> None:
        self.work.append(work)

    def run(self) -> None:
        """All that was begun."""
        while self.work:
            self.work.pop(0)()


class NoThread(OsThreads):
    """The machine has none to give."""

    def begin(self, name: str, work: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")


class Case:
    """Tokens of an endpoint on a clock that the test moves."""

    def __init__(self, threads: Threads | None = None, lives_s: int = DAY_S) -> None:
        self.clock = HandClock(datetime.now(UTC))
        self.endpoint = Endpoint(self.clock, lives_s)
        self.beside = Begun()
        self.tokens = KeptTokens(self.endpoint, self.clock, threads or self.beside)

    def given(self) -> str:
        return self.tokens.get_token(SCOPE).token

    def pass_s(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


def test_a_token_is_kept_for_each_resource_and_fetched_ahead_from_half_of_its_life_on() -> None:
    case = Case()
    assert {case.given() for _ in range(3)} == {"token-1"}
    assert case.tokens.get_token("https://communication.azure.com/.default").token == "token-2"
    case.pass_s(DAY_S / 2 - 1)
    assert case.given() == "token-1" and not case.beside.work
    case.pass_s(1)
    assert {case.given() for _ in range(3)} == {"token-1"}
    assert len(case.beside.work) == 1
    case.beside.run()
    assert case.given() == "token-3"


def test_while_the_endpoint_is_away_the_kept_one_is_given_until_shortly_before_its_end() -> None:
    case = Case()
    assert case.given() == "token-1"
    case.endpoint.away = True
    case.pass_s(DAY_S / 2)
    for tries in range(1, 5):
        assert {case.given() for _ in range(3)} == {"token-1"}
        case.beside.run()
        assert len(case.endpoint.asked) == 1 + tries, "not with every request"
        case.pass_s(FETCH_AGAIN_AFTER_S)
    case.pass_s(case.endpoint.lives_s / 2 - 4 * FETCH_AGAIN_AFTER_S - GIVEN_UP_S - 1)
    assert case.given() == "token-1"
    case.pass_s(1)
    with pytest.raises(ClientAuthenticationError):
        case.given()
    case.endpoint.away = False
    assert case.given().startswith("token-")


def test_an_endpoint_that_gives_out_the_same_token_until_its_end_is_asked_a_few_times() -> None:
    case = Case()
    case.given()
    ends = case.endpoint.expires_on()
    while case.clock.now().timestamp() < ends - GIVEN_UP_S - FETCH_AGAIN_AFTER_S:
        case.pass_s(FETCH_AGAIN_AFTER_S)
        case.endpoint.lives_s = ends - int(case.clock.now().timestamp())
        case.given()
        case.beside.run()
    assert 5 < len(case.endpoint.asked) < 20


def test_the_fetching_ahead_has_a_deadline() -> None:
    case = Case()
    case.given()
    case.pass_s(DAY_S / 2)
    case.given()
    case.beside.run()
    assert case.endpoint.left_s == [float("inf"), FETCH_WITHIN_S]


def test_without_a_thread_to_fetch_ahead_the_kept_one_is_given_all_the_same() -> None:
    case = Case(NoThread())
    case.given()
    case.pass_s(DAY_S / 2)
    assert case.given() == "token-1"


def test_of_a_crowd_without_a_token_one_fetches_it() -> None:
    case = Case(OS_THREADS)
    case.endpoint.answers.clear()
    with ThreadPoolExecutor(16) as crowd:
        given = [crowd.submit(case.given) for _ in range(16)]
        case.endpoint.answers.set()
        assert {each.result() for each in given} == {"token-1"}
    assert len(case.endpoint.asked) == 1


def test_a_request_that_hangs_alone_keeps_the_others_waiting_for_a_moment_only() -> None:
    case = Case(OS_THREADS)
    case.endpoint.answers.clear()
    with ThreadPoolExecutor(2) as both:
        hanging = both.submit(case.given)
        assert case.endpoint.came.acquire(timeout=PATIENCE_S)
        other = both.submit(case.given)
        assert case.endpoint.came.acquire(timeout=BUSY_S)
        case.endpoint.answers.set()
        assert {hanging.result(PATIENCE_S), other.result(PATIENCE_S)} <= {"token-1", "token-2"}
    assert ONE_FOR_ALL_S < 0.3, "a dial without an answer of the store is given up after 0.3 s"


@pytest.mark.parametrize("challenge", [{"claims": '{"access_token":{}}'}, {"tenant_id": "tenant"}])
def test_after_a_challenge_there_is_another_token_and_one_for_requests_that_were_refused_together(
    challenge: dict[str, Any],
) -> None:
    case = Case()
    assert case.given() == "token-1"
    for _ in range(3):
        assert case.tokens.get_token(SCOPE, **challenge).token == "token-2"
    assert case.given() == "token-2" and case.endpoint.asked == [{}, challenge]
    case.pass_s(FETCH_AGAIN_AFTER_S)
    assert case.tokens.get_another(SCOPE).token == "token-3"


# What the SDK's own client makes of it -------------------------------------------------------------------------------

ENTITY = '{"PartitionKey":"p","RowKey":"row","odata.etag":"v1"}'
CHALLENGE = (
    "WWW-Authenticate: Bearer authorization_uri=https://login.microsoftonline.com/tenant/oauth2/authorize "
    "resource_id=https://storage.azure.com"
)


@contextmanager
def storage(tokens: Any, folder: Path, refused: tuple[str, ...] = ()) -> Iterator[tuple[TableClient, list[str]]]:
    """A client of a table whose service takes any token but those; and what tokens it saw."""
    authority, bundle, seen = trustme.CA(), folder / "authority.pem", list[str]()
    authority.cert_pem.write_to_path(str(bundle))

    def talk(connection: socket.socket, _stopping: threading.Event) -> None:
        while request := connection.recv(65_536):
            [bearer] = [line for line in request.decode().split("\r\n") if line.lower().startswith("authorization:")]
            seen.append(bearer.rpartition(" ")[2])
            taken = seen[-1] not in refused
            connection.sendall(in_one(200, "OK", body=ENTITY) if taken else in_one(401, "No", CHALLENGE, body="{}"))

    http = HttpTransport(connect_s=PATIENCE_S, read_s=PATIENCE_S, pool_size=2, ca_bundle=str(bundle))
    with serving(secured(authority, talk)) as server:
        url = f"https://127.0.0.1:{server.port}"
        with TableClient(url, table_name="table", credential=tokens, transport=http, retry_total=0) as client:
            yield client, seen


def test_an_endpoint_that_hangs_keeps_no_request_waiting_while_the_token_lives(tmp_path: Path) -> None:
    # In the last four to five minutes of a token the SDK's client would ask its credential with each request.
    case = Case(OS_THREADS, lives_s=240)
    with storage(case.tokens, tmp_path) as (client, seen):
        client.get_entity("p", "row")
        case.endpoint.answers.clear()
        case.pass_s(150)
        began = OS_THREADS.monotonic()
        for _ in range(5):
            client.get_entity("p", "row")
        assert OS_THREADS.monotonic() - began < BUSY_S
        case.endpoint.answers.set()
    assert seen == ["token-1"] * 6 and len(case.endpoint.asked) <= 2


def test_the_client_asks_here_from_half_of_a_tokens_life_on_and_before_it_is_given_up() -> None:
    case = Case()
    begins = case.clock.now().timestamp()
    info = case.tokens.get_token_info(SCOPE)
    assert info.refresh_on == pytest.approx(begins + DAY_S / 2, abs=2)
    case.endpoint.away = True
    case.pass_s(DAY_S - GIVEN_UP_S - FETCH_AGAIN_AFTER_S)
    refresh_on = case.tokens.get_token_info(SCOPE).refresh_on
    assert refresh_on is not None and refresh_on + SDK_JITTER_S <= info.expires_on - GIVEN_UP_S


def test_a_token_that_storage_does_not_take_is_replaced(tmp_path: Path) -> None:
    case = Case()
    with storage(case.tokens, tmp_path, refused=("token-1",)) as (client, seen):
        assert client.get_entity("p", "row")["RowKey"] == "row"
        assert seen == ["token-1", "token-2"]
        assert case.endpoint.asked == [{}, {"tenant_id": "tenant"}]
        client.get_entity("p", "row")
        assert seen[2:] == ["token-2"]


def test_a_service_that_takes_no_token_does_not_have_one_fetched_with_each_request(tmp_path: Path) -> None:
    case = Case()
    with storage(case.tokens, tmp_path, refused=("token-1", "token-2")) as (client, _):
        for _ in range(4):
            with pytest.raises(HttpResponseError):
                client.get_entity("p", "row")
    assert len(case.endpoint.asked) == 2
