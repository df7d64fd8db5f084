"""Who is said to have set a presence: what follows from the role, and only a machine may say another (contract)."""

import pytest

from functions.presence import set_by, speaking_as
from functions.rights import caller_of
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


@pytest.mark.parametrize("office", [SUPERVISOR, ADMIN])
def test_a_lead_who_is_an_agent_too_may_speak_as_one_of_their_own_record(office: str) -> None:
    lead = Principal(roles=frozenset({AGENT, office}), object_id="oid")
    as_agent = speaking_as(lead, "agent")
    assert set_by(as_agent, "agent") == "agent"
    # Whose record it is decides for an agent: another's is refused (`whose_presence`).
    assert caller_of(as_agent).is_agent
    for said in (None, "supervisor"):
        assert set_by(speaking_as(lead, said), said) == "supervisor"
        assert not caller_of(speaking_as(lead, said)).is_agent
    with pytest.raises(NotAllowed):
        set_by(speaking_as(lead, "system"), "system")


@pytest.mark.parametrize("roles", [{SUPERVISOR}, {MACHINE}, {MACHINE, AGENT}, {AGENT}])
def test_nobody_else_speaks_as_another(roles: set[str]) -> None:
    principal = Principal(roles=frozenset(roles), object_id="oid")
    assert [speaking_as(principal, said) for said in (None, *WORDS)] == [principal] * 4
