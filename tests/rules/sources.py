"""The repository's files, as the rules see them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What .gitignore leaves out.
NOT_OURS = {
    *(".git", ".venv", ".cache", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"),
    *(
        "node_modules",
        ".azure",
        "released-package.zip",
        ".python_packages",
        ".idea",
        ".vscode",
        "bench-results",
        "local.settings.json",
        ".env",
        ".DS_Store",
    ),
}
PRODUCT = ("function_app.py", "functions", "shared")


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository that is kept in version control."""
    return tuple(sorted(_walk(ROOT)))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in NOT_OURS or path.suffix == ".log":
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


@cache
def texts() -> dict[str, str]:
    """Every text file, by its path in the repository."""
    read = {}
    for path in files():
        try:
            read[name_of(path)] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return read


def name_of(path: Path) -> str:
    """The path inside the repository."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Module:
    """A Python file."""

    path: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def is_product(self) -> bool:
        """Whether it is deployed."""
        return self.path.split("/")[0] in PRODUCT

    def imports(self) -> set[str]:
        """The dotted names of every module or member that it imports anywhere, also inside functions."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{self._origin(node)}.{alias.name}" for alias in node.names}
        return found

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.path.removesuffix(".py").split("/")[: -node.level]
        return ".".join([*package, *([node.module] if node.module else [])])

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Every function and method in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file."""
    return tuple(Module(path, ast.parse(text, path)) for path, text in texts().items() if path.endswith(".py"))


def product() -> tuple[Module, ...]:
    """Every Python file that is deployed."""
    return tuple(module for module in modules() if module.is_product)


def is_in(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)
