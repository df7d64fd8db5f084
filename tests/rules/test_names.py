"""One name, one thing."""

import ast
from collections import Counter

from tests.rules.sources import Module, is_in, product

# An adapter that is its port's only one, and is passed where the port is asked for: bearing its name says so.
PORTS_WITH_ONE_ADAPTER = {"Allowances", "Repeats", "SharedLook", "Turns"}


def public_classes(module: Module) -> list[str]:
    return [each.name for each in module.tree.body if isinstance(each, ast.ClassDef) and not each.name.startswith("_")]


def test_a_class_name_is_one_class() -> None:
    shared = [module for module in product() if is_in(module.name, ("shared",))]
    count = Counter(name for module in shared for name in public_classes(module))
    assert {name for name, times in count.items() if times > 1} == PORTS_WITH_ONE_ADAPTER
    (ports,) = (module for module in shared if module.name == "shared.ports")
    adapters = {
        name for module in shared if is_in(module.name, ("shared.adapters",)) for name in public_classes(module)
    }
    assert set(public_classes(ports)) & adapters == PORTS_WITH_ONE_ADAPTER
    assert all(count[name] == 2 for name in PORTS_WITH_ONE_ADAPTER)
