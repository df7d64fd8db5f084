"""Whether an event is believed: real tokens of the local stand-in, its key server, and a key server that misbehaves."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import get_args

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.adapters.acs_token import (
    ASK_AT_MOST_EVERY_S,
    ASK_AT_ONCE,
    KEYS_ARE_FRESH_S,
    MAX_TOKEN_CHARS,
    AcsTokens,
    read_key_set,
)
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Clock, Deadline
from shared.domain.errors import NotSignedIn, Unavailable
from tests.contract.table_servers import serving, trickles
from tests.local.acs import Fault, LocalAcs
from tests.local.acs.messages import TokenKind

BAD = [kind for kind in get_args(TokenKind) if kind not in ("good", "unsigned")]
pytestmark = pytest.mark.process


class AheadClock:
    """The machine's clock, moved on by the test."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return self._real.now() + self.ahead

    def monotonic(self) -> float:
        return self._real.monotonic() + self.ahead.total_seconds()


@pytest.fixture(scope="module")
def service() -> Iterator[LocalAcs]:
    with LocalAcs.start() as running:
        yield running


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


@pytest.fixture
def tokens(service: LocalAcs, clock: AheadClock) -> Iterator[AcsTokens]:
    service.control.reset()
    adapter = adapter_for(service, clock)
    yield adapter
    adapter.close()


def adapter_for(service: LocalAcs, clock: Clock, *, audience: str | None = "ours") -> AcsTokens:
    return AcsTokens(
        issuer=service.ready.issuer,
        keys_url=service.keys_url,
        audience=service.ready.resource_id if audience == "ours" else audience,
        clock=clock,
        ca_bundle=service.ca_file,
    )


def soon(clock: Clock) -> Deadline:
    return Deadline(clock, 5.0)


def asked(service: LocalAcs) -> int:
    return len(service.control.requests("keys"))


def check(tokens: AcsTokens, token: str, clock: Clock) -> None:
    tokens.require(f"Bearer {token}", soon(clock))


def refused(tokens: AcsTokens, authorization: str | None, clock: Clock) -> None:
    with pytest.raises(NotSignedIn) as caught:
        tokens.require(authorization, soon(clock))
    assert str(caught.value) == "Sign in first.", "it says nothing"


def test_a_good_token_counts_and_its_key_is_remembered(service: LocalAcs, tokens: AcsTokens, clock: AheadClock) -> None:
    for _ in range(5):
        check(tokens, service.control.token(), clock)
    assert asked(service) == 1


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_does_not(service: LocalAcs, tokens: AcsTokens, clock: AheadClock, kind: TokenKind) -> None:
    refused(tokens, f"Bearer {service.control.token(kind)}", clock)
    check(tokens, service.control.token(), clock)
    refused(tokens, f"Bearer {service.control.token(kind)}", clock)


def test_no_token_does_not(service: LocalAcs, tokens: AcsTokens, clock: AheadClock) -> None:
    good = service.control.token()
    others = [None, "", "Bearer", "Bearer ", good, f"Basic {good}", "Bearer a.b.c", f"Bearer {good}x", "Bearer ...."]
    for authorization in [*others, f"Bearer {'x' * MAX_TOKEN_CHARS}.y.z", "Bearer \u2028", f"Bearer {good} {good}"]:
        refused(tokens, authorization, clock)
    check(tokens, good, clock)


def test_a_token_that_is_signed_with_the_public_key_as_a_secret_does_not(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock
) -> None:
    good = service.control.token()
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    secret = "0123456789abcdef0123456789abcdef"
    refused(tokens, f"Bearer {jwt.encode(claims, secret, algorithm='HS256', headers={'kid': header['kid']})}", clock)


def test_headers_that_are_nonsense_do_not(tokens: AcsTokens, clock: AheadClock) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    headers: list[object] = [
        {"alg": "RS256"},
        {"alg": "RS256", "kid": 7},
        {"alg": ["RS256"]},
        {"alg": "RS256", "kid": {}},
    ]
    for header in [*headers, []]:
        refused(tokens, f"Bearer {part(header)}.{part({})}.{part('x')}", clock)
    nested = base64.urlsafe_b64encode(b"[" * 3000).rstrip(b"=").decode()
    refused(tokens, f"Bearer {nested}.e30.x", clock)


