"""How much is measured."""

from __future__ import annotations

import sys

from msgspec import Struct

QUICK_PART = 5
LEAST = 3


class Plan(Struct, frozen=True):
    """How many rounds a part takes; a quick run takes a fifth of them."""

    quick: bool = False

    def rounds(self, count: int) -> int:
        """As many rounds of `count` as this run takes."""
        return max(LEAST, count // QUICK_PART) if self.quick else count

    def say(self, text: str) -> None:
        """Tell whoever waits what is going on."""
        print(f"  {text}", file=sys.stderr, flush=True)
