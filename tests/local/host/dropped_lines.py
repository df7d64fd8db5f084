"""The Functions host drops a record of `logging` whose invocation is over, or that belongs to none.

The worker sends each record with the id of the invocation whose context it was logged in; the host looks that id up
among the invocations that execute, and ignores the record where it is not there. A copied context does not help. What
is printed does not take this way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

HOSTS_OWN = ("tests.local", "uvicorn", "asyncio", "azure.functions", "azure_functions_runtime")
"""Loggers of the host and of its worker: the system category, which is kept."""


class ExecutingInvocations(logging.Filter):
    """The ids of the invocations that execute in this process; as a filter, it keeps their records alone."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: set[str] = set()

    @contextmanager
    def executing(self, invocation_id: str) -> Iterator[None]:
        """Keep the invocation's records until the end of the block."""
        self._ids.add(invocation_id)
        try:
            yield
        finally:
            self._ids.discard(invocation_id)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the host keeps a record, called in the thread that logged it."""
        from azure_functions_runtime.utils.executor import invocation_id_cv

        if record.name.startswith(HOSTS_OWN):
            return True
        return invocation_id_cv.get() in self._ids
