"""Who is said to have set a presence: what follows from the role, and only a machine may say another (contract)."""

import pytest

from functions.presence import set_by
from shared.domain.errors import NotAllowed
from shared.domain.principals import ADMIN, AGENT, MACHINE, SUPERVISOR, Principal

OWN = {AGENT: "agent", SUPERVISOR: "supervisor", ADMIN: "supervisor", MACHINE: "system"}
WORDS = ("agent", "supervisor", "system")


@pytest.mark.parametrize("role", OWN)
def test_by_default_it_follows_from_the_role(role: str) -> None:
    assert set_by(Principal(roles=frozenset({role})), None) == OWN[role]


@pytest.mark.parametrize("said", WORDS)
@pytest.mark.parametrize("role", OWN)
def test_only_a_machine_may_say_another(role: str, said: str) -> None:
    principal = Principal(roles=frozenset({role}))
    if role == MACHINE or said == OWN[role]:
        assert set_by(principal, said) == said
    else:
        with pytest.raises(NotAllowed):
            set_by(principal, said)
