"""People are the same in every form in which Communication Services names them."""

import pytest

from shared.domain.identities import number_in, raw_identity

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
