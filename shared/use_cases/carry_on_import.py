"""Imports of the directory go on, a piece at a time, after all that is owed to emergencies."""

from contextlib import suppress

from shared.deadlines import Clock, Deadline
from shared.domain.errors import Unavailable
from shared.domain.imports import Import
from shared.ports import AgentRegister, Entries, Imports

# With more to do than that, the directory is read in pages of a thousand: a request for each entry takes longer.
MANY = 500


def carry_on_import(
    operation_id: str, *, imports: Imports, directory: AgentRegister, clock: Clock, deadline: Deadline
) -> bool:
    """Do as much of an import as there is time for; gives whether something is left.

    Idempotent: pieces that two do at once, or that were cut off, write the same entries once more. Raises `Unavailable`
    where nothing could be done.
    """
    known = imports.read(operation_id, deadline)
    if known is None:
        return False
    progress = False
    try:
        entries = _looked(known, directory, clock, deadline)
        while not deadline.passed():
            chunks = imports.next_chunks(operation_id, deadline)
            if not chunks:
                imports.close(operation_id, deadline)
                return False
            done = directory.apply([each for chunk in chunks for each in chunk.changes], entries, deadline)
            imports.chunks_done(operation_id, [chunk.name for chunk in chunks], done, deadline)
            progress = True
    except Unavailable:
        # Time was up in the middle of a piece: the next run does it once more.
        if not progress:
            raise
    return True


def _looked(known: Import, directory: AgentRegister, clock: Clock, deadline: Deadline) -> Entries | None:
    """All entries where many are to be written. Of a directory too large for half of the time each is read alone."""
    if known.rows - known.done <= MANY:
        return None
    with suppress(Unavailable):
        return directory.look(Deadline(clock, deadline.remaining_s() / 2))
    return None
