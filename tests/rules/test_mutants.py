"""Every mutant still finds the text that it replaces: whoever moves that text moves the mutant along."""

from tests.simulator.mutants import MUTANTS, UNIT_TESTS, caught_last, mutated


def test_no_mutant_is_stale() -> None:
    for mutant in MUTANTS:
        compile(mutated(mutant), mutant.file, "exec")
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


def test_what_caught_a_mutant_last_is_still_there() -> None:
    caught = caught_last()
    assert caught.keys() <= {mutant.name for mutant in MUTANTS}
    for caught_by in caught.values():
        # A seed, or a file's test, maybe in a class.
        file, test = caught_by.partition("::")[0], caught_by.rpartition("::")[2]
        assert caught_by.startswith("seed ") or f"def {test}(" in (UNIT_TESTS / file).read_text(encoding="utf-8")