def test_without_a_resource_id_nobody_was_addressed(service: LocalAcs, clock: AheadClock) -> None:
    tokens = adapter_for(service, clock, audience=None)
    refused(tokens, f"Bearer {service.control.token()}", clock)
    tokens.close()


def test_a_clock_that_is_a_little_off_does_no_harm_and_much_off_does(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock
) -> None:
    good = service.control.token()
    for seconds, counts in ((-20, True), (325, True), (-60, False), (340, False)):
        clock.ahead = timedelta(seconds=seconds)
        if counts:
            check(tokens, good, clock)
        else:
            refused(tokens, f"Bearer {good}", clock)


def test_a_rotation_is_followed_without_a_restart(service: LocalAcs, tokens: AcsTokens, clock: AheadClock) -> None:
    check(tokens, service.control.token(), clock)
    service.control.rotate_keys(keep_old=False)
    check(tokens, service.control.token(), clock)
    assert asked(service) == 2


def test_a_key_that_was_withdrawn_counts_no_more_once_the_keys_are_old(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock
) -> None:
    check(tokens, service.control.token(), clock)
    service.control.rotate_keys(keep_old=False)
    clock.ahead += timedelta(seconds=KEYS_ARE_FRESH_S)
    service.control.clock(advance_s=KEYS_ARE_FRESH_S)
    check(tokens, service.control.token(), clock)
    assert asked(service) == 2


def test_a_storm_of_unknown_key_ids_is_no_storm_of_requests(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock
) -> None:
    check(tokens, service.control.token(), clock)
    unknown = [service.control.token("unknown_key") for _ in range(20)]
    threads = [threading.Thread(target=refused, args=(tokens, f"Bearer {token}", clock)) for token in unknown]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked(service) <= ASK_AT_ONCE
    check(tokens, service.control.token(), clock)
    service.control.rotate_keys()
    refused(tokens, f"Bearer {service.control.token()}", clock)
    clock.ahead += timedelta(seconds=ASK_AT_MOST_EVERY_S)
    check(tokens, service.control.token(), clock)
    assert asked(service) <= ASK_AT_ONCE + 1


@pytest.mark.parametrize(
    "fault", [Fault(operation="keys"), Fault(operation="keys", kind="drop"), Fault(operation="keys", kind="hang")]
)
def test_a_failing_key_server_keeps_the_keys(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock, fault: Fault
) -> None:
    check(tokens, service.control.token(), clock)
    service.control.fault(fault)
    clock.ahead += timedelta(seconds=KEYS_ARE_FRESH_S)
    service.control.clock(advance_s=KEYS_ARE_FRESH_S)
    begun = time.monotonic()
    check(tokens, service.control.token(), clock)
    assert time.monotonic() - begun < 1.0, "who has a key does not wait for the key server"
    service.control.clear_faults()


def test_without_any_key_nobody_can_tell_and_later_they_can(
    service: LocalAcs, tokens: AcsTokens, clock: AheadClock
) -> None:
    service.control.fault(Fault(operation="keys"))
    for _ in range(9):
        with pytest.raises(Unavailable):
            check(tokens, service.control.token(), clock)
    assert asked(service) == ASK_AT_ONCE
    service.control.clear_faults()
    clock.ahead += timedelta(seconds=ASK_AT_MOST_EVERY_S)
    check(tokens, service.control.token(), clock)


def test_the_deadline_holds_against_a_key_server_that_trickles(service: LocalAcs, clock: AheadClock) -> None:
    with serving(trickles) as server:
        tokens = AcsTokens(
            issuer=service.ready.issuer,
            keys_url=f"http://127.0.0.1:{server.port}/keys",
            audience=service.ready.resource_id,
            clock=clock,
        )
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            tokens.require(f"Bearer {service.control.token()}", Deadline(clock, 0.4))
        assert time.monotonic() - begun < 1.5
        tokens.close()


def test_only_rsa_keys_for_signatures_are_taken_from_a_key_set() -> None:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))
    entries = [
        {**key, "kid": "good", "use": "sig"},
        {**key, "kid": "for encryption", "use": "enc"},
        {**key, "kid": 7},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "faulty"},
        {"kty": "RSA", "kid": "empty"},
        "not a key",
    ]
    assert set(read_key_set(json.dumps({"keys": entries}).encode())) == {"good"}
    for nonsense in (b"", b"[]", b"{}", b'{"keys": 3}', b"\xff", b"[" * 10_000):
        assert read_key_set(nonsense) == {}
