"""The Emergency Call Notification Template: what it tells, and that nothing can break it."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.notice_facts import facts_of, one_line
from shared.adapters.notification_template import MAX_SUBJECT_CHARACTERS, NotificationTemplate
from shared.domain.emergency_numbers import Placeable
from shared.domain.locations import LocationSource, ToldLocation
from shared.domain.notice_templates import LANGUAGES, TemplateKind, TemplateSources
from shared.domain.notifications import Notice, NoticeKind
from shared.ports import RenderedNotice

DIALLED = datetime(2026, 3, 4, 17, 5, 9, tzinfo=UTC)
NUMBER = "+12065550101"
LIVE = ToldLocation(
    source=LocationSource.LIVE,
    address="1 Example Way",
    address_source=LocationSource.LIVE,
    latitude=47.5,
    longitude=-122.25,
    accuracy_m=24.6,
    at=DIALLED - timedelta(seconds=180),
)
NOTICE = Notice(
    notice_id="n",
    recipients=("desk@example.com",),
    agent_id="agent-7",
    agent_name="Jane Example",
    dialled="911",
    dialled_at=DIALLED,
    callback_number=NUMBER,
    reachable_until=DIALLED + timedelta(minutes=60),
    shared=False,
    test=False,
    degraded=False,
    location=LIVE,
    locale=None,
    give_up_at=DIALLED + timedelta(minutes=60),
)


class Count:
    def __init__(self) -> None:
        self.events: list[str] = []

    def emit(self, event: str, **facts: str | float | bool) -> None:
        self.events.append(event)


class Page(HTMLParser):
    """The text of a page, and everything that it would load or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name in ("src", "href", "background") or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def rendered(edited: TemplateSources | None = None, after_s: float = 5, **changes: Any) -> RenderedNotice:
    notice = structs.replace(NOTICE, **changes)
    template = NotificationTemplate(lambda _kind, _language: edited)
    return template.render(notice, DIALLED + timedelta(seconds=after_s))


def both(notice: RenderedNotice) -> list[str]:
    """What a reader of either part reads, on one line."""
    return [" ".join(notice.text.split()), Page(notice.html).text]


def test_an_emergency_tells_who_when_where_and_which_number() -> None:
    notice = rendered()
    assert notice.subject == "EMERGENCY CALL by Jane Example"
    for words in both(notice):
        assert "Jane Example dialled an emergency number." in words
        assert "4 March 2026, 17:05:09 UTC" in words
        assert NUMBER in words
        assert "until at least 4 March 2026, 18:05:09 UTC" in words
        assert "1 Example Way" in words
        assert "Latitude 47.500000, longitude -122.250000 (to within 25 meters)" in words
        assert "reported by the agent's desktop 3 minutes before the call" in words
        assert "test" not in words.lower()
        assert "shared" not in words
        assert "This message was written" not in words
    assert re.findall(r"^\d\. ", notice.text, re.MULTILINE) == ["1. ", "2. ", "3. ", "4. "]
    assert Page(notice.html).tags.count("li") == 4


def test_a_test_is_marked_everywhere() -> None:
    notice = rendered(test=True)
    assert notice.subject == "[TEST, no emergency] EMERGENCY CALL by Jane Example"
    for words in both(notice):
        assert "THIS IS A TEST. Nobody is in danger." in words
        assert "EMERGENCY CALL" not in words
        assert "1. Nothing." in words or "Nothing. No help is needed" in words


def test_a_shared_number_says_so() -> None:
    for words in both(rendered(shared=True)):
        assert "number is shared" in words


def test_a_degraded_number_is_not_said_to_reach_the_agent() -> None:
    for words in both(rendered(degraded=True, shared=True)):
        assert "answered by people at all hours, not by Jane Example" in words
        assert "It reaches" not in words
        assert "is shared" not in words


def test_no_number_at_all_is_said() -> None:
    for words in both(rendered(callback_number="", degraded=True)):
        assert "None could be assigned." in words


