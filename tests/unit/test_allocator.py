"""How many arenas the C library makes for the threads of a process, as it counts them itself."""

import subprocess
import sys

import pytest

from shared.adapters.allocator import ARENAS
from tests.rules.sources import ROOT

# Each thread keeps what it allocated until all have: a thread that ends leaves its arena to the next one.
PROBE = """
import ctypes, sys, threading
from shared.bootstrap import compose

if sys.argv[1] == "composed":
    compose({})
all_have = threading.Barrier(33)
def allocate():
    kept = bytearray(100_000)
    all_have.wait()
for _ in range(32):
    threading.Thread(target=allocate).start()
all_have.wait()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(process: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", PROBE, process], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return told.stderr.count("Arena ")


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is that of glibc")
def test_the_threads_of_a_composed_app_share_few_arenas() -> None:
    assert arenas("composed") <= ARENAS < arenas("as the library likes")
