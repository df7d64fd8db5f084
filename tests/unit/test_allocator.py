"""How many arenas the C library makes for the threads of a process, as it counts them itself."""

import subprocess
import sys
from pathlib import Path

from shared.adapters.allocator import ARENAS

ROOT = Path(__file__).parents[2]
# Each thread keeps what it allocated until all have: a thread that ends leaves its arena to the next one.
PROBE = """
import ctypes, sys, threading
from shared.adapters.allocator import keep_few_arenas

if sys.argv[1] == "few":
    assert keep_few_arenas()
all_have = threading.Barrier(33)
def allocate():
    kept = bytearray(100_000)
    all_have.wait()
for _ in range(32):
    threading.Thread(target=allocate).start()
all_have.wait()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(how_many: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", PROBE, how_many], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return told.stderr.count("Arena ")


def test_many_threads_share_few_arenas() -> None:
    assert arenas("few") <= ARENAS < arenas("as many as the library likes")
