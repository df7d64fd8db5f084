"""Figures of the house: `python -m tests.rules.figures [REPOSITORY]`; of an older commit by naming a checkout of it.

Lines that only forward are keyword arguments that hand a value on under its own name; functions that only forward hand
all that they are given on to one other, and do nothing else. Threads are what the code may
begin at most: the worker's, the tables' pool, those of services and tokens, and a crew for each effect.

A walk is one dial until its answer, what that dial owes then, or one callback, on the core in memory. Two figures are
given of each, because either alone would mislead:

- functions entered, and the files that they are in. That is how much code runs; it is not how far a reader goes. It
  counts the steps inside one file, each property, and the same small function (the name of a row, a derived id) once
  more for each kind; a function that is cut in two to be readable makes it larger.
- hops: functions of the product that a function in *another file* of the product calls, each counted once. There a
  reader has to open another file. A property or a method of a value (a `Struct`) is none: it says what is in the value
  that the reader has before them. The adapters' plumbing counts; what only the tests' house calls does not. They are
  given by room as well: those in the domain are rules that may be read, or trusted by their names.

Neither sees `functions/`, nor what lies below a table: the requests to storage are one more hop each.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
PRODUCT = ("function_app.py", "functions", "shared")
LONG_LINES = 30
WORKER_THREADS = 64
TABLES = 3
ACCOUNT = "shared/adapters/table_account.py"
SERVICES = 3
BESIDE = 2  # repeats and warm-up

# Runs with the checkout on its path, whatever it calls its parts.
WALK = """
import inspect
import sys
from collections import Counter
from typing import TypeAliasType
from msgspec import Struct
try:
    from tests.fakes.house import House
except ImportError:
    from tests.house import House
from shared.domain.agents import Agent
try:
    from shared.domain.dials import Dial
except ImportError:
    from shared.use_cases.start_call import Dial
house = House()
house.add_agent(Agent(agent_id="ana", acs_user_ids=("8:acs:example_ana",), emergency_contacts=("a@example.com",)))
house.tick()
house.performs = False
def product_file(code):
    return code.co_filename.partition("/shared/")[2]
def is_of_a_value(frame):
    code = frame.f_code
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    kind = first if isinstance(first, type) else type(first)
    own = inspect.getattr_static(kind, code.co_name, None)
    return isinstance(own, property) or (own is not None and issubclass(kind, Struct))
def walked(name, act):
    entered, hops = set(), set()
    def note(frame, event, _):
        code, file = frame.f_code, product_file(frame.f_code)
        if event != "call" or not file or code.co_name.startswith("<"):
            return
        # The value of a type alias is computed when it is first asked for: nobody follows that.
        if isinstance(frame.f_globals.get(code.co_name), TypeAliasType):
            return
        entered.add((file, code.co_qualname))
        caller = frame.f_back
        while caller.f_code.co_name.startswith("<"):
            caller = caller.f_back
        if product_file(caller.f_code) not in ("", file) and not is_of_a_value(frame):
            hops.add((file, code.co_qualname))
    sys.setprofile(note)
    try:
        given = act()
    finally:
        sys.setprofile(None)
    rooms = Counter(file.split("/")[0].removesuffix(".py") for file, _ in hops)
    by_room = ", ".join(f"{room} {count}" for room, count in sorted(rooms.items()))
    files, hop_files = ({file for file, _ in each} for each in (entered, hops))
    print(name, len(entered), len(files), len(hops), len(hop_files), by_room, sep="|")
    return given
answer = walked("a dial until its answer", lambda: house.dial(Dial(call_id="1", agent_id="ana", dialled="911")))
owed, house.owed, house.performs = house.owed, [], True
walked("what it owes then", lambda: house.do(owed))
walked("a callback", lambda: house.responder_calls(answer.callback_number))
"""


def modules(root: Path) -> dict[Path, ast.Module]:
    """The product's files."""
    files = [
        path for part in PRODUCT for path in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
    ]
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(files)}


def forwarded(tree: ast.Module) -> int:
    """How many arguments of calls hand a value on under its own name."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(1 for call in calls for each in call.keywords if each.arg and each.arg == _last_name(each.value))


def forwards(tree: ast.Module) -> int:
    """How many functions do nothing but call another one with what they were given."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sum(map(_only_forwards, nodes))


