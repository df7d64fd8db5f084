"""Templates that administrators write: kept, remembered, refused, and the built-in one again (S7, B6)."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec import structs

from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.notification_template import NotificationTemplate
from shared.adapters.table import Put, Row, Write
from shared.adapters.template_table import MAX_LINTS, TemplateTable
from shared.deadlines import Deadline
from shared.domain.dials import Dial
from shared.domain.errors import Conflict, Faulty, Unavailable
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind, TemplateSources
from shared.domain.words import Words
from shared.ports import Answered
from shared.use_cases.show_readiness import show_readiness
from tests.fakes.house import House, after
from tests.fakes.memory_table import MemoryTable

LONG_ENOUGH_S = 30.0
CALL, CLOSING = TemplateKind.CALL, TemplateKind.CLOSING
TEXT = (
    "{{ agent }} dialled {{ dialled }}. Call {{ callback_number }}."
    "{% if location_known %} At {{ location_address }}.{% else %} Where is unknown.{% endif %}"
)
OURS = TemplateSources(subject="House: {{ agent }}", text=TEXT, html=f"<p>{TEXT}</p>")


@pytest.fixture
def house() -> House:
    house = House()
    house.tick()
    house.template = NotificationTemplate(house.templates.edited, house.telemetry)
    return house


def save(house: House, sources: TemplateSources = OURS, over: str | None = None) -> str:
    return house.administration.save_template(CALL, "en", sources, over).version


def subject_of_a_dial(house: House, call_id: str) -> str:
    house.dial(Dial(call_id=call_id, agent_id=f"agent {call_id}", dialled="911"))
    return house.mail.accepted[-1].subject


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", TemplateKind)
def test_the_built_in_one_can_be_read_put_back_and_previewed(house: House, kind: TemplateKind, language: str) -> None:
    office = house.administration
    read = office.read_template(kind, language)
    assert not read.edited and read.sources == built_in_sources(kind, language)
    saved = office.save_template(kind, language, read.sources, read.version)
    assert saved.edited and office.read_template(kind, language) == saved
    preview = office.preview_template(kind, language, read.sources)
    assert preview.lint == []
    assert "Alex Example" in preview.notice.text and "Alex Example" in preview.notice.html


def test_a_saved_template_is_what_notices_are_made_from_within_a_minute_and_the_built_in_one_again(
    house: House,
) -> None:
    before = subject_of_a_dial(house, "1")
    save(house)
    assert subject_of_a_dial(house, "2").startswith("House: "), "the process that saved it uses it at once"
    house.administration.remove_template(CALL, "en", None)
    assert subject_of_a_dial(house, "3").split(" agent")[0] == before.split(" agent")[0]
    house.administration.remove_template(CALL, "en", None)


def test_another_process_uses_it_after_a_minute_at_most_and_in_an_outage_what_it_remembers(house: House) -> None:
    other = House()
    other.templates = type(house.templates)(other.line, house.clock)
    assert other.templates.edited(CALL, "en") is None
    other.templates.save(CALL, "en", OURS, None, house.within())
    assert other.templates.edited(CALL, "en") == OURS
    other.line.away = True
    house.clock.advance(after(minutes=5))
    assert other.templates.edited(CALL, "en") == OURS
    assert other.templates.edited(CALL, "it") is None, "nothing is known of it: the built-in one serves"
    with pytest.raises(Unavailable):
        other.templates.read(CALL, "en", house.within())


@pytest.mark.parametrize(
    ("sources", "code"),
    [
        (TemplateSources(subject="x", text="{{ agent }}", html="{{ agent }}"), "callback_number_missing"),
        (TemplateSources(subject="{{ agent.__class__ }}", text=TEXT, html=TEXT), None),
        (TemplateSources(subject="x", text="{% for a in agent %}x{% endfor %}", html=TEXT), None),
        (TemplateSources(subject="x", text="{" * 2_000_000, html=TEXT), "too_long"),
        (TemplateSources(subject="{{", text=TEXT, html=TEXT), "syntax"),
        (TemplateSources(subject="x", text=TEXT + "{{ late | default('\\ud800') }}", html=TEXT), "not_sendable"),
        (TemplateSources(subject="x", text=TEXT, html=TEXT + "{{ " + "9" * 5_000 + " }}"), "syntax"),
        (TemplateSources(subject="x", text=TEXT, html=TEXT + "{{ late" + "|e" * 300 + " }}"), "too_deep"),
        (TemplateSources(subject="x", text=TEXT, html=TEXT + "&#" + "9" * 5_000 + ";"), "syntax"),
    ],
)
def test_what_must_not_be_saved_is_refused_and_changes_nothing(
    house: House, sources: TemplateSources, code: str | None
) -> None:
    with pytest.raises(Faulty) as refused:
        save(house, sources)
    lint = refused.value.members["lint"]
    assert isinstance(lint, list) and lint
    assert code is None or code in {fault.code for fault in lint}
    assert not house.administration.read_template(CALL, "en").edited
    preview = house.administration.preview_template(CALL, "en", sources)
    assert preview.lint == lint


@pytest.mark.parametrize(
    "added",
    ["{{ late | default('\\ud800') }}", "{{ late" + "|e" * 190 + " }}", "{{ late" + "|e" * 500 + " }}", "\0"],
    ids=["half a character", "filters", "more filters", "NUL"],
)
def test_what_a_version_before_saved_and_this_one_refuses_gives_way_to_the_built_in_one(
    house: House, added: str
) -> None:
    saved = structs.replace(OURS, text=TEXT + added)
    house.templates.save(CALL, "en", saved, None, house.within())
    for call in ("1", "2"):
        assert not subject_of_a_dial(house, call).startswith("House: ")
    assert house.telemetry.count("template_failed"), "and it is said"
    assert house.administration.read_template(CALL, "en").sources == saved, "so that it can be mended"
    assert house.administration.preview_template(CALL, "en", saved).lint
    assert [each for each in house.administration.show_readiness().checks if each.id == "template"]


def test_two_administrators_on_one_template_the_second_is_told(house: House) -> None:
    first = house.administration.read_template(CALL, "en").version
    second = save(house, over=first)
    with pytest.raises(Conflict):
        save(house, over=first)
    with pytest.raises(Conflict):
        house.administration.remove_template(CALL, "en", first)
    house.administration.remove_template(CALL, "en", second)
    assert house.administration.read_template(CALL, "en").version == first


def test_a_long_template_is_kept_whole(house: House) -> None:
    long = TemplateSources(subject=OURS.subject, text=TEXT + "𝄞é" * 40_000, html=OURS.html)
    save(house, long)
    assert house.administration.read_template(CALL, "en").sources == long


def test_readiness_tries_the_cases_of_a_template_once_however_often_it_is_asked(house: House) -> None:
    tried: list[TemplateSources] = []

    def lint(sources: TemplateSources, _kind: TemplateKind) -> list[Fault]:
        tried.append(sources)
        return [Fault(code="empty", part="text", line=1, message=Words("is empty"))]

    templates = TemplateTable(house.line, house.clock, lint)
    templates.save(CALL, "en", OURS, None, house.within())
    office = structs.replace(house.administration.office, templates=templates)
    looks = [
        show_readiness(office=office, clock=house.clock, deployment=house.deployment, deadline=house.within())
        for _ in range(3)
    ]
    assert tried == [OURS]
    assert looks[0].checks == looks[2].checks
    other = structs.replace(OURS, subject="Another: {{ agent }}")
    templates.save(CALL, "en", other, None, house.within())
    show_readiness(office=office, clock=house.clock, deployment=house.deployment, deadline=house.within())
    assert tried == [OURS, other]


def test_no_more_lints_are_remembered_than_templates_need(house: House) -> None:
    tried: list[str] = []

    def lint(sources: TemplateSources, _kind: TemplateKind) -> list[Fault]:
        tried.append(sources.subject)
        return []

    templates = TemplateTable(house.line, house.clock, lint)
    for number in (*range(MAX_LINTS + 1), 1, 0):
        templates.lint(structs.replace(OURS, subject=str(number)), CALL)
    assert tried == [str(number) for number in (*range(MAX_LINTS + 1), 0)]


@pytest.mark.parametrize("away", [False, True], ids=["it answers late", "it is away"])
def test_a_crowd_of_mails_reads_a_template_once(house: House, away: bool) -> None:
    table, crowd = Held(MemoryTable(), away=away), 30
    templates = TemplateTable(table, house.clock)
    with ThreadPoolExecutor(crowd) as threads:
        asked = [threads.submit(templates.edited, CALL, "en") for _ in range(crowd)]
        assert table.asked.acquire(timeout=LONG_ENOUGH_S)
        table.may_answer.set()
        assert [each.result(LONG_ENOUGH_S) for each in asked] == [None] * crowd
    assert table.readings == 1


def test_whoever_comes_while_a_template_is_read_again_takes_what_was_known(house: House) -> None:
    table = Held(MemoryTable())
    templates = TemplateTable(table, house.clock)
    table.may_answer.set()
    templates.save(CALL, "en", OURS, None, house.within())
    assert templates.edited(CALL, "en") == OURS
    house.clock.advance(after(minutes=2))
    table.may_answer.clear()
    with ThreadPoolExecutor(1) as thread:
        begun = table.readings
        reads = thread.submit(templates.edited, CALL, "en")
        assert table.asked.acquire(timeout=LONG_ENOUGH_S)
        assert templates.edited(CALL, "en") == OURS, "without a wait"
        assert not reads.done()
        table.may_answer.set()
        assert reads.result(LONG_ENOUGH_S) == OURS
    assert table.readings == begun + 1


def test_a_template_is_asked_for_again_a_second_after_it_could_not_be_read(house: House) -> None:
    templates = TemplateTable(house.line, house.clock)
    templates.save(CALL, "en", OURS, None, house.within())
    house.line.away = True
    assert templates.edited(CALL, "en") is None
    house.line.away = False
    house.clock.advance(after(seconds=1))
    assert templates.edited(CALL, "en") == OURS


class Held:
    """A table whose readings wait until they may be answered."""

    def __init__(self, table: MemoryTable, *, away: bool = False) -> None:
        self._table, self._away = table, away
        self.readings = 0
        self.asked, self.may_answer = threading.Semaphore(0), threading.Event()

    def get(self, key: str, deadline: Deadline) -> Answered[Row | None]:
        self.readings += 1
        if not self.may_answer.is_set():
            self.asked.release()
        assert self.may_answer.wait(LONG_ENOUGH_S)
        if self._away:
            raise Unavailable
        return self._table.get(key, deadline)

    def between(self, first: str, end: str, limit: int, deadline: Deadline) -> Answered[list[Row]]:
        return self._table.between(first, end, limit, deadline)

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        return self._table.commit(writes, deadline)


def test_a_template_that_cannot_be_read_is_the_built_in_one_and_can_be_written_over(house: House) -> None:
    table, within = MemoryTable(), house.within()
    templates = TemplateTable(table, house.clock)
    templates.save(CALL, "en", OURS, None, within)
    [row] = table.between("template|", "template|~", 2, within).result()
    table.commit([Put(row.key, {"schema": 9})], within)
    read = templates.read(CALL, "en", within)
    assert (read.edited, read.sources) == (False, built_in_sources(CALL, "en"))
    assert templates.edited(CALL, "en") is None
    assert templates.save(CALL, "en", OURS, read.version, within).edited
