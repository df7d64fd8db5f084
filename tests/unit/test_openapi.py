"""The description of the API holds what the app has, and its schemas are those of the types."""

import json
from typing import Any

import azure.functions as func
import msgspec
import pytest

from functions.openapi import OPERATIONS, description
from functions.openapi_document import Text
from functions.openapi_examples import EXAMPLES
from functions.problems import Problem, problem
from functions.rights import RIGHTS
from functions.wire.decoding import convert
from shared.domain.errors import Refused
from tests.rules.test_contract import HTTP, ROUTES

# Nothing that a program asks for: pages, what a browser asks by itself, what the service posts.
NOT_DESCRIBED = {"call_automation_events", "preflight", "openapi"} | {name for name in ROUTES if name.startswith("ui_")}


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(each) for each in node.values()))
    return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()


def test_every_operation_is_a_route_of_the_app() -> None:
    for operation in OPERATIONS:
        assert operation.function in HTTP
        assert ROUTES[operation.function] == (operation.method.upper(), operation.path.removeprefix("/"))
    assert len({operation.function for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_function_that_a_program_asks_for_is_described() -> None:
    assert set(HTTP) - NOT_DESCRIBED == {operation.function for operation in OPERATIONS}


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(json.dumps(description()))
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known
    assert document["openapi"] == "3.1.0"


def test_roles_are_those_of_the_table() -> None:
    for path in description()["paths"].values():
        for operation in path.values():
            rule = RIGHTS[operation["operationId"]]
            assert operation["x-roles"] == sorted(rule.roles)
            assert ("401" in operation["responses"]) is not rule.anyone


def test_an_optional_field_of_a_dial_may_be_anything() -> None:
    dial = description()["components"]["schemas"]["DialBody"]
    assert dial["properties"]["location"] == {}
    assert dial["properties"]["agent_id"] == {}, "an Agent's sign-in stands in for it"
    assert dial["properties"]["dialled"]["type"] == "string"
    assert dial["required"] == ["call_id", "dialled"]


def test_what_nobody_filled_in_may_be_left_empty_at_any_depth() -> None:
    """What a form sends so is taken as absent (functions/wire/decoding.py), within another field, too."""
    described = description()
    within = [
        each["requestBody"] for path in described["paths"].values() for each in path.values() if "requestBody" in each
    ]
    seen: set[str] = set()
    while found := references(within) - seen:
        seen |= found
        within = [described["components"]["schemas"][each.rpartition("/")[2]] for each in found]
    kinds = {each.rpartition("/")[2] for each in seen}
    assert {"DesktopBody", "LocationBody"} <= kinds
    for kind in kinds - {"DialBody"}:
        schema = described["components"]["schemas"][kind]
        for name in set(schema.get("properties", ())) - set(schema.get("required", ())):
            takes_anything = (kind, name) in {("EndBody", "agent_id"), ("TieBody", "agent_id")}
            left_empty = takes_anything or schema["properties"][name]["anyOf"][-1] == {"enum": [None, ""]}
            assert left_empty, (kind, name)


def test_a_condition_is_described_where_it_is_answered() -> None:
    operations = [each for path in description()["paths"].values() for each in path.values()]
    for operation in operations:
        conditions = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        assert ("If-Match" in conditions) is ("412" in operation["responses"])
        assert ("If-None-Match" in conditions) is bool({"304", "412"} & set(operation["responses"]))


def test_headers_that_only_some_answers_have_are_described() -> None:
    paths = description()["paths"]
    for status in ("200", "201"):
        header = paths["/emergency-calls"]["post"]["responses"][status]["headers"]["Retry-After"]
        assert header["required"] is False, "a degraded answer has it"
    board = paths["/manage/emergencies"]["get"]["responses"]["200"]["headers"]
    assert (board["Cut-At"]["required"], board["ETag"]["required"]) == (False, True)


def test_a_service_that_keeps_presences_may_refuse_to_tell_one() -> None:
    assert problem(Refused("the service answered 400")).status_code == 502
    assert "502" in description()["paths"]["/agents/{agent_id}/presence"]["get"]["responses"]


def test_whatever_is_read_with_an_entity_tag_may_be_known_already() -> None:
    read = [path["get"] for path in description()["paths"].values() if "get" in path]
    tagged = [each for each in read if "ETag" in each["responses"].get("200", {}).get("headers", {})]
    assert {"admin_agent_read", "admin_site_read", "panel_state"} <= {each["operationId"] for each in tagged}
    assert [each["operationId"] for each in tagged if "304" not in each["responses"]] == []


def test_what_is_no_json_is_described_as_text() -> None:
    paths = description()["paths"]
    sent = paths["/manage/agents/import"]["post"]["requestBody"]["content"]
    exported = paths["/manage/agents/export"]["get"]["responses"]["200"]["content"]
    contacts = paths["/manage/agents/{agent_id}/emergency-contacts"]["put"]["requestBody"]["content"]
    assert set(sent) == set(exported) == {"text/csv"}
    assert sent["text/csv"]["schema"] == exported["text/csv"]["schema"] == {}, "any bytes may be sent, and are judged"
    assert set(contacts) == {"application/json", "text/plain"}


def test_a_body_may_be_left_out_where_every_field_has_a_default() -> None:
    paths = description()["paths"]
    optional = {
        each["operationId"]
        for path in paths.values()
        for each in path.values()
        if not each.get("requestBody", {"required": True})["required"]
    }
    assert optional == {"call_ended", "presence_released", "admin_emergency_contacts_saved"}
    bodies = {each["operationId"]: each.get("requestBody") for path in paths.values() for each in path.values()}
    nullable = {name for name, body in bodies.items() if {"type": "null"} in _json_schema(body).get("anyOf", ())}
    assert nullable == {"call_ended", "presence_released"}, "null clears no list of contacts"


def _json_schema(body: Any) -> dict[str, Any]:
    schema: dict[str, Any] = (body or {"content": {}})["content"].get("application/json", {}).get("schema", {})
    return schema


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.function)
def test_the_example_is_sound_and_whole(operation: Any) -> None:
    example = EXAMPLES[operation.function]
    bodies = operation.body if isinstance(operation.body, tuple) else (operation.body,)
    if operation.body is not None and not isinstance(bodies[0], Text):
        sent = convert(example["body"], bodies[0], "")
        assert set(example["body"]) <= set(sent.__struct_fields__)
    with_body = {status: kind for status, kind in operation.answers.items() if kind is not None}
    assert set(example["answers"]) == set(with_body)
    for status, kind in with_body.items():
        if not isinstance(kind, Text):
            read = msgspec.convert(example["answers"][status], kind, dec_hook=lambda words, text: words(text))
            assert json.loads(msgspec.json.encode(read, enc_hook=str)) == example["answers"][status], (
                "no field more, none less"
            )
    for part, known in (("path", operation.path), ("query", operation.query)):
        assert set(example.get(part, {})) <= {name for name in example.get(part, {}) if name in known}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.function)
