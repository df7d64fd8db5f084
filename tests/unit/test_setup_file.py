"""Sites and templates as one file: the same bytes again from a deployment that was built anew with it."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from functions.wire import setup
from functions.wire.setup import MAX_COMMAS
from shared.adapters.built_in_templates import built_in_sources
from shared.adapters.table import Write
from shared.adapters.template_table import TemplateTable
from shared.deadlines import Deadline
from shared.domain.errors import Malformed, Unavailable
from shared.domain.notice_templates import LANGUAGES, Fault, TemplateKind, TemplateSources
from shared.domain.setup import EditedTemplate, Outlook, Setup
from shared.domain.sites import Site
from shared.use_cases.import_setup import SetupOutlook
from tests.fakes.house import House
from tests.fakes.memory_table import MemoryTable

NORTH = Site(
    site_id="Nörth / 1",
    name="North “Wing”\u2028 West",
    address="1 Example Way\nFloor 2",
    country="US",
    time_zone="America/Los_Angeles",
    networks=("192.0.2.0/24", "desk-7"),
    emergency_contacts=("porter@example.com",),
    security_desk=("+14255550188",),
)


EVERY = [(kind, language) for kind in TemplateKind for language in LANGUAGES]


def furnished() -> House:
    house = House()
    for site in (NORTH, Site(site_id="south"), Site(site_id="abroad", country="DE")):
        house.sites.save(site, None, house.within())
    for kind, language in ((TemplateKind.CLOSING, "it"), (TemplateKind.CALL, "fr"), (TemplateKind.CALL, "en")):
        house.templates.save(kind, language, built_in_sources(kind, "es"), None, house.within())
    return house


def exported(house: House) -> bytes:
    return setup.written(house.administration.export_setup())


def brought_back(house: House, body: bytes) -> SetupOutlook:
    file = setup.read(body)
    outlook = house.administration.import_setup(file.setup)
    assert setup.faults_told(file, outlook) == []
    return outlook


def test_a_deployment_that_is_built_anew_exports_the_same_bytes() -> None:
    first, anew = exported(furnished()), House()
    told = brought_back(anew, first)
    assert (told.sites, told.templates) == (Outlook(new=3), Outlook(new=3))
    assert exported(anew) == first
    assert anew.templates.edited(TemplateKind.CALL, "it") is None, "what was the built-in one still is"


def test_what_is_not_in_the_file_stays_and_what_is_the_same_is_not_written() -> None:
    house = furnished()
    before = house.sites.read("south", house.within())
    body = json.loads(exported(house))
    body["sites"] = [each | {"country": "US"} for each in body["sites"] if each["site_id"] != "abroad"]
    told = brought_back(house, json.dumps(body).encode())
    assert told.sites == Outlook(changed=1, unchanged=1) and told.templates == Outlook(unchanged=3)
    north = house.sites.read("NÖRTH / 1", house.within())
    south = house.sites.read("south", house.within())
    assert north is not None and north[0] == NORTH
    assert south is not None and before is not None and south[0].country == "US" and south[1] != before[1]
    assert house.sites.read("abroad", house.within()) is not None


def test_a_dry_run_changes_nothing() -> None:
    house = House()
    file = setup.read(exported(furnished()))
    assert house.administration.check_setup(file.setup).sites == Outlook(new=3)
    assert json.loads(exported(house)) == {"sites": [], "templates": []}


def test_every_fault_is_told_with_its_place_and_nothing_is_written() -> None:
    house = House()
    body = {
        "sites": [
            {"site_id": "a"},
            {"site_id": "b", "country": "USA"},
            {"name": "nameless"},
            {"site_id": "c", "emergency_contacts": ["x@example.com", "nobody"]},
            {"site_id": "A"},
            7,
        ],
        "templates": [
            {"kind": "call", "locale": "de", "subject": "x", "text": "x", "html": "x"},
            {"kind": "call", "locale": "en", "subject": "{{ agent.__class__ }}", "text": "x", "html": "x"},
            {"kind": "call", "locale": "es", "subject": "x", "text": "{{ " + "9" * 5_000 + " }}", "html": "x"},
            {"kind": "call", "locale": "fr", "subject": "x", "text": "x", "html": "{{ late" + "|e" * 500 + " }}"},
        ],
    }
    file = setup.read(json.dumps(body).encode())
    told = setup.faults_told(file, house.administration.import_setup(file.setup))
    places = [each.at for each in told]
    assert places[:4] == ["sites[1].country", "sites[2].site_id", "sites[3].emergency_contacts[1]", "sites[5]"]
    assert {"templates[0].locale", "sites", "templates[1].subject", "templates[2].text", "templates[3].html"} <= set(
        places
    )
    assert "nobody" not in str(told)
    assert json.loads(exported(house)) == {"sites": [], "templates": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b"{", "body"),
        (b'{"sites": 7}', "sites"),
        (b'{"sites": [' + b"{}," * 1000 + b"{}]}", "sites"),
        (b'{"sites": [' + b"{}," * MAX_COMMAS + b"{},{}]}", "body"),
        (b'{"templates": [' + b"{}," * len(EVERY) + b"{}]}", "templates"),
    ],
)
def test_what_is_no_such_file_is_malformed(body: bytes, field: str) -> None:
    with pytest.raises(Malformed) as caught:
        setup.read(body)
    assert caught.value.field == field


def test_more_sites_than_there_may_be_are_refused_as_a_whole() -> None:
    house = House()
    house.sites.save(Site(site_id="here"), None, house.within())
    body = json.dumps({"sites": [{"site_id": f"s{number}"} for number in range(1000)]}).encode()
    with pytest.raises(Malformed, match="1000"):
        brought_back(house, body)
    assert len(house.sites.all(house.within())) == 1


def test_a_dry_run_refuses_more_sites_than_there_may_be_as_the_import_does() -> None:
    house = House()
    house.sites.save(Site(site_id="here"), None, house.within())
    anew = [{"site_id": f"s{number}"} for number in range(1000)]
    with pytest.raises(Malformed, match="1000") as dry:
        house.administration.check_setup(setup.read(json.dumps({"sites": anew}).encode()).setup)
    assert dry.value.field == "sites"
    # One that is there already takes no further place.
    file = setup.read(json.dumps({"sites": [{"site_id": "HERE"}, *anew[1:]]}).encode())
    assert house.administration.check_setup(file.setup).sites == Outlook(new=999, changed=1)


class Cut(MemoryTable):
    """A table that is away after so many commits."""

    left = 10_000

    def commit(self, writes: Sequence[Write], deadline: Deadline) -> list[str | None]:
        self.left -= 1
        if self.left < 0:
            raise Unavailable
        return super().commit(writes, deadline)


def test_cut_after_any_commit_and_repeated_it_is_the_same_setup() -> None:
    whole = exported(furnished())
    for commits in range(5):
        house, table = House(), Cut()
        house.sites, house.templates = type(house.sites)(table, house.clock), type(house.templates)(table, house.clock)
        table.left = commits
        if commits < 4:
            with pytest.raises(Unavailable):
                brought_back(house, whole)
        table.left = 10_000
        brought_back(house, whole)
        assert exported(house) == whole


def test_all_templates_that_there_are_come_in_one_file() -> None:
    first, anew = House(), House()
    for kind, language in EVERY:
        first.templates.save(kind, language, built_in_sources(kind, "es"), None, first.within())
    assert brought_back(anew, exported(first)).templates == Outlook(new=len(EVERY))


class SlowLint(TemplateTable):
    """Judges a template for eight seconds."""

    judged = 0

    def __init__(self, house: House) -> None:
        super().__init__(MemoryTable(), house.clock)
        self._house = house

    def lint(self, sources: TemplateSources, kind: TemplateKind) -> list[Fault]:
        self.judged += 1
        self._house.clock.advance(timedelta(seconds=8))
        return super().lint(sources, kind)


def test_what_takes_too_long_to_judge_is_given_up_between_two_templates() -> None:
    house = House()
    house.templates = slow = SlowLint(house)
    templates = [EditedTemplate(kind=kind, language=each, sources=built_in_sources(kind, "es")) for kind, each in EVERY]
    with pytest.raises(Unavailable):
        house.administration.import_setup(Setup(templates=tuple(templates)))
    assert slow.judged == 4, "of the thirty seconds of `setup_s`"
    assert not any(slow.edited(kind, language) for kind, language in EVERY)


def test_a_template_that_is_there_twice_is_told() -> None:
    twice = [{"kind": "call", "locale": "en", "subject": "x", "text": "x", "html": "x"}] * 2
    assert [each.at for each in setup.read(json.dumps({"templates": twice}).encode()).faults] == ["templates"]
