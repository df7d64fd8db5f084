"""What the host keeps about timers beyond its own life: who has their lock, and when each ran last.

In the cloud both are blobs. The lock is a lease of 60 s: a host that ends in order gives it back, one that dies keeps
the timers of the next host at rest for some 70 s. A worker that dies changes nothing: the lock is the host's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

GAP_S = 70.0
RENEWALS = 20


class TimerState:
    """The file of one deployment's timers, or nothing that lasts where `path` is None."""

    def __init__(self, path: Path | None, host: int, gap_s: float = GAP_S) -> None:
        self._path = path
        self._host = host
        self._gap_s = gap_s

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Have the lock until the end of the block; wait for it where a host has died with it."""
        # What was left by another host lapses by itself, and nobody tells of it.
        while self._others_until() > time.time():  # noqa: ASYNC110
            await asyncio.sleep(self._gap_s / RENEWALS)
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            self._write(until=0.0)

    def last_run(self, timer: str) -> datetime | None:
        """When the timer's schedule last ran it, in this host or one before."""
        said = self._read().get("last", {}).get(timer)
        return None if said is None else datetime.fromisoformat(said)

    def ran(self, timer: str, at: datetime) -> None:
        """The schedule has run the timer."""
        self._write(last=self._read().get("last", {}) | {timer: at.isoformat()})

    def _others_until(self) -> float:
        kept = self._read()
        return 0.0 if kept.get("host") == self._host else float(kept.get("until", 0.0))

    async def _renew(self) -> None:
        while True:
            self._write(host=self._host, until=time.time() + self._gap_s)
            await asyncio.sleep(self._gap_s / RENEWALS)

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return json.loads(self._path.read_text()) if self._path else {}
        return {}

    def _write(self, **changed: object) -> None:
        if self._path is not None:
            written = self._path.with_suffix(".new")
            written.write_text(json.dumps(self._read() | changed))
            written.replace(self._path)
