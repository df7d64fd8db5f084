"""The development sign-in: a header, a bearer token or a cookie says who somebody is, on the local host alone."""

from urllib.parse import quote

import pytest

from shared.domain.principals import Principal
from tests.local.sign_in import COOKIES, DevelopmentSignIn, cookies_for

AGENT, ADMIN = "EmergencyCalling.Agent;agent-1", "EmergencyCalling.Admin"


def principal(**headers: str) -> Principal | None:
    return DevelopmentSignIn().principal({name.replace("_", "-"): value for name, value in headers.items()})


def cookie(name: str, claimed: str) -> str:
    return f"{name}={quote(claimed)}"


def test_a_header_a_token_and_a_cookie_say_the_same() -> None:
    by_header = principal(x_development_principal=AGENT)
    assert by_header is not None and by_header.agent_id == "agent-1"
    assert principal(authorization=f"Bearer {AGENT}") == by_header
    assert principal(cookie=cookie("dev-agent", AGENT)) == by_header


def test_an_object_id_stands_for_the_agent_whom_the_directory_knows_by_it() -> None:
    signed_in = principal(x_development_principal="EmergencyCalling.Agent;oid:0f0e")
    assert signed_in is not None and (signed_in.object_id, signed_in.agent_id) == ("0f0e", None)


def test_the_header_outranks_the_token_and_the_token_the_cookie() -> None:
    signed_in = principal(x_development_principal=ADMIN, authorization=f"Bearer {AGENT}")
    assert signed_in is not None and signed_in.roles == {ADMIN}
    signed_in = principal(authorization=f"Bearer {ADMIN}", cookie=cookie("dev-agent", AGENT))
    assert signed_in is not None and signed_in.roles == {ADMIN}


def test_an_administrators_cookie_counts_for_their_routes_and_an_agents_for_the_others() -> None:
    assert cookies_for(AGENT) == {"dev-agent": "/api"}
    assert cookies_for(ADMIN) == {"dev-manage": "/api/manage", "dev-office": "/api"}
    both = "; ".join([cookie("dev-agent", AGENT), cookie("dev-manage", ADMIN), cookie("dev-office", ADMIN)])
    signed_in = principal(cookie=both)
    assert signed_in is not None and signed_in.roles == {ADMIN}
    assert set(COOKIES) == set(cookies_for(AGENT)) | set(cookies_for(ADMIN))


@pytest.mark.parametrize(
    "headers", [{}, {"cookie": "dev-agent="}, {"authorization": "Basic x"}, {"cookie": "a=b; ;;="}]
)
def test_nobody_is_signed_in_by_anything_else(headers: dict[str, str]) -> None:
    assert principal(**headers) is None
