"""Imports point one way (architecture.md, Rooms). Each test gives the faults that it found, by file."""

import ast
import sys
from collections.abc import Callable, Iterable

from tests.rules.sources import Module, is_in, modules, product

OURS = ("function_app", "functions", "shared", "tests")
INNER = ("shared.ports", "shared.deadlines", "shared.domain")
WORLDLY = ("os", "io", "socket", "time", "threading", "random", "secrets", "logging", "subprocess", "pathlib")
TELLS_THE_TIME = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid4", "uuid.uuid1"}
STARTS_SOMETHING = {"Thread", "Timer", "ThreadPoolExecutor", "DeadlinePool", "connect", "open", "app", "composed"}

# Room, and which of our own it may import; the longest prefix that fits decides.
ROOMS: dict[str, tuple[str, ...]] = {
    "function_app": ("functions",),
    "functions": (
        *("functions", "shared.bootstrap", "shared.emergency_calling", "shared.administration", "shared.use_cases"),
        *INNER,
    ),
    "functions.wire": ("functions.wire", "shared.use_cases", "shared.domain"),
    "shared.emergency_calling": ("shared.use_cases", *INNER),
    "shared.administration": ("shared.use_cases", *INNER),
    "shared.deadlines": ("shared.domain",),
    "shared.bootstrap": ("shared",),
    "shared.settings": ("shared.domain",),
    "shared.telemetry": INNER,
    "shared.use_cases": ("shared.use_cases", *INNER),
    "shared.ports": ("shared.deadlines", "shared.domain"),
    "shared.domain": ("shared.domain",),
    "shared.adapters": ("shared.adapters", *INNER),
    "shared": (),
}


def room_of(module: Module) -> str:
    return max((room for room in ROOMS if is_in(module.name, (room,))), key=len)


def found(rule: Callable[[Module], Iterable[str]]) -> dict[str, set[str]]:
    """What `rule` finds fault with, by file."""
    faults = {module.path: set(rule(module)) for module in product()}
    return {path: faulty for path, faulty in faults.items() if faulty}


def foreign(module: Module) -> set[str]:
    return {name.split(".")[0] for name in module.imports()} - {*sys.stdlib_module_names, *OURS}


def test_a_room_imports_only_what_it_may() -> None:
    def faulty(module: Module) -> Iterable[str]:
        allowed = ROOMS[room_of(module)]
        return {name for name in module.imports() if is_in(name, OURS) and not is_in(name, allowed)}

    assert not found(faulty)


def test_functions_walk_through_the_front_door() -> None:
    def faulty(module: Module) -> Iterable[str]:
        """Of the use cases they may know what is handed over, which is classes, and nothing that does anything."""
        if is_in(module.name, ("functions", "function_app")):
            names = (name for name in module.imports() if is_in(name, ("shared.use_cases",)))
            yield from (name for name in names if not name.rpartition(".")[2][0].isupper())

    assert not found(faulty)


def test_azure_stays_at_the_rim() -> None:
    def faulty(module: Module) -> Iterable[str]:
        for name in module.imports():
            room = ("function_app", "functions") if is_in(name, ("azure.functions",)) else ("shared.adapters",)
            if is_in(name, ("azure",)) and not is_in(module.name, room):
                yield name

    assert not found(faulty)


def test_the_domain_is_pure() -> None:
    def faulty(module: Module) -> Iterable[str]:
        if is_in(module.name, ("shared.domain",)):
            yield from foreign(module) - {"msgspec", "phonenumbers", "email_validator"}
            yield from {name for name in module.imports() if is_in(name, WORLDLY)}
        elif is_in(module.name, ("shared.use_cases", "shared.ports", "shared.deadlines")):
            yield from foreign(module) - {"msgspec"}

    assert not found(faulty)


def test_the_domain_and_the_use_cases_are_told_the_time() -> None:
    def faulty(module: Module) -> Iterable[str]:
        if is_in(module.name, ("shared.domain", "shared.use_cases")):
            calls = {ast.unparse(node.func) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
            yield from calls & TELLS_THE_TIME

    assert not found(faulty)


def test_only_the_composition_root_reads_the_environment() -> None:
    def faulty(module: Module) -> Iterable[str]:
        if module.name != "shared.bootstrap":
            yield from module.imports() & {"os.environ", "os.getenv"}
            attributes = (node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute))
            yield from (ast.unparse(node) for node in attributes if node.attr in {"environ", "getenv"})

    assert not found(faulty)


def test_the_function_app_alone_begins_the_take_up() -> None:
    """It is loaded by a host only, and so a process that merely imports the product starts nothing."""
    calls = {
        module.path: [call for call in module_level_calls(module) if call == "begin_take_up"] for module in product()
    }
    assert {path: found for path, found in calls.items() if found} == {"function_app.py": ["begin_take_up"]}


def module_level_calls(module: Module) -> Iterable[str]:
    for node in module.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (ast.unparse(call.func) for call in ast.walk(node) if isinstance(call, ast.Call))


def test_nothing_is_started_or_connected_at_import() -> None:
    def faulty(module: Module) -> Iterable[str]:
        calls = module_level_calls(module)
        return (call for call in calls if call.rpartition(".")[2] in STARTS_SOMETHING)

    assert not found(faulty)


def test_the_product_never_imports_the_tests() -> None:
    assert not found(lambda module: (name for name in module.imports() if is_in(name, ("tests",))))


def test_the_rules_see_the_whole_product() -> None:
    rooms = {room_of(module) for module in product()}
    assert rooms >= set(ROOMS) - {"shared"}
    assert any(module.path.startswith("tests/") for module in modules())


def test_a_use_case_lies_in_the_file_of_its_name() -> None:
    (door,) = (module for module in product() if module.name == "shared.emergency_calling")
    names = (name.removeprefix("shared.use_cases.") for name in door.imports() if is_in(name, ("shared.use_cases",)))
    verbs = [name.split(".") for name in names if not name.rpartition(".")[2][0].isupper()]
    # Two triggers of one thing: a recording that is due, and an agent whose ties changed.
    assert [[file, verb] for file, verb in verbs if file != verb] == [["settle_recording", "settle_held_recordings"]]
    assert len(verbs) > 20
