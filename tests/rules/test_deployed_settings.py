"""A setting that is added to the product is deployed with the contract's default.

What the templates hold is compared with the contract in tests/infra; whoever adds a setting meets this one first.
"""

from shared.settings import SETTINGS
from tests.infra.test_settings import CONTRACT


def test_the_app_reads_the_contracts_settings_with_the_contracts_defaults() -> None:
    read = {setting.name: setting.default for setting in SETTINGS}
    assert set(read) == set(CONTRACT)
    assert {name for name in read if read[name] != CONTRACT[name]} == set()
