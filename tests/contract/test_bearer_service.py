"""What `BearerService` makes of a service's answers, on plain connections."""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from socket import socket

import pytest
import trustme
from azure.core.credentials import AccessToken

from shared.adapters.bearer_client import BearerService
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import Unavailable
from tests.contract.table_servers import answers, at_first, hangs_up, resets, secured, serving

CLOCK = SystemClock()
LONG_S, SHORT_S = 300, 1


class AnyToken:
    """A sign-in that always works."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


def test_a_shorter_pause_takes_nothing_from_a_longer_one() -> None:
    """Service protection has several limits, each with a pause of its own; whoever ignores one is asked for more."""
    both, shorter = threading.Barrier(2), threading.Event()

    def talk(connection: socket, stopping: threading.Event) -> None:
        pause_s = SHORT_S if both.wait(5) else LONG_S
        if pause_s == SHORT_S:
            shorter.wait(5)
        answers(429, "Too Many Requests", f"Retry-After: {pause_s}")(connection, stopping)

    with serving(talk) as server, ThreadPoolExecutor(2) as both_ask:
        service = BearerService(
            "test", url=f"http://127.0.0.1:{server.port}", clock=CLOCK, credential=AnyToken, threads=2
        )

        def ask() -> None:
            with suppress(Unavailable):
                service.ask("GET", "/", Deadline(CLOCK, 10))

        asked = [both_ask.submit(ask) for _ in range(2)]
        wait(asked, return_when=FIRST_COMPLETED)
        shorter.set()
        wait(asked)
        with pytest.raises(Unavailable) as caught:
            service.ask("GET", "/", Deadline(CLOCK, 10))
        assert caught.value.retry_after_s > LONG_S - 10
        service.close()


@pytest.mark.parametrize(("trouble", "may_be_done"), [("hangs up", True), ("resets the handshake", False)])
def test_a_connection_that_breaks_costs_one_repeat_and_what_was_never_sent_is_not_done(
    trouble: str, may_be_done: bool, tmp_path: Path
) -> None:
    authority, bundle = trustme.CA(), tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    well = secured(authority, answers(200, "OK"))
    first = secured(authority, hangs_up) if may_be_done else resets
    with serving(at_first(first, well)) as server:
        url = f"https://127.0.0.1:{server.port}"
        service = BearerService("test", url=url, clock=CLOCK, ca_bundle=str(bundle), credential=AnyToken, threads=1)
        reply = service.ask("POST", "/", Deadline(CLOCK, 10))
        assert (reply.repeated, server.connections) == (may_be_done, 2)
        service.close()
