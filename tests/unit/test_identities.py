"""People are the same in every form in which Communication Services names them."""

import re

import pytest
from azure.communication.callautomation import UnknownIdentifier
from azure.communication.callautomation._shared import models

from shared.domain.identities import USER_PATTERN, is_desk, is_user, number_in, raw_identity

USER = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1"


@pytest.mark.parametrize(
    ("named", "is_"),
    [
        *(("+14255550188", "4:+14255550188"), ("4:+14255550188", "4:+14255550188")),
        ("4:+14255550188_1b2c3d4e", "4:+14255550188"),
        *((USER, USER), (USER.upper(), USER)),
        *(("8:teamsvisitor:AB", "8:teamsvisitor:ab"), ("28:orgid:AB", "28:orgid:ab"), ("4:anonymous", "4:anonymous")),
        *(("4:911", "4:911"), ("", "")),
    ],
)
def test_one_form(named: str, is_: str) -> None:
    assert raw_identity(named) == is_ == raw_identity(is_)


@pytest.mark.parametrize("named", ["8:acs:a_b", "8:acs:a_b_c", "4:anonymous", "4:+", "4:+1425555a"])
def test_others_have_no_number(named: str) -> None:
    assert number_in(named) is None


def test_users_are_of_the_kinds_that_the_sdk_can_ring() -> None:
    of_the_sdk = {value for name, value in vars(models).items() if name.endswith("_PREFIX")}
    ours = {f"{digits}:{word}:" for digits in ("8", "28") for word in re.findall("[a-z-]{2,}", USER_PATTERN)}
    assert {"8:acs:", "28:orgid:"} <= of_the_sdk & ours
    for kind in (of_the_sdk | ours) - {models.PHONE_NUMBER_PREFIX}:
        rung = not isinstance(models.identifier_from_raw_id(f"{kind}a_b"), UnknownIdentifier)
        assert is_user(f"{kind}a_b") is is_desk(f"{kind}a_b") is rung, kind


@pytest.mark.parametrize(
    "unknown",
    [
        *(
            "8:foo:x",
            "8:live:x",
            "8:sip:x",
            "28:x",
            "28:dod-global:x",
            "28:acs:x",
            "48:acs:x",
            "acs:x",
            "4:+14255550188",
        ),
        # The SDK tells kinds apart by the case of their letters.
        *("8:ACS:a_b", "8:OrgId:a", "8:acs:", "8:acs:a b", "8:acs:a;b", " 8:acs:a", "8:acs:a\n", "8:acs:é"),
    ],
)
def test_nobody_of_another_kind_is_a_user_or_a_desk(unknown: str) -> None:
    assert not is_user(unknown) and not is_desk(unknown)