def test_locations_say_where_they_come_from() -> None:
    registered = ToldLocation(source=LocationSource.REGISTERED, address="2 Example Way")
    for words in both(rendered(location=registered)):
        assert "2 Example Way" in words
        assert "registered for the agent" in words
        assert "Latitude" not in words
    for words in both(rendered(location=ToldLocation(source=LocationSource.UNKNOWN))):
        assert "The location is unknown." in words
    position = ToldLocation(source=LocationSource.LIVE, latitude=0.0, longitude=0.0, at=DIALLED - timedelta(hours=2))
    for words in both(rendered(location=position)):
        assert "Latitude 0.000000, longitude 0.000000" in words
        assert "2 hours before the call" in words
        assert "to within" not in words


@pytest.mark.parametrize(
    ("locale", "now", "before"),
    [
        ("en", "desktop at the time of the call.", "desktop 40 seconds before the call."),
        ("es", "agente en el momento de la llamada.", "agente 40 segundos antes de la llamada."),
        ("fr", "agent au moment de l\u2019appel.", "agent 40 secondes avant l\u2019appel."),
        ("it", "agente al momento della chiamata.", "agente 40 secondi prima della chiamata."),
    ],
)
def test_a_location_that_the_dial_brought_is_of_the_time_of_the_call(locale: str, now: str, before: str) -> None:
    for age_s, words in ((0, now), (0.5, now), (-3, now), (40, before)):
        for said in both(
            rendered(locale=locale, location=structs.replace(LIVE, at=DIALLED - timedelta(seconds=age_s)))
        ):
            assert words in said


def test_an_agent_without_a_name_is_known_by_the_id() -> None:
    for words in both(rendered(agent_name=None)):
        assert "agent-7 dialled" in words


def test_a_late_message_says_how_late() -> None:
    for words in both(rendered(after_s=25 * 60)):
        assert "written 25 minutes after the call was dialled" in words


@pytest.mark.parametrize(("told_after", "late"), [(timedelta(0), ""), (timedelta(minutes=5), "5 minutes")])
def test_how_late_the_word_of_the_end_is_counts_from_the_end(told_after: timedelta, late: str) -> None:
    ended_at = DIALLED + timedelta(minutes=25)
    closing = structs.replace(NOTICE, kind=NoticeKind.CLOSING, ended_at=ended_at)
    assert facts_of(closing, ended_at + told_after)["late"] == late


def test_the_page_is_self_contained() -> None:
    html = rendered().html
    page = Page(html)
    assert html.lstrip().startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in html
    assert page.links == []
    assert not {"script", "img", "link", "style", "iframe"} & set(page.tags)
    assert "http" not in html


HOSTILE = "<script>alert(1)</script>\r\nBcc: x@example.com {{ 7*7 }} \u202e" + "x" * 600


def test_hostile_values_are_harmless() -> None:
    location = ToldLocation(source=LocationSource.LIVE, address=HOSTILE, at=DIALLED)
    notice = rendered(agent_name=HOSTILE, agent_id=HOSTILE, callback_number=HOSTILE, location=location)
    assert "\n" not in notice.subject
    assert "\r" not in notice.subject
    assert len(notice.subject) <= MAX_SUBJECT_CHARACTERS
    assert "script" not in Page(notice.html).tags
    assert "49" not in notice.text
    assert "\u202e" not in notice.subject + notice.text + notice.html
    assert "Bcc: x@example.com" not in notice.text.splitlines()


@given(st.text(), st.text(), st.text() | st.none(), st.floats() | st.none(), st.booleans(), st.booleans())
def test_no_values_break_it(
    name: str, number: str, address: str | None, degrees: float | None, t: bool, d: bool
) -> None:
    location = ToldLocation(
        source=LocationSource.LIVE, address=address, latitude=degrees, longitude=degrees, accuracy_m=degrees
    )
    telemetry = Count()
    notice = structs.replace(NOTICE, agent_name=name, callback_number=number, location=location, test=t, degraded=d)
    words = NotificationTemplate(telemetry=telemetry).render(notice, DIALLED)
    assert telemetry.events == []
    assert words.subject
    assert "\n" not in words.subject
    assert all(line.isprintable() for line in words.text.splitlines())