def test_every_problem_has_its_document_and_its_example(operation: Any) -> None:
    responses = description()["paths"][operation.path][operation.method]["responses"]
    for status, described in responses.items():
        if int(status) in operation.answers or status in ("304", "414"):
            continue
        [(media_type, content)] = described["content"].items()
        assert media_type == "application/problem+json"
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        example = msgspec.convert(content["example"], Problem)
        assert (example.status, example.title) == (int(status), described["description"])
        if status == "422" and operation.function != "call_started":
            assert set(content["example"]) > {"type", "title", "status", "detail"}, "says what of it cannot be used"
    assert ("Retry-After" in responses["503"].get("headers", {})) is (503 not in operation.answers)


def test_a_link_leads_to_an_operation_that_has_the_parameter() -> None:
    operations = {each["operationId"]: each for path in description()["paths"].values() for each in path.values()}
    found = [
        link
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert {link["operationId"] for link in found} >= {"panel_state", "call_ended", "admin_agents_import_read"}
    for link in found:
        parameters = {each["name"] for each in operations[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= parameters


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.function)
def test_a_body_is_described_where_one_is_sent(operation: Any) -> None:
    described = description()["paths"][operation.path][operation.method]
    assert ("requestBody" in described) is (operation.body is not None)
    assert {str(status) for status in operation.answers} <= set(described["responses"])
    assert isinstance(func.HttpMethod(operation.method.upper()), func.HttpMethod)


@pytest.mark.parametrize("report", ["EndBody", "TieBody"])
def test_whom_an_end_or_a_tie_names_may_be_anything(report: str) -> None:
    assert description()["components"]["schemas"][report]["properties"]["agent_id"] == {}
