"""A setting that is added to the product is deployed with the contract's default.

What the templates hold is compared with the contract in tests/infra; whoever adds a setting meets this one first.
"""

from shared.settings import SETTINGS
from tests.infra.test_settings import CONTRACT, LATER


def test_the_app_reads_the_contracts_settings_with_the_contracts_defaults() -> None:
    read = {setting.name: setting.default for setting in SETTINGS}
    assert set(read) | LATER == set(CONTRACT)
    assert {name for name in read if read[name] != CONTRACT[name]} == set()


def test_what_comes_later_is_not_there_yet() -> None:
    """Whoever makes the app read one of these takes it out of LATER in tests/infra/test_settings.py."""
    assert {setting.name for setting in SETTINGS} & LATER == set()
