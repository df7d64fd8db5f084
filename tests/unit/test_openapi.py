"""The description of the API holds what the app has, and its schemas are those of the types."""

import json
from typing import Any

import azure.functions as func
import pytest

from functions.openapi import OPERATIONS, description
from functions.rights import RIGHTS
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
    assert dial["properties"]["dialled"]["type"] == "string"


def test_a_condition_is_described_where_it_is_answered() -> None:
    operations = [each for path in description()["paths"].values() for each in path.values()]
    for operation in operations:
        conditions = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        assert ("If-Match" in conditions) is ("412" in operation["responses"])
        assert ("If-None-Match" in conditions) is bool({"304", "412"} & set(operation["responses"]))


def test_what_is_no_json_is_described_as_text() -> None:
    paths = description()["paths"]
    sent = paths["/manage/agents/import"]["post"]["requestBody"]["content"]
    exported = paths["/manage/agents/export"]["get"]["responses"]["200"]["content"]
    contacts = paths["/manage/agents/{agent_id}/emergency-contacts"]["put"]["requestBody"]["content"]
    assert sent == exported == {"text/csv": {"schema": {"type": "string"}}}
    assert set(contacts) == {"application/json", "text/plain"}


def test_a_body_may_be_left_out_where_every_field_has_a_default() -> None:
    paths = description()["paths"]
    optional = {
        each["operationId"]
        for path in paths.values()
        for each in path.values()
        if not each.get("requestBody", {"required": True})["required"]
    }
    assert optional == {"call_ended", "presence_released"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.function)
def test_a_body_is_described_where_one_is_sent(operation: Any) -> None:
    described = description()["paths"][operation.path][operation.method]
    assert ("requestBody" in described) is (operation.body is not None)
    assert {str(status) for status in operation.answers} <= set(described["responses"])
    assert isinstance(func.HttpMethod(operation.method.upper()), func.HttpMethod)
