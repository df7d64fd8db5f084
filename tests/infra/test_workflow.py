"""The workflows and azd's project: pinned, with the least rights, in the order that works, with every gate."""

from __future__ import annotations

import argparse
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

import pytest

from infra import button, live
from tests.infra.compiler import ROOT

WORKFLOWS = {path.name: path.read_text("utf-8") for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
AZURE_YAML = (ROOT / "azure.yaml").read_text("utf-8")
# What a job may do at most beside reading.
RIGHTS = {
    ("check.yml", "check"): set(),
    ("check.yml", "arm-ttk"): set(),
    ("check.yml", "what-if"): {"id-token: write"},
    ("release.yml", "package"): {"contents: write", "id-token: write", "attestations: write"},
    ("deploy.yml", "deploy"): {"id-token: write"},
}


def jobs(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of each job."""
    parts = re.split(r"^  ([\w-]+):$", text.partition("\njobs:\n")[2], flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def scripts(text: str) -> Iterator[str]:
    """What is run by a shell."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = re.match(r"(\s*)(?:- )?run: ?(.*)", line)
        if found:
            indent = len(found[1]) + (2 if line.lstrip().startswith("- ") else 0)
            block = []
            for following in lines[number + 1 :]:
                if following.strip() and len(following) - len(following.lstrip()) <= indent:
                    break
                block.append(following)
            yield found[2] if found[2] != "|" else "\n".join(block)


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_every_action_is_pinned_by_its_commit() -> None:
    used = [line for text in WORKFLOWS.values() for line in re.findall(r"uses: (.+)", text)]
    assert len(used) >= 8
    for line in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[\d.]+", line), line
    versions: dict[str, set[str]] = {}
    for line in used:
        versions.setdefault(line.split("@")[0].lower(), set()).add(line)
    assert all(len(each) == 1 for each in versions.values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_job_has_the_least_rights(name: str) -> None:
    text = WORKFLOWS[name]
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text
    for job, part in jobs(text):
        (block,) = re.findall(r"^    permissions:\n((?:      .+\n)+)", part, re.MULTILINE)
        given = {line.strip() for line in block.splitlines()}
        assert {each for each in given if each.endswith("write")} == RIGHTS[name, job]
        assert "timeout-minutes:" in part


def test_every_workflow_is_known() -> None:
    assert {(name, job) for name, text in WORKFLOWS.items() for job, _ in jobs(text)} == set(RIGHTS)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_from_outside_becomes_a_command(name: str) -> None:
    for script in scripts(WORKFLOWS[name]):
        assert "${{" not in script
    assert len(list(scripts(WORKFLOWS[name]))) == len(re.findall(r"^\s*(?:- )?run:", WORKFLOWS[name], re.MULTILINE))
    assert WORKFLOWS[name].count("actions/checkout@") == WORKFLOWS[name].count("persist-credentials: false")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nobody_signs_in_with_a_secret(name: str) -> None:
    assert "secrets." not in WORKFLOWS[name]
    assert "publish-profile" not in WORKFLOWS[name]
    for forbidden in ("slot-name", "enable-oryx-build", "scm-do-build-during-deployment"):
        assert forbidden not in WORKFLOWS[name]


def test_what_is_checked_here_is_checked_there() -> None:
    assert ".ci/run" in WORKFLOWS["check.yml"]
    assert ".ci/run" in WORKFLOWS["release.yml"]
    for text in (WORKFLOWS["check.yml"], WORKFLOWS["release.yml"]):
        assert 'az bicep install --version "v$(cat infra/bicep.version)"' in text


def test_a_deployment_passes_its_gates_first_and_is_tried_afterwards() -> None:
    assert in_order(
        WORKFLOWS["deploy.yml"],
        "gh attestation verify",
        "infra/app_settings.py gate",
        "infra/live.py idle",
        'az deployment group create --resource-group "$RESOURCE_GROUP" --name "platform-',
        "Azure/functions-action@",
        "infra/events.bicepparam",
        "infra/live.py smoke",
        "infra/live.py drill",
    )
    assert "environment: production" in WORKFLOWS["deploy.yml"]
    assert "cancel-in-progress: false" in WORKFLOWS["deploy.yml"]
    assert "CURRENT_SETTINGS" in WORKFLOWS["deploy.yml"]


def test_a_package_is_attested_before_it_is_released() -> None:
    assert in_order(
        WORKFLOWS["release.yml"],
        ".ci/run",
        "make package",
        "attest-build-provenance",
        "infra/button.py",
        "gh release create",
        "packages/$TAG",
    )


# azd ------------------------------------------------------------------------------------------------------------------


def test_azd_deploys_in_the_order_that_works() -> None:
    assert in_order(AZURE_YAML, "provision platform", "deploy --all", "provision events")
    assert in_order(AZURE_YAML, "name: platform", "app_settings.py read --azd", "name: events")
    # With layers, azd refuses a path of the whole.
    assert not re.search(r"^  (path|module):", AZURE_YAML, re.MULTILINE)


def test_azd_ships_the_package_that_was_made() -> None:
    assert "make package" in AZURE_YAML
    assert "remoteBuild: false" in AZURE_YAML
    assert "host: function" in AZURE_YAML
    for module in re.findall(r"module: (\w+)", AZURE_YAML):
        assert (ROOT / "infra" / f"{module}.bicep").is_file()
        assert (ROOT / "infra" / f"{module}.bicepparam").is_file()
    for program in re.findall(r"python3 (?:infra/)?(\w+\.py)", AZURE_YAML + "".join(WORKFLOWS.values())):
        assert (ROOT / "infra" / program).is_file()


# The button ----------------------------------------------------------------------------------------------------------


def test_the_button_opens_form_and_template_of_one_tag() -> None:
    link = button.link("contoso/emergency-calling", "v1.2.0")
    assert link.startswith("https://portal.azure.com/#create/Microsoft.Template/uri/")
    template, _, form = link.partition("/uri/")[2].partition("/createUIDefinitionUri/")
    base = "https://raw.githubusercontent.com/contoso/emergency-calling/v1.2.0/infra"
    assert urllib.parse.unquote(template) == f"{base}/azuredeploy.json"
    assert urllib.parse.unquote(form) == f"{base}/createUiDefinition.json"
    assert urllib.parse.unquote(button.events_link("contoso/emergency-calling", "v1.2.0")).endswith(
        f"{base}/events.deploy.json"
    )
    assert button.package("contoso/emergency-calling", "v1.2.0").endswith("/packages/v1.2.0/released-package.zip")
    assert link in button.notes("contoso/emergency-calling", "v1.2.0")


@pytest.mark.parametrize(
    ("repository", "tag"), [("contoso", "v1.2.0"), ("a/b", "main"), ("a/b/c", "v1.0.0"), ("a/b", "1.0.0")]
)
def test_a_button_without_a_tag_is_none(repository: str, tag: str) -> None:
    with pytest.raises(ValueError, match="OWNER/NAME"):
        button.notes(repository, tag)


# What is asked of a deployed app --------------------------------------------------------------------------------------


class App:
    """Answers in turn; the last one again and again."""

    def __init__(self, **answers: list[live.Answer]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.waited_s = 0.0

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: object) -> live.Answer:
        self.asked.append((method, path, headers))
        left = self.answers[path.rpartition("/")[2].replace("-", "_")]
        return left.pop(0) if len(left) > 1 else left[0]

    def pause(self, seconds: float) -> None:
        self.waited_s += seconds


def answer(status: int, body: str = "{}", content_type: str = "application/json") -> live.Answer:
    return live.Answer(status, content_type, body)


WELL = answer(200, '{"settings_valid": true}')
REFUSED = answer(401, "{}", live.PROBLEM)
type Command = Callable[[live.Ask, Callable[[float], None], argparse.Namespace], str]


def told(command: Command, app: App) -> str:
    return command(app, app.pause, argparse.Namespace(agent="agent-1", wait_minutes=2))


def test_a_well_app_passes_the_smoke_test() -> None:
    app = App(health=[answer(503), WELL], call_automation_events=[REFUSED])
    assert told(live.smoke, app) == ""
    token = app.asked[-1][2]["Authorization"].removeprefix("Bearer ")
    assert token.count(".") == 2


@pytest.mark.parametrize(
    ("health", "events", "word"),
    [
        (answer(503), REFUSED, "health answers 503"),
        (answer(200, '{"settings_valid": false}'), REFUSED, "setting is faulty"),
        # App Service's own refusal, and a door that is open.
        (WELL, answer(401, "", "text/html"), "sign-in answers in its place"),
        (WELL, answer(200), "do not reach the app"),
    ],
)
def test_an_app_that_is_not_well_fails_the_smoke_test(health: live.Answer, events: live.Answer, word: str) -> None:
    assert word in told(live.smoke, App(health=[health], call_automation_events=[events]))


def test_a_deployment_waits_for_an_emergency_to_end() -> None:
    app = App(emergencies=[answer(200, '[{"emergency": "1"}]'), answer(200, "[]")])
    assert told(live.idle, app) == ""
    assert app.waited_s > 0
    assert "in progress" in told(live.idle, App(emergencies=[answer(200, '{"emergencies": [1]}')]))
    assert "live board answers 403" in told(live.idle, App(emergencies=[answer(403)]))
    # What cannot be read is not taken for silence.
    assert "in progress" in told(live.idle, App(emergencies=[answer(200, '{"other": 1}')]))


def test_a_drill_that_fails_fails_the_deployment() -> None:
    started = answer(202, '{"drill_id": "1"}')

    def ended(state: str) -> live.Answer:
        return answer(200, f'{{"state": "{state}", "steps": [{{"step": "lease", "state": "passed", "ms": 1}}]}}')

    assert told(live.drill, App(drills=[started], **{"1": [ended("running"), ended("passed")]})) == ""
    assert told(live.drill, App(drills=[started], **{"1": [ended("overtaken")]})) == ""
    assert "failed" in told(live.drill, App(drills=[started], **{"1": [ended("failed")]}))
    assert "not started" in told(live.drill, App(drills=[answer(409)]))
