"""The figures of the house count what they say, and a dial's way through it does not grow unseen."""

import ast

import pytest

from tests.rules.figures import HERE, forwards, walks

# A reader's patience. Whoever needs more says in docs/architecture.md why.
MAX_HOPS_OF_A_DIAL, MAX_FILES_OF_A_DIAL = 94, 35


@pytest.mark.process
def test_a_dial_and_a_callback_can_be_followed() -> None:
    found = {walk.name: walk for walk in walks(HERE)}
    dial = found["a dial until its answer"]
    assert 0 < dial.hops <= MAX_HOPS_OF_A_DIAL
    assert 0 < dial.hop_files <= MAX_FILES_OF_A_DIAL
    assert all(walk.hops < walk.functions and walk.hop_files <= walk.files for walk in found.values())
    assert set(found) == {"a dial until its answer", "what it owes then", "a callback"}


@pytest.mark.parametrize(
    ("function", "forwarding"),
    [
        ("def a(self, b, *, c): return self._d.a(b, c=c)", True),
        ("def a(b):\n    '''What it does.'''\n    d(b)", True),
        ("def a(b): return d(b, 1)", False),
        ("def a(b, c): return d(b)", False),
        ("def a(b):\n    e()\n    return d(b)", False),
        ("def a(): return d()", False),
    ],
)
def test_a_function_that_only_forwards_is_told_from_one_that_does_something(function: str, forwarding: bool) -> None:
    assert forwards(ast.parse(function)) == forwarding
