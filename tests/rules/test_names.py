"""One name, one thing."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tests.rules.sources import Module, is_in, modules, product

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


def constants(module: Module) -> Iterator[str]:
    """The names in capitals that a file binds, in a class or outside of one."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            yield node.id


def test_limits_are_called_max_and_min() -> None:
    other = re.compile(r"_?(?:MOST|LONGEST|LEAST|SHORTEST|FEWEST)_")
    named = {module.path: {name for name in constants(module) if other.match(name)} for module in modules()}
    assert {path: names for path, names in named.items() if names} == {}
    assert any("MAX_LEGS" in constants(module) for module in modules())