def _only_forwards(function: ast.FunctionDef) -> bool:
    *before, last = function.body
    call = last.value if isinstance(last, ast.Return | ast.Expr) else None
    if not isinstance(call, ast.Call) or len(before) > bool(ast.get_docstring(function)):
        return False
    given = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)} - {"self", "cls"}
    handed = [*call.args, *(each.value for each in call.keywords)]
    return bool(given) and {each.id if isinstance(each, ast.Name) else "" for each in handed} == given


def _last_name(value: ast.expr) -> str:
    if isinstance(value, ast.Attribute):
        return value.attr.lstrip("_")
    return value.id if isinstance(value, ast.Name) else ""


def imported(tree: ast.Module) -> int:
    """How many names a file imports."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum(len(node.names) for node in nodes)


def long_functions(tree: ast.Module) -> list[str]:
    """Functions of more than LONG_LINES lines."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [node.name for node in nodes if (node.end_lineno or 0) - node.lineno + 1 > LONG_LINES]


def largest_port(root: Path) -> tuple[str, int]:
    """The port with the most methods."""
    tree = ast.parse((root / "shared/ports.py").read_text("utf-8"))
    ports = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    sizes = {port.name: sum(isinstance(each, ast.FunctionDef) for each in port.body) for port in ports}
    name = max(sizes, key=lambda each: sizes[each])
    return name, sizes[name]


def threads(root: Path) -> int:
    """How many threads the code may begin at most."""

    def constant(path: str, name: str, before: int | None = None) -> int:
        """Its value; `before`: that of commits in which it had no name yet."""
        for node in ast.parse((root / path).read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return int(ast.literal_eval(node.value))
        if before is None:
            raise LookupError(name)
        return before

    # One account and one pool; before, one for each table.
    one = (root / ACCOUNT).exists()
    tables = constant(ACCOUNT, "THREADS") if one else TABLES * constant("shared/adapters/sdk_table.py", "THREADS")
    tree = ast.parse((root / "shared/use_cases/effects.py").read_text("utf-8"))
    kinds = sum(isinstance(node, ast.ClassDef) for node in tree.body)
    of_a_kind = constant("shared/adapters/effect_threads.py", "THREADS_A_KIND")
    return (
        WORKER_THREADS
        + tables
        + SERVICES * constant("shared/adapters/acs_service.py", "THREADS")
        + constant("shared/adapters/acs_token.py", "THREADS")
        + (kinds - 1) * of_a_kind
        + constant("shared/bootstrap.py", "MAILS_AT_ONCE", before=of_a_kind)
        + constant("functions/problems.py", "REPORTS_AT_ONCE", before=0)
        + BESIDE
    )


@dataclass(frozen=True)
class Walk:
    """One way through the product: what was entered, and what of it by a call from another file."""

    name: str
    functions: int
    files: int
    hops: int
    hop_files: int
    rooms: str


def walks(root: Path) -> Iterator[Walk]:
    """A dial, what it owes, and a callback."""
    said = subprocess.run(
        [sys.executable, "-c", WALK],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for line in said.splitlines():
        name, functions, files, hops, hop_files, rooms = line.split("|")
        yield Walk(name, int(functions), int(files), int(hops), int(hop_files), rooms)


def figures(root: Path) -> Iterator[tuple[str, str]]:
    """Each figure, in words."""
    trees = modules(root)
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in trees)
    yield "product lines", f"{lines:,}"
    yield "lines that only forward, product", str(sum(map(forwarded, trees.values())))
    yield "functions that only forward, product", str(sum(map(forwards, trees.values())))
    tests = [root / path for path in ("tests/house.py", "tests/fakes/house.py", "tests/simulator/processes.py")]
    found = [ast.parse(path.read_text("utf-8")) for path in tests if path.exists()]
    yield "lines that only forward in what stands in for it in tests", str(sum(map(forwarded, found)))
    for walk in walks(root):
        yield f"functions and files of {walk.name}", f"{walk.functions} in {walk.files}"
        yield f"  hops of {walk.name}", f"{walk.hops} in {walk.hop_files} files ({walk.rooms})"
    most = sorted(trees, key=lambda path: imported(trees[path]), reverse=True)[:3]
    named = ", ".join(f"{path.relative_to(root)} {imported(trees[path])}" for path in most)
    yield "names imported by the three largest importers", named
    yield f"functions over {LONG_LINES} lines", str(sum(len(long_functions(tree)) for tree in trees.values()))
    yield "methods of the largest port", "{} {}".format(*largest_port(root))
    yield "threads at most", str(threads(root))


def main() -> None:
    """Print them."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else HERE
    for name, value in figures(root):
        print(f"{name:<60} {value}")


if __name__ == "__main__":
    main()