def test_an_edited_template_takes_its_place() -> None:
    edited = TemplateSources(subject="A {{ agent }}\nB", text="{{ callback_number }}", html="<p>{{ agent }}</p>")
    notice = rendered(edited, agent_name="<b>", location=ToldLocation())
    assert notice == RenderedNotice(subject="A <b> B", text=f"{NUMBER}\n", html="<p>&lt;b&gt;</p>")


@pytest.mark.parametrize(
    "broken",
    [
        "{{ nobody }}",
        "{% if %}",
        "{{ 1 / 0 }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for a in range(100000000) %}{% endfor %}",
        "{{ 'x' * 200000 }}",
        "{{ agent.foo.bar }}",
        "{{ late | default('\\ud800') }}",
        "{{ late | default('\\0') }}",
        "\x1b",
        "{{ late" + "|e" * 200 + " }}",
        "{% if " + "not " * 500 + "late %}{% endif %}",
        "{{ " + "9" * 5_000 + " }}",
    ],
)
def test_a_failing_one_falls_back_to_the_built_in(broken: str) -> None:
    telemetry = Count()
    edited = structs.replace(built_in_sources(TemplateKind.CALL, "en"), text=broken)
    template = NotificationTemplate(lambda _kind, _language: edited, telemetry)
    for _ in range(2):
        assert template.render(NOTICE, DIALLED) == NotificationTemplate().render(NOTICE, DIALLED)
    assert telemetry.events == ["template_failed"] * 2


@pytest.mark.parametrize("html", ["&#" + "9" * 5_000 + ";", "{{ late | default('\\ud800') }}"])
def test_a_page_that_cannot_be_sent_or_read_falls_back_to_the_built_in(html: str) -> None:
    edited = structs.replace(built_in_sources(TemplateKind.CALL, "en"), html=html)
    assert rendered(edited, test=True) == rendered(test=True)


def test_one_line() -> None:
    assert one_line(" a\u2028b\tc\x00 ", 10) == "a b c"
    assert one_line("x" * 11, 10) == "x" * 9 + "…"
    assert one_line("\ud800", 10) == ""


# Other kinds, languages and zones -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "subject", "when"),
    [
        ("es-MX", "LLAMADA DE EMERGENCIA de Jane Example", "4 de marzo de 2026"),
        ("fr-CA", "APPEL D\u2019URGENCE de Jane Example", "4 mars 2026"),
        ("it", "CHIAMATA DI EMERGENZA di Jane Example", "4 marzo 2026"),
        ("de-DE", "EMERGENCY CALL by Jane Example", "4 March 2026"),
        ("xx-not-a-locale", "EMERGENCY CALL by Jane Example", "4 March 2026"),
    ],
)
def test_a_notice_speaks_the_reader_s_language(locale: str, subject: str, when: str) -> None:
    notice = rendered(locale=locale)
    assert notice.subject.startswith(subject)
    assert when in notice.text and NUMBER in notice.text


@pytest.mark.parametrize(
    ("zone", "time"),
    [("America/Los_Angeles", "09:05:09 PST"), ("Europe/Rome", "18:05:09 CET"), ("Nowhere/At_All", "17:05:09 UTC")],
)
def test_times_are_in_the_reader_s_zone_and_name_it(zone: str, time: str) -> None:
    for words in both(rendered(time_zone=zone)):
        assert time in words


