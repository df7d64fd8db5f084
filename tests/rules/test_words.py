"""Every sentence of the server has its translations: each catalogue has exactly the templates of the code (B11)."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.rules.sources import ROOT

TRANSLATED_INTO = ("es", "fr", "it")
PLACE = re.compile(r"\{([a-z_]+)\}")
# Where in a call a plain literal may stand for `Words`: the places of reason and remedy.
SPOKEN_AT = {
    "ok": (1,),
    **dict.fromkeys(("warning", "problem", "unknown", "make"), (1, 2)),
    # What a cell of a file or an entry of one lacks is told with all the other faults.
    "Malformed": (1,),
}
READERS_OF_FILES = ("decoding", "http", "directory_csv", "setup")
SPOKEN_IN = [
    *sorted((ROOT / "shared/domain").glob("*_checks.py")),
    *(ROOT / f"functions/wire/{name}.py" for name in READERS_OF_FILES),
]
CODE_WORDS = ("direct_routing:", "direct_offer:", "fails:", "unknown:")


def literals_of(node: ast.expr) -> Iterator[str | ast.expr]:
    """The literals that this may be; what is no literal as it is."""
    if isinstance(node, ast.IfExp):
        yield from literals_of(node.body)
        yield from literals_of(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        yield node


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def calls_in(source: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))


def words_in(source: str) -> Iterator[ast.Call]:
    """The calls of `Words`, but for the one that makes them of a plain literal."""
    yield from (call for call in calls_in(source) if name_of(call) == "Words" and not is_of_argument(call))


def is_of_argument(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Name) and call.args[0].id == "text"


def product() -> Iterator[str]:
    for folder in ("shared", "functions"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.read_text("utf-8")


def templates() -> set[str]:
    found: set[str] = set()
    for source in product():
        for call in words_in(source):
            found.update(each for each in literals_of(call.args[0]) if isinstance(each, str))
    for path in SPOKEN_IN:
        for _, spoken in spoken_in(path.read_text("utf-8")):
            found.update(each for each in literals_of(spoken) if isinstance(each, str))
    return found


def spoken_in(source: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The arguments that are sentences."""
    for call in calls_in(source):
        for place in SPOKEN_AT.get(name_of(call), ()):
            if len(call.args) > place:
                yield call, call.args[place]


def catalogue(language: str) -> dict[str, str]:
    text = (ROOT / f"functions/words/{language}.json").read_text("utf-8")
    pairs = json.loads(text, object_pairs_hook=list)
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    assert not twice, language
    return dict(pairs)


@pytest.mark.parametrize("language", TRANSLATED_INTO)
def test_a_catalogue_has_what_the_code_says_and_nothing_else(language: str) -> None:
    made, told = templates(), catalogue(language).keys()
    assert len(made) > 100
    assert (sorted(made - told), sorted(told - made)) == ([], [])


@pytest.mark.parametrize("language", TRANSLATED_INTO)
def test_a_translation_has_the_values_of_its_template(language: str) -> None:
    differ = {
        template
        for template, told in catalogue(language).items()
        if Counter(PLACE.findall(template)) != Counter(PLACE.findall(told)) or not told.strip()
    }
    assert not differ


@pytest.mark.parametrize("language", TRANSLATED_INTO)
def test_code_words_and_names_stay_as_they_are(language: str) -> None:
    """What somebody copies or a program reads: names of settings, fields and log events, and the path's first word."""
    copied = re.compile(r"`[^`]+`|\b[A-Z]+_[A-Z_0-9]+\b|\b[a-z0-9]+_[a-z_]+\b|/manage/\S+[^.,\s]|https?://\S*\w")
    for template, told in catalogue(language).items():
        assert sorted(copied.findall(PLACE.sub("", template))) == sorted(copied.findall(PLACE.sub("", told))), told
        first = next((word for word in CODE_WORDS if template.startswith(word)), "")
        assert told.startswith(first), told


def test_every_template_is_a_literal_with_its_values() -> None:
    for source in product():
        for call in words_in(source):
            assert all(isinstance(each, str) for each in literals_of(call.args[0])), ast.unparse(call)
            named = {keyword.arg for keyword in call.keywords}
            places = {place for each in literals_of(call.args[0]) for place in PLACE.findall(str(each))}
            # `**`: a count of each state.
            assert None in named or not named or named == places, ast.unparse(call)


def test_no_sentence_is_glued() -> None:
    """A reason or a remedy is a literal, or `Words`, or a name that holds `Words` throughout."""
    for path in SPOKEN_IN:
        source = path.read_text("utf-8")
        bound = bound_in(source)
        for call, spoken in spoken_in(source):
            for each in literals_of(spoken):
                assert isinstance(each, str) or is_words(each, bound), f"{path.name}: {ast.unparse(call)}"


def bound_in(source: str) -> dict[str, list[ast.expr]]:
    bound: dict[str, list[ast.expr]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            bound.setdefault(node.targets[0].id, []).append(node.value)
    return bound


def is_words(node: ast.expr, bound: dict[str, list[ast.expr]]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="Words")):
            return True
        case ast.Name(id=name):
            return all(is_words(each, bound) for each in bound.get(name, ()))
        case ast.JoinedStr() | ast.BinOp() | ast.Constant():
            return False
        case _:
            # A function, a field or an entry: its type says `Words`.
            return True


def test_the_rule_finds_what_it_looks_for() -> None:
    source = 'ok("a", "One.", now)\nunknown("b", Words("Two {n}.", n=1), "Three." if x else "Four.", None)\n'
    plain = {each for _, spoken in spoken_in(source) for each in literals_of(spoken) if isinstance(each, str)}
    assert plain == {"One.", "Three.", "Four."}
    assert [ast.unparse(call.args[0]) for call in words_in(source)] == ["'Two {n}.'"]
    for glued in ('f"One {x}."', '"One " + x', "reason"):
        node = ast.parse(glued, mode="eval").body
        assert not is_words(node, {"reason": [ast.parse('f"{x}"', mode="eval").body]})
