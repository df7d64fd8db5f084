"""Directory, recipients and sites through the host: as an administrator sets them up, and what a dial makes of it."""

import pytest

from tests.integration.used import new_agent, new_id
from tests.local.stack import ADMIN, AGENT, SUPERVISOR, Stack

pytestmark = pytest.mark.process


def assert_known_by_its_tag(local: Stack, path: str) -> None:
    """What is read there is not sent again to whoever names its entity tag, or all (RFC 9110, 13.1.2)."""
    tag = local.ask("GET", path, principal=ADMIN).headers["etag"]
    for method in ("GET", "HEAD"):
        for known in (tag, "*"):
            again = local.ask(method, path, principal=ADMIN, headers={"If-None-Match": known})
            assert (again.status_code, again.headers["etag"], again.content) == (304, tag, b"")
        assert local.ask(method, path, principal=ADMIN, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_template_that_is_known_is_not_sent_again(wide_stack: Stack) -> None:
    assert_known_by_its_tag(wide_stack, "manage/notification-template?kind=call&locale=en")


def test_readiness_and_faults_are_in_the_language_asked_for(wide_stack: Stack) -> None:
    local = wide_stack
    paths = ("manage/readiness", f"manage/agents/{local.add_agent(new_agent()).agent_id}/readiness")
    for path in paths:
        english = local.ask("GET", path, principal=SUPERVISOR)
        french = local.ask("GET", path, principal=SUPERVISOR, headers={"Accept-Language": "de, fr-CA;q=0.9, en;q=0.1"})
        assert (english.headers["content-language"], french.headers["content-language"]) == ("en", "fr")
        for answer in (english, french):
            assert "Accept-Language" in answer.headers["vary"] and answer.headers["cache-control"] == "no-store"
            assert "etag" not in answer.headers
        said = {each["id"]: each["reason"] for each in english.json()["checks"]}
        told = {each["id"]: each["reason"] for each in french.json()["checks"]}
        assert said.keys() == told.keys() and not set(said.values()) & set(told.values())
        assert said["emergency_path"].partition(":")[0] == told["emergency_path"].partition(":")[0]
    italian = {"Accept-Language": "it"}
    for path in ("manage/agents/import?dry_run=1", "manage/setup/import?dry_run=1"):
        sent = b"name\r\nDana" if "agents" in path else b'{"sites": [{}]}'
        answer = local.ask("POST", path, principal=ADMIN, headers=italian, content=sent)
        assert (answer.headers["content-language"], answer.json()["faults"][0]["reason"]) == ("it", "manca")
    path, empty = "manage/notification-template?kind=call&locale=en", {"subject": "", "text": "", "html": ""}
    answer = local.ask("PUT", path, empty, principal=ADMIN, headers=italian)
    assert (answer.status_code, answer.headers["content-language"]) == (422, "it")
    assert answer.json()["lint"][0]["message"] == "non contiene nulla"


@pytest.mark.parametrize("part", ["text", "html"])
@pytest.mark.parametrize(
    "odd",
    [
        "{{ " + "9" * 5_000 + " }}",
        "{% if late" + " and late" * 500 + " %}{% endif %}",
        "{{ late" + "|default('x')" * 500 + " }}",
        "{{ late | default('\\ud800') }}",
    ],
    ids=["number", "condition", "filters", "half a character"],
)
def test_an_odd_template_is_refused_with_what_is_wrong_with_it(wide_stack: Stack, odd: str, part: str) -> None:
    local, known = wide_stack, "notification-template?kind=call&locale=it"
    sources = local.ask("GET", f"manage/{known}", principal=ADMIN).json()
    sent = {name: sources[name] for name in ("subject", "text", "html")}
    sent[part] += odd
    refused = local.ask("PUT", f"manage/{known}", sent, principal=ADMIN)
    assert (refused.status_code, refused.json()["lint"][0]["part"]) == (422, part)
    preview = local.ask("POST", f"manage/{known.replace('?', '/preview?')}", sent, principal=ADMIN)
    assert (preview.status_code, preview.json()["lint"]) == (200, refused.json()["lint"])
    entry = {"kind": "call", "locale": "it", **sent}
    imported = local.ask("POST", "manage/setup/import", {"templates": [entry]}, principal=ADMIN)
    assert (imported.status_code, imported.json()["faults"][0]["at"]) == (422, f"templates[0].{part}")


def test_an_entry_is_listed_changed_and_removed(wide_stack: Stack) -> None:
    local, dana = wide_stack, wide_stack.add_agent(new_agent())
    path = f"manage/agents/{dana.agent_id}"
    listed = local.ask("GET", f"manage/agents?starts_with={dana.agent_id.upper()}", principal=SUPERVISOR).json()
    assert [each["agent_id"] for each in listed["agents"]] == [dana.agent_id] and listed["cursor"] is None
    text = {"Content-Type": "text/plain"}
    sent = b"Kim <kim.admin@example.com>, nobody"
    saved = local.ask("PUT", f"{path}/emergency-contacts", principal=ADMIN, headers=text, content=sent)
    assert (saved.status_code, saved.json()["kept"]) == (200, ["kim.admin@example.com"])
    assert saved.json()["refused"][0]["text"] == "nobody"
    refused = local.ask("PUT", f"{path}/emergency-contacts", principal=ADMIN, headers=text, content=b"nobody")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert_known_by_its_tag(local, path)
    tag = local.ask("GET", path, principal=ADMIN).headers["etag"]
    assert local.ask("DELETE", path, principal=ADMIN, headers={"If-Match": '"other"'}).status_code == 412
    assert local.ask("DELETE", path, principal=ADMIN, headers={"If-Match": tag}).status_code == 204
    assert local.ask("GET", path, principal=ADMIN).status_code == 404
    assert local.ask("PUT", "manage/agents/import", {}, principal=ADMIN).status_code == 400


def test_a_site_is_saved_listed_and_removed(wide_stack: Stack) -> None:
    local, dana, site = wide_stack, wide_stack.add_agent(new_agent()), new_id("site")
    sent = {"name": "North", "networks": ["203.0.113.0/24"], "emergency_contacts": [f"{site}@example.com"]}
    assert local.ask("PUT", f"manage/sites/{site}", sent, principal=ADMIN).status_code == 201
    assert site in {each["site_id"] for each in local.ask("GET", "manage/sites", principal=SUPERVISOR).json()["sites"]}
    # Each of the stack's processes remembers the sites for a minute: the desktop's report says when it knows this one.
    behind = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7:40000"}
    me = f"{AGENT};{dana.agent_id}"
    report = {"desktop_id": "desk", "network": "203.0.113.7"}
    answer = local.ask("PUT", f"agents/{dana.agent_id}/desktop", report, principal=me, headers=behind)
    assert answer.status_code == 200
    assert answer.json()["site"] in (site, None)
    assert_known_by_its_tag(local, f"manage/sites/{site}")
    assert local.ask("DELETE", f"manage/sites/{site}", principal=ADMIN).status_code == 204
    assert local.ask("GET", f"manage/sites/{site}", principal=ADMIN).status_code == 404


def test_what_was_confirmed_at_the_office_does_not_hold_at_home(wide_stack: Stack) -> None:
    local, dana = wide_stack, wide_stack.add_agent(new_agent())
    path, me = f"agents/{dana.agent_id}/desktop", f"{AGENT};{dana.agent_id}"
    office, home = ({"X-Forwarded-For": f"{address}:40000"} for address in ("203.0.113.7", "198.51.100.9"))
    confirms = {"desktop_id": "desk", "location": {"address": "3 Sample Lane"}, "confirmed": True}
    answer = local.ask("PUT", path, confirms, principal=me, headers=office).json()
    assert (answer["confirmed"], answer["confirmed_location"]["address"]) == (True, "3 Sample Lane")
    named = f"{path}?desktop_id=desk"
    shown = [local.ask("GET", named, principal=me, headers=where).json()["confirmed"] for where in (office, home)]
    assert shown == [True, False]
    looks = {"desktop_id": "desk"}
    assert not local.ask("PUT", path, looks, principal=me, headers=home).json()["confirmed"]
    assert local.ask("PUT", path, looks, principal=me, headers=office).json()["confirmed"]
    dial = {
        "call_id": new_id("call"),
        "agent_id": dana.agent_id,
        "dialled": "911",
        "country": "US",
        "desktop_id": "desk",
    }
    say = local.ask("POST", "emergency-calls", dial, principal=me, headers=home).json()["panel"]["say"]
    assert say["source"] == "registered"
