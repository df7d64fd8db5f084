"""Habits that a reader can rely on. Each test gives the faults that it found, by file."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.rules.sources import Module, is_in, modules, product, texts

MAX_LINES = 50
E164 = re.compile(r"(?<![\w+])\+\d{8,15}(?!\d)")
# The numbers that the North American plan (with and without an area code), Ofcom (GB) and ACMA (AU) keep for examples.
EXAMPLE_NUMBER = re.compile(r"\+1(?:[2-9]\d\d)?55501\d\d|\+44(?:7700900)\d\d\d|\+61(?:49157)\d\d\d\d")
# `…@odata.type` is how Table storage says a value's type.
ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@(?!odata\.)((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})")
EXAMPLE_DOMAIN = re.compile(r"(?:.+\.)?(?:example(?:\.(?:com|net|org))?|test|invalid)", re.IGNORECASE)
# Made by tools, with the names of packages' makers in them.
LOCKS = ("package-lock.json", "requirements.txt", "requirements-dev.txt")
PATCHES = {"monkeypatch.setattr", "monkeypatch.setitem", "monkeypatch.delattr", "mocker.patch"}
KIND_OF_ROW = re.compile(r"([a-z]+)\|")
# What ids are derived from begins so, and is no row.
ORIGINS = {"drill"}
SETTERS = {"setattr", "delattr", "__setattr__", "__delattr__", "__dict__"}
# In pieces, so that this file does not name what no file may name.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("nuget", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
]
_MACHINE_FOLDERS = "|".join(("wor" + "k", "roo" + "t", "home/[a-z]"))
MACHINE_PATH = re.compile(rf"(?:^|[\s\"'`=(:])/(?:{_MACHINE_FOLDERS})(?:/|\b)", re.MULTILINE)


def in_modules(rule: Callable[[Module], Iterable[str]]) -> dict[str, set[str]]:
    """What `rule` finds fault with, by Python file."""
    faults = {module.path: set(rule(module)) for module in modules()}
    return {path: faulty for path, faulty in faults.items() if faulty}


def in_texts(rule: Callable[[str], Iterable[str]], leaving_out: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """What `rule` finds fault with, by text file."""
    faults = {path: set(rule(text)) for path, text in texts().items() if not path.endswith(leaving_out)}
    return {path: faulty for path, faulty in faults.items() if faulty}


def test_functions_are_short() -> None:
    def faulty(module: Module) -> Iterable[str]:
        return (each.name for each in module.functions() if (each.end_lineno or 0) - each.lineno + 1 > MAX_LINES)

    assert not in_modules(faulty)


def test_nothing_is_patched() -> None:
    def faulty(module: Module) -> Iterable[str]:
        yield from (name for name in module.imports() if is_in(name, ("mock", "unittest.mock", "pytest_mock")))
        yield from {ast.unparse(node) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)} & PATCHES

    assert not in_modules(faulty)


def reaches_through(module: Module) -> Iterator[str]:
    """What a file puts into what is another's, or takes out of it: `x.y._z = …`, `x._z[k] = …`, `module.NAME = …`."""
    ours = {name.rpartition(".")[2] for name in module.imports() if is_in(name, ("shared", "functions", "tests"))}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            *steps, root = along(node)
            private = any(isinstance(each, ast.Attribute) and is_private(each) for each in steps)
            if private or (isinstance(root, ast.Name) and root.id in ours):
                yield ast.unparse(node)
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] in SETTERS:
            yield ast.unparse(node)


def along(node: ast.expr) -> Iterator[ast.expr]:
    """The steps of `a.b().c[d]`, from the last one to the first."""
    yield node
    if isinstance(node, ast.Attribute | ast.Subscript):
        yield from along(node.value)
    elif isinstance(node, ast.Call):
        yield from along(node.func)


def is_private(step: ast.Attribute) -> bool:
    return step.attr.startswith("_") and ast.unparse(step.value) not in {"self", "cls"}


def test_tests_reach_through_no_wall() -> None:
    """What is put in place of a collaborator goes in through a constructor: the old one may stand in others too.

    That nothing private is read either, ruff holds (SLF001). The product mends one converter of the worker's library,
    and says so there.
    """
    assert not in_modules(lambda module: () if module.is_product else reaches_through(module))
    excused = re.compile(r"noqa:.*\bSLF" + "001")
    assert [path for path, text in texts().items() if path.startswith("tests/") and excused.search(text)] == []


