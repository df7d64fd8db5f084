"""How agents are searched for: by the start of an id, of a name, or of a word of a name, whatever case and accents."""

import re
import unicodedata

from shared.domain.agents import Agent, ListedAgent

MAX_WORDS = 12
MAX_TERM_BYTES = 60
_WORD = re.compile(r"\w+")
# Letters that no normal form takes apart.
_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)


def fold(text: str) -> str:
    """`text` without case, accents, invisible characters and needless blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join(each for each in apart if unicodedata.category(each) not in {"Mn", "Cf", "Cc"} or each.isspace())
    return " ".join(kept.casefold().translate(_LETTERS).split())


def terms_of(agent_id: str, name: str | None) -> tuple[str, ...]:
    """What a search may begin with: the id, and the name from each of its words on; at most `MAX_WORDS` of them."""
    folded = fold(name or "")
    starts = [match.start() for match in _WORD.finditer(folded)][:MAX_WORDS]
    terms = [fold(agent_id), folded, *(folded[start:] for start in starts)]
    return tuple(sorted({term for term in terms if term}))


def place_of(agent: Agent | ListedAgent) -> str:
    """Where in a list they stand: by name, else by id."""
    return fold(agent.name or "") or fold(agent.agent_id)
