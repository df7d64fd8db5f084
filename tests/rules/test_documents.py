"""What the code cites is in docs/, and what the documents name is in the code."""

import ast
import re
from pathlib import PurePosixPath

import pytest

from functions.rights import RIGHTS
from shared.telemetry import VOCABULARY
from tests.rules.sources import files, modules, name_of, texts

DOCUMENTS = {path: text for path, text in texts().items() if path.endswith(".md")}
NAMES = ("specification", "contract", "architecture", "platform-facts", "differences")
PROMISE = re.compile(r"^\| ([SB]\d+) \|", re.MULTILINE)
# As comments and docstrings cite them: "(B2)", "S1 to S7", "specification S1/B2".
CITED = re.compile(r"(?<![\w-])([SB](?:[1-9]|1\d))(?![\w.-])")
SECTION = re.compile(
    r"\(?\b(contract|architecture|specification)(?:\.md)?, (?:\*([A-Z][\w ]+)\*|(HTTP|Time|Rooms|B1)\b)"
)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|py|json|toml))`")
# In backquotes or in a block of commands.
MAKE = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR"}
EVENT_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def read(name: str) -> str:
    return DOCUMENTS[f"docs/{name}.md"]


def headings(name: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", read(name), re.MULTILINE))


def code() -> dict[str, str]:
    return {path: text for path, text in texts().items() if path.endswith((".py", ".bicep", ".js"))}


def test_every_document_is_there_and_readme_leads_to_it() -> None:
    assert {f"docs/{name}.md" for name in NAMES} <= set(DOCUMENTS)
    readme = DOCUMENTS["README.md"]
    assert all(f"docs/{name}.md" in readme for name in NAMES)
    first_screen = "\n".join(readme.splitlines()[:30])
    assert "docs/differences.md" in first_screen


def test_every_promise_that_is_cited_is_in_the_specification() -> None:
    promised = set(PROMISE.findall(read("specification")))
    assert promised == {f"S{n}" for n in range(1, 12)} | {f"B{n}" for n in range(1, 16)}
    cited: dict[str, set[str]] = {}
    for path, text in code().items():
        prose = "\n".join(re.findall(r'#[^\n]*|"""[\s\S]*?"""', text))
        for number in CITED.findall(prose):
            cited.setdefault(number, set()).add(path)
    assert {number: paths for number, paths in cited.items() if number not in promised} == {}
    assert len(cited) > 20, "the pattern sees what the code cites"


def test_every_section_that_is_cited_is_a_heading() -> None:
    cited = [
        (path, document, (starred or plain))
        for path, text in code().items()
        for document, starred, plain in SECTION.findall(text)
    ]
    sought = {each for each in cited if not any(each[2].split()[0] in heading for heading in headings(each[1]))}
    assert sought == set()
    assert len(cited) >= 5


@pytest.mark.parametrize("path", sorted(DOCUMENTS))
def test_links_and_paths_of_a_document_lead_somewhere(path: str) -> None:
    folder = PurePosixPath(path).parent
    known = {name_of(file) for file in files()}
    folders = {str(parent) for file in known for parent in PurePosixPath(file).parents}

    def leads(target: str) -> bool:
        places = (folder / target, PurePosixPath(target))
        names = [str(place).rstrip("/").removeprefix("./") for place in places]
        return any(name in known or name in folders for name in names)

    made = re.compile(r"^(bench-results|\.cache|\.venv|\.vscode|released-package|local\.settings\.json|node_modules)")
    links = [target for target in LINK.findall(DOCUMENTS[path]) if not leads(target)]
    named = [
        target
        for target in PATH.findall(DOCUMENTS[path])
        if target.split("/")[0] in {"functions", "shared", "tests", "docs", "infra"} and not leads(target)
    ]
    assert [each for each in links + named if not made.match(each)] == []


def test_every_command_of_make_that_is_named_is_there() -> None:
    targets = set(TARGET.findall(texts()["Makefile"]))
    named = {path: set(MAKE.findall(text)) for path, text in DOCUMENTS.items()}
    assert {path: each - targets for path, each in named.items() if each - targets} == {}
    assert set().union(*named.values()) >= {"demo", "run", "test", "fix", "shell", "licences"}


def test_every_log_event_is_explained_with_its_level_and_its_facts() -> None:
    rows = {name: (level, facts) for name, level, facts, _, _ in EVENT_ROW.findall(DOCUMENTS["OPERATIONS.md"])}
    wanted = {
        event: (LEVELS[entry.level], ", ".join(f"`{fact}`" for fact in sorted(entry.facts)))
        for event, entry in VOCABULARY.items()
    }
    assert {name: (level, facts.strip()) for name, (level, facts) in rows.items()} == wanted


def test_what_is_said_not_to_be_built_is_not_served_and_the_rest_is() -> None:
    _, _, absent = read("specification").partition("## Not built yet")
    said = set(re.findall(r"`(admin_\w+|openapi)`", absent))
    served = {
        function.name
        for module in modules()
        if module.path.startswith("functions/")
        for function in module.functions()
        if any("route" in ast.unparse(decorator) for decorator in function.decorator_list)
    }
    decided = {name for name in RIGHTS if name.startswith("admin_") or name == "openapi"}
    assert said == decided - served
