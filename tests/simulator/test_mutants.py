"""Every invariant can fail: each mistake made on purpose is noticed."""

import pytest

from tests.simulator.mutants import hunt_all


@pytest.mark.process
@pytest.mark.long
def test_every_mutant_is_caught() -> None:
    assert [catch.mutant for catch in hunt_all() if not catch.by] == []
