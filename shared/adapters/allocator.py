"""How much the C library keeps of the memory that was given back to it."""

import ctypes
import sys

# <malloc.h> of glibc.
M_ARENA_MAX = -8
ARENAS = 2


def keep_few_arenas() -> bool:
    """Whether the C library has such a setting, and took it. Of no use to threads that have an arena already.

    glibc gives its threads up to eight arenas for each processor, and each keeps what was freed in it: with threads for
    every service a worker grows for as long as it takes all of them to have met with their most. They gain little by
    it: mostly they hold the interpreter's lock while they allocate.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(M_ARENA_MAX, ARENAS) == 1
