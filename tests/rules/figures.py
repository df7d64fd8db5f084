"""Figures of the house: `python -m tests.rules.figures [REPOSITORY]`; of an older commit by naming a checkout of it.

Lines that only forward are keyword arguments that hand a value on under its own name. Hops are the product's functions
that one dial, and one callback, enter on the core in memory: how many, and in how many files. Threads are what the code
may begin at most: the worker's, the tables' pool, those of services and tokens, and a crew for each effect.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
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
import sys
from collections import Counter
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
def walked(act):
    seen = Counter()
    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and "/shared/" in code.co_filename and not code.co_name.startswith("<"):
            seen[code.co_filename, code.co_qualname] += 1
    sys.setprofile(note)
    try:
        given = act()
    finally:
        sys.setprofile(None)
    return given, len(seen), len({file for file, _ in seen})
answer, functions, files = walked(lambda: house.dial(Dial(call_id="1", agent_id="ana", dialled="911")))
print(functions, files)
_, functions, files = walked(lambda: house.responder_calls(answer.callback_number))
print(functions, files)
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

    def constant(path: str, name: str) -> int:
        for node in ast.parse((root / path).read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return int(ast.literal_eval(node.value))
        raise LookupError(name)

    # One account and one pool; before, one for each table.
    one = (root / ACCOUNT).exists()
    tables = constant(ACCOUNT, "THREADS") if one else TABLES * constant("shared/adapters/sdk_table.py", "THREADS")
    tree = ast.parse((root / "shared/use_cases/effects.py").read_text("utf-8"))
    kinds = sum(isinstance(node, ast.ClassDef) for node in tree.body)
    return (
        WORKER_THREADS
        + tables
        + SERVICES * constant("shared/adapters/acs_service.py", "THREADS")
        + constant("shared/adapters/acs_token.py", "THREADS")
        + kinds * constant("shared/adapters/effect_threads.py", "THREADS_A_KIND")
        + BESIDE
    )


def figures(root: Path) -> Iterator[tuple[str, str]]:
    """Each figure, in words."""
    trees = modules(root)
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in trees)
    yield "product lines", f"{lines:,}"
    yield "lines that only forward, product", str(sum(map(forwarded, trees.values())))
    tests = [root / path for path in ("tests/house.py", "tests/fakes/house.py", "tests/simulator/processes.py")]
    found = [ast.parse(path.read_text("utf-8")) for path in tests if path.exists()]
    yield "  and in what stands in for it in tests", str(sum(map(forwarded, found)))
    walk = subprocess.run(
        [sys.executable, "-c", WALK],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    yield "functions and files of a dial behind functions/", f"{walk[0]} in {walk[1]}"
    yield "functions and files of a callback", f"{walk[2]} in {walk[3]}"
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
        print(f"{name:<48} {value}")


if __name__ == "__main__":
    main()
