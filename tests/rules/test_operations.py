"""What OPERATIONS.md tells an administrator to query is what the product says."""

import json
import re

from shared.settings import SETTINGS
from shared.telemetry import VOCABULARY
from tests.rules.sources import ROOT

OPERATIONS = (ROOT / "OPERATIONS.md").read_text("utf-8")
QUERIES = re.findall(r"```kusto\n(.*?)```", OPERATIONS, re.DOTALL)
EVENT = re.compile(r'"([a-z]+_[a-z_]+)"|startswith "[A-Z]+ ([a-z_]+)')
LEVELS = {20: "INFO", 30: "WARNING", 40: "ERROR"}


def test_queries_name_events_that_the_product_emits_at_that_level() -> None:
    assert len(QUERIES) >= 4
    named = {word for query in QUERIES for pair in EVENT.findall(query) for word in pair if word}
    assert named and named <= set(VOCABULARY)
    for level, event in re.findall(r'startswith "([A-Z]+) ([a-z_]+)', OPERATIONS):
        assert level == LEVELS[VOCABULARY[event].level]


def test_queries_ask_where_printed_lines_are() -> None:
    assert all('"Host.Function.Console"' in query for query in QUERIES)
    levels = json.loads((ROOT / "host.json").read_text("utf-8"))["logging"]["logLevel"]
    assert levels["Host.Function.Console"] == "Information"


def test_azd_is_told_nothing_that_no_template_reads() -> None:
    """It keeps any name that it is given, and hands on those that the parameter file reads: another does nothing."""
    parameters = (ROOT / "infra" / "main.bicepparam").read_text("utf-8")
    read = set(re.findall(r"readEnvironmentVariable\('([A-Z0-9_]+)'", parameters))
    told = set(re.findall(r"azd env set ([A-Z0-9_]+)", OPERATIONS)) - {"NAME"}
    assert told and told <= read
    assert {"ALERT_EMAILS", "EXISTING_COMMUNICATION_SERVICE_ID", "EXISTING_STATE_ENDPOINT"} <= told


def test_every_event_is_explained_to_whoever_is_on_duty() -> None:
    assert [event for event in VOCABULARY if f"`{event}`" not in OPERATIONS] == []


def test_every_setting_is_told_where_it_is_changed() -> None:
    assert [setting.name for setting in SETTINGS if f"`{setting.name}`" not in OPERATIONS] == []


def test_a_folder_that_a_command_fills_is_made_first() -> None:
    """`az storage blob download-batch` makes none."""
    blocks = re.findall(r"```sh\n(.*?)```", OPERATIONS, re.DOTALL)
    filled = [(block, folder) for block in blocks for folder in re.findall(r"--destination (\S+)", block)]
    assert filled
    for block, folder in filled:
        before, _, _ = block.partition(f"--destination {folder}")
        assert f"mkdir {folder}\n" in before


def test_the_lock_is_removed_before_a_role_that_it_keeps() -> None:
    blocks = [
        block for block in re.findall(r"```sh\n(.*?)```", OPERATIONS, re.DOTALL) if "role assignment delete" in block
    ]
    locks = set(
        re.findall(r"locks@[\d-]+' = .*\n  name: '([a-z-]+)'", (ROOT / "infra/modules/lock.bicep").read_text("utf-8"))
    )
    assert blocks and len(locks) == 1
    for block in blocks:
        before, _, _ = block.partition("az role assignment delete")
        assert f"az lock delete --name {min(locks)} " in before
