"""A fresh partition for each test, in memory and on a real Azurite."""

import uuid
from collections.abc import Iterator

import pytest

from shared.adapters.sdk_table import SdkTable
from shared.adapters.system_clock import SystemClock
from shared.adapters.table import Table
from shared.adapters.table_account import TableAccount
from tests.fakes.memory_table import MemoryTable
from tests.local import azurite


@pytest.fixture(scope="session")
def table_storage() -> Iterator[str]:
    """The connection string of an Azurite that all tests share."""
    with azurite.running(services=("table",)) as running:
        yield running.connection_string


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.process)])
def partition(request: pytest.FixtureRequest) -> Iterator[Table]:
    """An empty partition."""
    if request.param == "memory":
        yield MemoryTable()
        return
    where: str = request.getfixturevalue("table_storage")
    account = TableAccount(clock=SystemClock(), connection_string=where)
    real = SdkTable(account, table_name=f"t{uuid.uuid4().hex}", partition="agents")
    yield real
    real.close()
