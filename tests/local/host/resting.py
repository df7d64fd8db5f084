"""A take-up that never looks: where timers run by hand, nothing is to happen that the test did not ask for."""

from __future__ import annotations

from shared.adapters.take_up import TakeUp


class RestingTakeUp(TakeUp):
    """Never begins."""

    def begin(self) -> None:
        """Start nothing."""
