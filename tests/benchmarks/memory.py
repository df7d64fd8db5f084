"""The memory of a process, in MB: what is resident, and its part where pages are shared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from tests.benchmarks.figures import Figure

_FIELD = re.compile(r"^(Rss|Pss):\s+(\d+) kB$", re.MULTILINE)


class Memory(Struct, frozen=True):
    """Resident and proportional size, in MB."""

    rss_mb: float
    pss_mb: float


def of_process(pid: int) -> Memory | None:
    """The memory of a process now; None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    sizes = {name: int(kilobytes) / 1024 for name, kilobytes in _FIELD.findall(text)}
    return Memory(sizes["Rss"], sizes["Pss"])


def figures(before: Memory | None, after: Memory | None, dials: int) -> Iterator[Figure]:
    """A worker after its start and after many dials."""
    if before is None or after is None:
        return
    yield _figure("memory", "memory of a worker after its start", before)
    yield _figure("memory_after", f"memory of a worker after {dials} dials", after)


def _figure(name: str, what: str, size: Memory) -> Figure:
    return Figure(name=name, what=what, value=size.rss_mb, unit="MB", note=f"RSS; PSS {size.pss_mb:.0f} MB")
