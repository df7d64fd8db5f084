"""The processor time of a process, which other work on the machine disturbs far less than it does the clock."""

from __future__ import annotations

import os
from pathlib import Path

# Of what follows the name in /proc/…/stat, whose name may hold spaces and ends with the last bracket.
_USER, _SYSTEM = 11, 12


def seconds_of(pid: int) -> float:
    """The seconds that a process has had so far, its own and the kernel's for it; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")
