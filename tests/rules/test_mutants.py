"""Every mutant still finds the text that it replaces: whoever moves that text moves the mutant along."""

from tests.simulator.mutants import MUTANTS, mutated


def test_no_mutant_is_stale() -> None:
    for mutant in MUTANTS:
        compile(mutated(mutant), mutant.file, "exec")
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20