@pytest.mark.parametrize(
    "line",
    [
        "house.emergencies._table = other",
        "self.house._table = other",
        "del house.emergencies._table",
        "house.table._rows['a'] = other",
        "house.emergencies._table.away = True",
        "first, (second, *house._rest) = others",
        "house._count += 1",
        "house._count: int = 1",
        "with opened() as house._table: pass",
        "for house._table in tables: pass",
        "house.of('a')._table = other",
        "pool.MAX_TRIED = 1",
        "Pool.choose = other",
        "setattr(house, 'table', other)",
        "object.__setattr__(house, 'table', other)",
        "house.__dict__['table'] = other",
        "patched = partial(setattr, house)",
    ],
)
def test_whatever_reaches_through_a_wall_is_seen(line: str) -> None:
    source = f"from shared.domain import pool\nfrom tests.fakes.pools import Pool\n{line}"
    assert list(reaches_through(Module("tests/made.py", ast.parse(source))))


def test_what_is_ones_own_or_public_is_not() -> None:
    own = "self._table = one\nself._rows['a'] = one\nself._child.away = True\nhouse.line.away = True\nrows[key] = one"
    assert not list(reaches_through(Module("tests/made.py", ast.parse(own))))


def beginnings(module: Module) -> set[str]:
    """The words before a bar with which texts of a file begin, as the keys of rows do."""
    texts_in = (node.value for node in ast.walk(module.tree) if isinstance(node, ast.Constant))
    return {found[1] for text in texts_in if isinstance(text, str) and (found := KIND_OF_ROW.match(text))}


def test_keys_of_rows_are_spelled_in_the_adapters_alone() -> None:
    kinds = {kind for module in product() if is_in(module.name, ("shared.adapters",)) for kind in beginnings(module)}

    def faulty(module: Module) -> Iterable[str]:
        adapter = is_in(module.name, ("shared.adapters",))
        return beginnings(module) & (kinds - ORIGINS) if module.is_product and not adapter else ()

    assert not in_modules(faulty)
    assert kinds >= {"agent", "call", "number", "free", "outside", "unknown"}


def test_every_answer_says_whether_it_may_be_kept() -> None:
    def faulty(module: Module) -> Iterable[str]:
        made = (each for each in ast.walk(module.tree) if module.is_product and isinstance(each, ast.Call))
        answers = (each for each in made if ast.unparse(each.func).endswith("HttpResponse"))
        return {f"line {each.lineno}" for each in answers if "headers" not in {word.arg for word in each.keywords}}

    assert not in_modules(faulty), "`headers` begin with PRIVATE, or tell for how long anybody may keep it"


def test_whoever_sleeps_says_why() -> None:
    def faulty(module: Module) -> Iterable[str]:
        lines = texts()[module.path].splitlines()
        for function in module.functions():
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep"}:
                    near = lines[max(0, node.lineno - 3) : node.lineno]
                    if not ast.get_docstring(function) and not any("#" in line for line in near):
                        yield f"line {node.lineno}"

    assert not in_modules(faulty)


def test_the_product_never_asks_whether_it_is_tested() -> None:
    def faulty(module: Module) -> Iterable[str]:
        return re.findall(r"\b(?:pytest|hypothesis|sys\.modules)\b", texts()[module.path]) if module.is_product else ()

    assert not in_modules(faulty)


def real_numbers(text: str) -> list[str]:
    return [number for number in E164.findall(text) if not EXAMPLE_NUMBER.fullmatch(number)]


def real_domains(text: str) -> list[str]:
    return [match[1] for match in ADDRESS.finditer(text) if not EXAMPLE_DOMAIN.fullmatch(match[1])]


def test_numbers_are_of_the_ranges_kept_for_examples() -> None:
    assert not in_texts(real_numbers)


def test_addresses_are_of_the_domains_kept_for_examples() -> None:
    assert not in_texts(real_domains, LOCKS)


def test_no_registry_is_named() -> None:
    assert not in_texts(lambda text: (host for host in REGISTRIES if host in text.lower()))


def test_no_folder_of_a_machine_is_named() -> None:
    assert not in_texts(MACHINE_PATH.findall)


def test_the_rules_find_what_they_look_for() -> None:
    # In pieces again.
    assert real_numbers("call +1" + "4155551234 or +1" + "4155550123") == ["+1" + "4155551234"]
    assert real_domains("a@contoso" + ".com b@alerts.example.com c@contoso.example") == ["contoso" + ".com"]
    assert MACHINE_PATH.search("see /" + "work/main")
    assert not MACHINE_PATH.search("the end of frame" + "work/ and net" + "work")
