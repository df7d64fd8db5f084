"""Imports of the directory go on, a piece at a time, after all that is owed to emergencies."""

from shared.deadlines import Deadline
from shared.ports import AgentRegister, Imports


def carry_on_import(operation_id: str, *, imports: Imports, directory: AgentRegister, deadline: Deadline) -> bool:
    """Do as much of an import as there is time for; gives whether something is left. Raises `Unavailable`.

    Idempotent: a piece that two do at once, or that was cut off, writes the same entries once more.
    """
    while not deadline.passed():
        chunk = imports.next_chunk(operation_id, deadline)
        if chunk is None:
            imports.close(operation_id, deadline)
            return False
        name, changes = chunk
        done = directory.apply(changes, deadline)
        imports.chunk_done(operation_id, name, done, deadline)
    return True