@pytest.mark.parametrize(
    ("locale", "zone", "time"),
    [
        ("en", "Asia/Kolkata", "4 March 2026, 22:35:09 IST"),
        ("es", "America/Los_Angeles", "4 de marzo de 2026, 9:05:09 PST"),
        ("es-MX", "Europe/Rome", "4 de marzo de 2026, 6:05:09 p.m. CET"),
        ("fr", None, "4 mars 2026, 17:05:09 UTC"),
        ("fr-CA", "America/Toronto", "4 mars 2026, 12 h 05 min 09 s EST"),
        ("it", "Europe/Rome", "4 marzo 2026 18:05:09 CET"),
    ],
)
def test_a_time_names_its_zone_once_in_every_language(locale: str, zone: str | None, time: str) -> None:
    notice = rendered(locale=locale, time_zone=zone)
    assert f": {time}\n" in notice.text and f": {time}<br>" in notice.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_a_drill_and_a_test_say_so_in_every_subject(kind: NoticeKind, language: str) -> None:
    assert "DRILL" in rendered(kind=kind, locale=language, drill=True).subject
    assert "TEST" in rendered(kind=kind, locale=language, test=True).subject
    plain = TemplateSources(subject="Emergency", text="{{ agent }}", html="{{ agent }}")
    assert "DRILL" in rendered(plain, kind=kind, locale=language, drill=True).subject


OWN = TemplateSources(subject="Call of {{ agent }}", text="{{ agent }}", html="<body><p>{{ agent }}</p></body>")
MARKED = TemplateSources(
    subject="{% if drill %}DRILL: {% elif test %}TEST: {% endif %}Call of {{ agent }}",
    text="{% if drill %}DRILL{% elif test %}TEST{% endif %} {{ agent }}",
    html="<p>{% if drill %}DRILL{% elif test %}TEST{% endif %} {{ agent }}</p>",
)


@pytest.mark.parametrize("name", ["TESTA Mario", "Ann (DRILL team)", "TEST DRILL", "[TEST] [DRILL]"])
@pytest.mark.parametrize("word", ["Call of", "LATEST DRILLING: call of", "{% if test or drill %}{{ site }}{% endif %}"])
@pytest.mark.parametrize(("flag", "mark"), [("test", "[TEST, no emergency]"), ("drill", "[DRILL, no emergency]")])
def test_a_mark_is_put_where_only_a_fact_or_another_word_looks_like_it(
    name: str, word: str, flag: str, mark: str
) -> None:
    form = f"{word} {{{{ agent }}}}"
    edited = TemplateSources(subject=form, text=form, html=f"<body><p>{form}</p></body>")
    notice = rendered(edited, agent_name=name, site=f"{name} TEST DRILL", **{flag: True})
    assert notice.subject.startswith(mark) and notice.text.startswith(mark)
    assert notice.html.startswith("<body><p>[")


@pytest.mark.parametrize("flag", ["test", "drill"])
def test_a_mark_of_the_templates_own_is_not_doubled_whatever_the_facts_are(flag: str) -> None:
    mark, name = flag.upper(), f"{flag.upper()}A Mario"
    notice = rendered(MARKED, agent_name=name, **{flag: True}, location=ToldLocation())
    assert notice.subject == f"{mark}: Call of {name}"
    assert notice.text == f"{mark} {name}\n" and notice.html == f"<p>{mark} {name}</p>"


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_each_part_that_lacks_the_mark_gets_it_by_itself(part: str) -> None:
    edited = structs.replace(MARKED, **{part: getattr(OWN, part)})
    notice = rendered(edited, test=True, location=ToldLocation())
    for each in ("subject", "text", "html"):
        assert getattr(notice, each).count("TEST") == 1
        assert ("no emergency" in getattr(notice, each)) == (each == part)


def test_a_mark_in_a_comment_of_the_page_marks_nothing() -> None:
    edited = structs.replace(MARKED, html="<!-- {% if test %}TEST{% endif %} --><p>{{ agent }}</p>")
    assert "TEST" in Page(rendered(edited, test=True).html).text


def test_what_the_reader_must_know_besides_is_said() -> None:
    said = rendered(
        placeable=Placeable.NO, claimed=True, foreign=True, site="Plant 2", number_shown=False, agent_name="<b>Jane"
    )
    for words in both(said):
        for part in ("COULD NOT BE PLACED", "or it could not be asked", "another country", "Plant 2", "another number"):
            assert part in words
        assert "not sent to the emergency centre automatically" in words
    assert "<b>" not in said.html


