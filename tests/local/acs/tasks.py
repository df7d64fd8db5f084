"""Work that goes on after an answer was given: rings, reports, deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Tasks:
    """Background work that ends with the stand-in; a failure is printed by the event loop, never swallowed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run work in the background."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel whatever still runs, and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
