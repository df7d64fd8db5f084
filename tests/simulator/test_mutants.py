"""Every invariant can fail: each mistake made on purpose is noticed."""

import pytest

from tests.simulator.mutants import MUTANTS, hunt_all, mutated


def test_no_mutant_is_stale() -> None:
    for mutant in MUTANTS:
        compile(mutated(mutant), mutant.file, "exec")
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.process
@pytest.mark.long
def test_every_mutant_is_caught() -> None:
    assert [catch.mutant for catch in hunt_all() if not catch.by] == []
