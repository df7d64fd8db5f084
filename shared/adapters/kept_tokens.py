"""Tokens of the app's identity, each kept until shortly before its end and fetched ahead, beside the requests.

From half of a token's life on the SDK itself asks the identity endpoint before every request, on every thread, until it
gets the next one: an endpoint that hangs then takes storage, calls and mail away, though the token holds for hours.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.adapters.deadline_pool import seconds_left, within
from shared.adapters.threads import OS_THREADS, Threads
from shared.deadlines import Clock, Deadline

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenCredential, TokenRequestOptions

# Before its end: the clock of the service that looks at it may be ahead of ours.
GIVEN_UP_S = 60.0
# A token of a managed identity lives for a day: half of that is left for an endpoint that is away.
FETCH_AHEAD_AFTER = 0.5
FETCH_AGAIN_AFTER_S = 30.0
FETCH_WITHIN_S = 10.0
# One fetches for all who have no token. Its request may hang alone: the others do not wait for it longer than this.
ONE_FOR_ALL_S = 0.25
# The SDK's clients ask so much later than they are told to, by chance.
SDK_JITTER_S = 60.0


class KeptTokens:
    """A credential for the SDKs' clients (`TokenCredential`), one for all of them.

    `sign_in` makes the credential that fetches; each is asked once, because it keeps tokens by rules of its own.
    """

    def __init__(self, sign_in: Callable[[], TokenCredential], clock: Clock, threads: Threads = OS_THREADS) -> None:
        """Raises what the SDK raises where nobody can sign in with the environment."""
        self._sign_in, self._clock, self._threads = sign_in, clock, threads
        self._first: TokenCredential | None = sign_in()
        self._kept: dict[tuple[str, ...], _KeptToken] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token that lives. With `claims` or `tenant_id`, as after a 401 with a challenge, it is another one.

        Raises what the sign-in raises, and `TimeoutError` after the deadline of the work that this thread does.
        """
        kept = self._of(scopes)
        challenge = {name: said for name, said in options.items() if name in ("claims", "tenant_id") and said}
        return kept.another(**challenge) if challenge else kept.current()

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As `get_token`. Until `refresh_on` the SDK's client uses it without asking, from then on it asks here."""
        from azure.core.credentials import AccessTokenInfo

        token = self.get_token(*scopes, **(options or {}))
        ask_at_s = min(self._of(scopes).fetch_ahead_at_s, token.expires_on - GIVEN_UP_S - SDK_JITTER_S)
        return AccessTokenInfo(token.token, token.expires_on, refresh_on=int(ask_at_s))

    def get_another(self, *scopes: str) -> AccessToken:
        """A token in place of one that the service did not take. Raises as `get_token`."""
        return self._of(scopes).another()

    def _of(self, scopes: tuple[str, ...]) -> _KeptToken:
        return self._kept.get(scopes) or self._kept.setdefault(
            scopes, _KeptToken(partial(self._fetch, scopes), self._clock, self._threads)
        )

    def _fetch(self, scopes: tuple[str, ...], **challenge: Any) -> AccessToken:
        credential, self._first = self._first or self._sign_in(), None
        return credential.get_token(*scopes, **challenge)


class _KeptToken:
    """The token for one resource."""

    def __init__(self, fetch: Callable[..., AccessToken], clock: Clock, threads: Threads) -> None:
        self._fetch, self._clock, self._threads = fetch, clock, threads
        self._token: AccessToken | None = None
        self.fetch_ahead_at_s = 0.0
        """When the next one is to be fetched, in seconds since 1970."""
        self._another_at_s = 0.0
        self._lock, self._asking = threads.lock(), threads.lock()

    def current(self) -> AccessToken:
        """The kept one for as long as it lives; else the asker fetches one."""
        token = self._living()
        if token is None:
            return self._asked(self._living)
        if self._is_due():
            # No thread was to be had: it is tried again like any other failure.
            with suppress(RuntimeError):
                self._threads.begin("token", self._fetch_ahead)
        return token

    def another(self, **challenge: Any) -> AccessToken:
        """A new one, but for requests that were refused together: the first of them fetches it for all."""

        def fetched_meanwhile() -> AccessToken | None:
            return self._living() if self._now_s() < self._another_at_s else None

        def fetch() -> AccessToken:
            self._another_at_s = self._now_s() + FETCH_AGAIN_AFTER_S
            return self._fetch(**challenge)

        return self._asked(fetched_meanwhile, fetch)

    def _asked(
        self, kept: Callable[[], AccessToken | None], fetch: Callable[[], AccessToken] | None = None
    ) -> AccessToken:
        is_first = self._asking.acquire(timeout=seconds_left(ONE_FOR_ALL_S))
        try:
            return kept() or self._keep((fetch or self._fetch)())
        finally:
            if is_first:
                self._asking.release()

    def _fetch_ahead(self) -> None:
        # What it raises is raised again, to whoever asks, once the kept one is at its end.
        with suppress(Exception):
            self._keep(within(Deadline(self._clock, FETCH_WITHIN_S), self._fetch))

    def _living(self) -> AccessToken | None:
        token = self._token
        return token if token is not None and self._now_s() < token.expires_on - GIVEN_UP_S else None

    def _is_due(self) -> bool:
        """Whether to fetch ahead now, said to one asker in `FETCH_AGAIN_AFTER_S`."""
        with self._lock:
            now_s = self._now_s()
            is_due = now_s >= self.fetch_ahead_at_s
            if is_due:
                self.fetch_ahead_at_s = now_s + FETCH_AGAIN_AFTER_S
            return is_due

    def _keep(self, token: AccessToken) -> AccessToken:
        # The endpoint may go on giving out the same one until it ends: half of what is left each time are few requests.
        left_s = token.expires_on - self._now_s()
        with self._lock:
            self._token = token
            self.fetch_ahead_at_s = self._now_s() + max(FETCH_AGAIN_AFTER_S, left_s * FETCH_AHEAD_AFTER)
        return token

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