@pytest.mark.parametrize(
    ("locale", "words"),
    [
        ("en", "Responders see this number on their display."),
        ("es", "Los servicios de emergencia ven este número en su pantalla."),
        ("fr", "Les secours voient ce numéro."),
        ("it", "I soccorritori vedono questo numero."),
    ],
)
def test_which_number_the_responder_sees_is_said_either_way(locale: str, words: str) -> None:
    for said, other in zip(
        both(rendered(locale=locale, number_shown=True)), both(rendered(locale=locale)), strict=True
    ):
        assert words in said and words not in other
    for said in both(rendered(locale=locale, number_shown=True, placeable=Placeable.NO)):
        assert words not in said, "no responder sees a call that was not placed"


def base(subject: str) -> str:
    """The subject without marks in front: RFC 5256 (2.1) takes them off to tell which messages belong together."""
    return re.sub(r"^(\[[^\[\]]*\] *)+", "", subject)


@pytest.mark.parametrize("edited", [False, True], ids=["built in", "edited"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_all_subjects_of_one_emergency_are_the_same_but_for_their_marks(language: str, edited: bool) -> None:
    own = TemplateSources(subject="Call of {{ agent }}", text="x", html="x") if edited else None
    legs: list[dict[str, Any]] = [{}, {"test": True}, {"drill": True}, {"dialled_at": DIALLED + timedelta(minutes=9)}]
    subjects = [rendered(own, kind=kind, locale=language, **leg).subject for kind in NoticeKind for leg in legs]
    assert len({base(subject) for subject in subjects}) == 1 and "Jane Example" in base(subjects[0])
    assert edited or len(set(subjects)) == len(NoticeKind) * 3, "each kind at a glance"


def test_several_notices_of_one_emergency_in_one_message_stay_in_its_thread() -> None:
    call = structs.replace(NOTICE, word="bodafilogu")
    over = structs.replace(call, kind=NoticeKind.CLOSING)
    told = merged(call, over, word="bodafilogu")
    assert told.subject == "[2 emergency notices in one message] EMERGENCY CALL by Jane Example"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_over_names_the_agent_and_gives_the_id_only_where_there_is_no_name(language: str) -> None:
    for words in both(rendered(kind=NoticeKind.CLOSING, locale=language, ended_at=DIALLED)):
        assert "Jane Example" in words and "agent-7" not in words
    for words in both(rendered(kind=NoticeKind.CLOSING, locale=language, ended_at=DIALLED, agent_name=None)):
        assert "agent-7" in words


def test_a_position_is_told_where_a_template_tells_addresses_only() -> None:
    edited = TemplateSources(subject="A", text="{{ location_address }}", html="{{ location_address }}")
    position = ToldLocation(source=LocationSource.LIVE, latitude=47.5, longitude=-122.25)
    for words in both(rendered(edited, location=position)):
        assert "47.500000, -122.250000" in words


POSITION = ToldLocation(source=LocationSource.LIVE, latitude=47.5, longitude=-122.25)
ADDRESS = "{{ location_address }}"
BOTH_PLACES = ADDRESS + " {{ location_latitude }}, {{ location_longitude }}"


@pytest.mark.parametrize("html", [ADDRESS, f"<html><body>{ADDRESS}</body></html>", f"<!-- {BOTH_PLACES} -->"])
@pytest.mark.parametrize("text", [ADDRESS, BOTH_PLACES])
def test_text_and_html_each_tell_the_position_whatever_the_other_one_tells(text: str, html: str) -> None:
    edited = TemplateSources(subject="A", text=text, html=html)
    for words in both(rendered(edited, location=POSITION)):
        assert words.count("47.500000, -122.250000") == 1


def test_a_position_that_was_added_is_shown_in_a_merged_message_too() -> None:
    edited = TemplateSources(subject="A", text=ADDRESS, html=f"<html><body><p>{ADDRESS}</p></body></html>")
    template = NotificationTemplate(lambda _kind, _language: edited)
    parts = (structs.replace(NOTICE, location=POSITION), NOTICE)
    assert "47.500000, -122.250000" in Page(template.render(structs.replace(NOTICE, parts=parts), DIALLED).html).text


def test_an_address_that_only_a_comment_tells_is_added() -> None:
    edited = TemplateSources(subject="A", text=ADDRESS, html=f"<p>Help</p><!-- {ADDRESS} -->")
    place = ToldLocation(source=LocationSource.REGISTERED, address="2 Example <Way>")
    for words in both(rendered(edited, location=place)):
        assert "2 Example <Way>" in words


def merged(*parts: Notice, **facts: Any) -> RenderedNotice:
    return NotificationTemplate().render(structs.replace(NOTICE, parts=parts, **facts), DIALLED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_several_in_one_message_are_each_told_as_it_is_by_itself_under_their_number(language: str) -> None:
    jane = structs.replace(NOTICE, locale=language)
    joe = structs.replace(NOTICE, locale=language, agent_name="Joe <Example>", kind=NoticeKind.CLOSING)
    told = merged(jane, joe, locale=language)
    assert told.subject.startswith("2 ") and "Jane" not in told.subject
    assert told.html.count("<html") == told.html.count("</body>") == 1 and "Joe <Example>" not in told.html
    for part in (jane, joe):
        alone = NotificationTemplate().render(part, DIALLED)
        assert alone.subject in told.text and alone.text in told.text
        shown = alone.html[alone.html.index("<body") : alone.html.index("</body>")].partition(">")[2]
        assert shown in told.html
    assert told.text.index("Jane") < told.text.index("Joe")


@pytest.mark.parametrize("edited", [None, OWN], ids=["built in", "edited"])
def test_brackets_of_a_name_are_no_mark_that_a_merged_subject_leaves_out(edited: TemplateSources | None) -> None:
    in_front = edited and structs.replace(edited, subject="[Plant] {{ agent }} calls")
    template = NotificationTemplate(lambda _kind, _language: in_front)
    call = structs.replace(NOTICE, word="bodafilogu", agent_name="[TEST] Ann", test=True)
    over = structs.replace(call, kind=NoticeKind.CLOSING)
    told = template.render(structs.replace(call, parts=(call, over)), DIALLED).subject
    last = "[TEST] Ann calls" if edited else "EMERGENCY CALL by [TEST] Ann"
    assert told == f"[TEST, no emergency] [2 emergency notices in one message] {last}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_several_tests_in_one_message_say_test_in_its_subject(language: str) -> None:
    tried = structs.replace(NOTICE, test=True, locale=language)
    assert "TEST" in merged(tried, tried, test=True, locale=language).subject


def test_what_is_left_alone_of_several_is_told_as_it_is() -> None:
    assert merged(NOTICE) == NotificationTemplate().render(NOTICE, DIALLED)


def test_whose_the_address_is_is_said_where_it_is_not_the_positions() -> None:
    elsewhere = structs.replace(LIVE, address_source=LocationSource.REGISTERED)
    for words in both(rendered(location=elsewhere)):
        assert "The address is the one registered for the agent." in words
    for words in both(rendered(location=LIVE)):
        assert "The address is" not in words


@pytest.mark.parametrize("kind", [each for each in NoticeKind if each is not NoticeKind.CALL])
def test_only_the_notice_of_a_call_tells_the_place(kind: NoticeKind) -> None:
    for words in both(rendered(kind=kind, ended_at=DIALLED)):
        assert "Example Way" not in words and "47.5" not in words


def test_a_mark_of_the_templates_own_that_is_cut_off_is_put_in_front() -> None:
    subject = "{{ agent }} {{ agent }}{% if drill %} DRILL{% endif %}"
    notice = rendered(structs.replace(MARKED, subject=subject), agent_name="x" * 110, drill=True)
    assert notice.subject.startswith("[DRILL, no emergency]")
