"""One local stack for most tests of this folder, and a fresh moment on it for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kept import assert_nothing_is_kept
from tests.integration.used import note, note_telephony, watch
from tests.leaks import Kind
from tests.local import azurite, stack
from tests.local.stack import Stack

READS_ALL_LOGS = "test_confidentiality.py"
# As many as the range that is reserved for examples has, besides the desk, the fallback number and the PSAP.
WIDE_POOL = tuple(f"+1425555{number:04}" for number in range(101, 181))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Read the logs when everybody else has written to them."""
    items.sort(key=lambda item: item.path.name == READS_ALL_LOGS)


@pytest.fixture(scope="session")
def log_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Where the stacks of this session leave their logs; each one adds its own."""
    return []


@pytest.fixture(scope="session")
def wide_stack(tmp_path_factory: pytest.TempPathFactory, log_folders: list[Path]) -> Iterator[Stack]:
    """The stack that most tests share: two workers, eighty numbers."""
    folder = tmp_path_factory.mktemp("stack")
    log_folders.append(folder)
    note(*WIDE_POOL, kind=Kind.NUMBER)
    # Queues and blobs too, so that it can be seen that nothing is ever put there.
    with (
        azurite.running() as storage,
        stack.running(pool=WIDE_POOL, workers=2, folder=folder, storage=storage) as running,
    ):
        running.http.event_hooks["response"].append(watch)
        yield running
        assert_nothing_is_kept(running)


@pytest.fixture
def local(wide_stack: Stack) -> Iterator[Stack]:
    """The shared stack, with nothing left of the test before; afterwards nothing is left of this one (B8)."""
    wide_stack.forget_telephony()
    yield wide_stack
    note_telephony(wide_stack.control)
    wide_stack.control.clear_faults()
    # Calls that go on would be rung about for ever.
    wide_stack.forget_telephony()
    wide_stack.forget_emergencies()
    kinds = {row["RowKey"].split("|")[0] for row in wide_stack.rows()["emergencies"]}
    assert kinds <= {"free", "number", "pool"}
