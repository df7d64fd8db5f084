"""The workflows and azd's project: pinned, with the least rights, in the order that works, with every gate."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra import button, live, parameters
from shared.domain.drills import CLAIMED_FOR, FORGOTTEN_AFTER, GIVEN_UP_AFTER
from tests.rules.sources import ROOT

WORKFLOWS = {path.name: path.read_text("utf-8") for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
AZURE_YAML = (ROOT / "azure.yaml").read_text("utf-8")
OPERATIONS = (ROOT / "OPERATIONS.md").read_text("utf-8")
# What a job may do at most beside reading.
RIGHTS = {
    ("check.yml", "check"): set(),
    ("check.yml", "arm-ttk"): set(),
    ("check.yml", "what-if"): {"id-token: write"},
    ("release.yml", "tests"): set(),
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


def test_what_may_write_and_vouch_runs_no_test_and_waits_for_them() -> None:
    """The tests run what a hundred packages bring that are not deployed."""
    release = dict(jobs(WORKFLOWS["release.yml"]))
    assert ".ci/run" in release["tests"]
    assert "    needs: tests\n" in release["package"]
    assert ".ci/run" not in release["package"]


def test_a_package_is_deployed_that_the_release_of_its_tag_built() -> None:
    """`gh attestation verify` takes the proof of any workflow, branch and tag of the repository, unless it is told."""
    run = [line for each in scripts(WORKFLOWS["deploy.yml"]) for line in commands(each)]
    (verified,) = [line for line in run if line.lstrip().startswith("gh attestation verify")]
    assert f'--signer-workflow "$REPOSITORY/.github/workflows/{min(attesting())}"' in verified
    assert '--source-ref "refs/tags/$TAG"' in verified
    assert '--repo "$REPOSITORY"' in verified
    assert len(attesting()) == 1


def commands(script: str) -> list[str]:
    return re.sub(r"\\\n\s*", "", script).splitlines()


def attesting() -> list[str]:
    return [name for name, text in WORKFLOWS.items() if "actions/attest-build-provenance@" in text]


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


def test_a_deployment_that_waited_signs_in_anew() -> None:
    """An assertion of GitHub's lasts minutes; a gate waits half an hour, and what-if takes its time too.

    Azure CLI asks for another audience's token with the assertion of its sign-in: AADSTS700024, between gate and code.
    """
    steps = WORKFLOWS["deploy.yml"].split("\n      - ")
    gates = [number for number, step in enumerate(steps) if "infra/live.py idle" in step]
    assert len(gates) == 2
    for number in gates:
        assert steps[number - 1].startswith("uses: azure/login@")
        assert ("if: inputs.infrastructure" in steps[number]) == ("if: inputs.infrastructure" in steps[number - 1])


def test_a_package_is_attested_before_it_is_released() -> None:
    assert in_order(
        WORKFLOWS["release.yml"],
        ".ci/run",
        "make package",
        "attest-build-provenance",
        "infra/button.py",
        'git push "https://github.com/$REPOSITORY.git" "package-$TAG"',
        "gh release create",
    )


def test_a_pull_request_reads_no_setting() -> None:
    """Its own code runs with the identity that it is given: a setting may be a secret."""
    ((_, plan),) = [(job, part) for job, part in jobs(WORKFLOWS["check.yml"]) if job == "what-if"]
    assert "app_settings.py" not in plan
    assert "--validation-level ProviderNoRbac" in plan
    assert "head.repo.full_name == github.repository" in plan


def test_an_infrastructure_is_deployed_with_what_was_chosen_for_it() -> None:
    """Without it the templates' defaults would be deployed: another resource, another place of the state."""
    for name in ("check.yml", "deploy.yml"):
        text = WORKFLOWS[name]
        assert in_order(text, "VARIABLES: ${{ toJSON(vars) }}", "infra/parameters.py", "az deployment group what-if")
    deploy = WORKFLOWS["deploy.yml"]
    places = [match.start() for match in re.finditer("infra/live.py idle", deploy)]
    infrastructure, code = deploy.index('--name "platform-$TAG"'), deploy.index("Azure/functions-action@")
    # Before anything, and again before the code: the infrastructure takes minutes.
    assert any(place < infrastructure for place in places)
    assert any(infrastructure < place < code for place in places)


# azd ------------------------------------------------------------------------------------------------------------------


def test_azd_deploys_in_the_order_that_works() -> None:
    assert in_order(AZURE_YAML, "provision platform", "deploy --all", "provision events")
    assert in_order(
        AZURE_YAML, "name: platform", "app_settings.py read --azd", "app_settings.py forget --azd", "name: events"
    )
    # With layers, azd refuses a path of the whole.
    assert not re.search(r"^  (path|module):", AZURE_YAML, re.MULTILINE)


def test_azd_puts_right_what_was_changed_outside() -> None:
    """It leaves out a deployment that is the same as its last one, whatever became of the resources since."""
    for text in (AZURE_YAML, OPERATIONS):
        provisions = re.findall(r"provision (?:platform|events)(.*)", text)
        assert provisions and all(rest.startswith(" --no-state") for rest in provisions)


def test_an_azd_that_runs_no_hooks_of_layers_is_refused() -> None:
    [version] = re.findall(
        r"^requiredVersions:\n(?:  #.*\n)*  azd: \">= (\d+)\.(\d+)\.(\d+)\"", AZURE_YAML, re.MULTILINE
    )
    assert tuple(map(int, version)) >= (1, 31, 2)


def test_azd_ships_the_package_that_was_made() -> None:
    assert "make package" in AZURE_YAML
    assert "remoteBuild: false" in AZURE_YAML
    assert "host: function" in AZURE_YAML
    for module in re.findall(r"module: (\w+)", AZURE_YAML):
        assert (ROOT / "infra" / f"{module}.bicep").is_file()
        assert (ROOT / "infra" / f"{module}.bicepparam").is_file()
    for program in re.findall(r"(?:python3|\)\") (?:infra/)?(\w+\.py)", AZURE_YAML + "".join(WORKFLOWS.values())):
        assert (ROOT / "infra" / program).is_file()


def test_azds_hooks_run_where_the_systems_python_is_old(tmp_path: Path) -> None:
    """They are programs of Python 3.12 and newer; Debian 12 has 3.11 as python3, and pyenv or uv a newer one."""
    hooks = re.findall(r"^( *)run: '(.+\.py) .*'$", AZURE_YAML, re.MULTILINE)
    assert len(hooks) == len(re.findall(r"\w\.py\b", AZURE_YAML))
    (tmp_path / "python3").write_text("#!/bin/sh\necho 'SyntaxError: invalid syntax' >&2\nexit 1\n", "utf-8")
    (tmp_path / "python3").chmod(0o755)
    for indent, command in hooks:
        # Those of a layer run beside its templates.
        folder = ROOT / "infra" if len(indent) > len("    ") else ROOT
        done = subprocess.run(
            ["sh", "-c", f"{command} --help"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": sys.executable},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("usage: python infra/"), done.stderr


# The button ----------------------------------------------------------------------------------------------------------


def test_the_button_opens_form_and_template_of_one_tag() -> None:
    link = button.link("contoso/emergency-calling", "v1.2.0")
    assert link.startswith("https://portal.azure.com/#create/Microsoft.Template/uri/")
    template, _, form = link.partition("/uri/")[2].partition("/createUIDefinitionUri/")
    base = "https://raw.githubusercontent.com/contoso/emergency-calling/package-v1.2.0/packages/v1.2.0"
    assert urllib.parse.unquote(template) == f"{base}/azuredeploy.json"
    assert urllib.parse.unquote(form) == f"{base}/createUiDefinition.json"
    assert urllib.parse.unquote(button.events_link("contoso/emergency-calling", "v1.2.0")).endswith(
        f"{base}/events.deploy.json"
    )
    assert button.package("contoso/emergency-calling", "v1.2.0").endswith("/packages/v1.2.0/released-package.zip")
    assert link in button.notes("contoso/emergency-calling", "v1.2.0")


def test_the_form_behind_the_button_deploys_the_code_of_its_tag(tmp_path: Path) -> None:
    button.lay_out(tmp_path, "contoso/emergency-calling", "v1.2.0")
    kept = json.loads((ROOT / "infra" / button.FORM).read_text("utf-8"))
    laid_out = json.loads((tmp_path / button.FORM).read_text("utf-8"))

    def field(form: dict[str, Any]) -> dict[str, Any]:
        (found,) = [
            each for step in form["parameters"]["steps"] for each in step["elements"] if each["name"] == "packageUri"
        ]
        return dict(found)

    address = field(laid_out)["defaultValue"]
    assert address == button.package("contoso/emergency-calling", "v1.2.0")
    (rule,) = field(kept)["constraints"]["validations"]
    assert re.search(rule["regex"], address)
    # Nothing else of it is another one, and the templates are those of the tag.
    assert field(laid_out) == field(kept) | {"defaultValue": address}
    assert len(json.dumps(laid_out)) - len(json.dumps(kept)) < len(address) + 30
    for name in (button.TEMPLATE, button.EVENTS):
        assert (tmp_path / name).read_bytes() == (ROOT / "infra" / name).read_bytes()


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


def told(command: Command, app: App, **more: object) -> str:
    asked = {"agent": "agent-1", "wait_minutes": 2, "even_if_down": False} | more
    return command(app, app.pause, argparse.Namespace(**asked))


def test_a_well_app_passes_the_smoke_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCESS_TOKEN", raising=False)
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


@pytest.mark.parametrize(
    ("me", "word"),
    [
        (answer(200, '{"agent_id": null, "roles": ["EmergencyCalling.Admin"]}'), ""),
        (answer(200, '{"roles": []}'), ""),
        (REFUSED, "/api/me answers 401"),
        # The page of a sign-in in its place, as text and as a document of something else.
        (answer(200, "<html>", "text/html"), "sign-in does not work"),
        (answer(200, "{}"), "sign-in does not work"),
    ],
)
def test_the_smoke_test_signs_in_where_it_has_a_token(
    me: live.Answer, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCESS_TOKEN", "a.b.c")
    app = App(health=[WELL], call_automation_events=[REFUSED], me=[me])
    found = told(live.smoke, app)
    assert found == "" if not word else word in found
    assert app.asked[-1] == ("GET", "me", {"Authorization": "Bearer a.b.c"})
    said = capsys.readouterr().out
    assert ("sign-in works" in said) == (word == "")
    monkeypatch.delenv("ACCESS_TOKEN")
    assert told(live.smoke, App(health=[WELL], call_automation_events=[REFUSED])) == ""
    assert "not tried" in capsys.readouterr().out


def test_a_deployment_waits_for_an_emergency_to_end() -> None:
    app = App(emergencies=[answer(200, '[{"emergency": "1"}]'), answer(200, "[]")])
    assert told(live.idle, app) == ""
    assert app.waited_s > 0
    assert "in progress" in told(live.idle, App(emergencies=[answer(200, '{"emergencies": [1]}')]))
    assert "live board answers 403" in told(live.idle, App(emergencies=[answer(403)]))
    # What cannot be read is not taken for silence.
    assert "in progress" in told(live.idle, App(emergencies=[answer(200, '{"other": 1}')]))


@pytest.mark.parametrize("status", [0, 500, 503])
def test_one_can_go_back_from_a_version_that_is_down(status: int) -> None:
    """Its live board cannot be asked: without a way past that gate nobody could deploy the version before."""
    down = App(emergencies=[answer(status)])
    assert f"live board answers {status}" in told(live.idle, down)
    assert told(live.idle, down, even_if_down=True) == ""
    # It was asked more than once: a restart is not an app that is down.
    assert down.waited_s > 0
    restarted = App(emergencies=[answer(status), answer(200, '[{"emergency": "1"}]')])
    assert "in progress" in told(live.idle, restarted, even_if_down=True)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_no_app_that_is_down(status: int) -> None:
    assert f"answers {status}" in told(live.idle, App(emergencies=[answer(status)]), even_if_down=True)


STARTED = {
    "id": "1",
    "topic": "/subscriptions/s/providers/Microsoft.Communication/communicationServices/c",
    "subject": "call",
    "eventType": "Microsoft.Communication.CallStarted",
    "eventTime": "2026-11-26T03:00:00Z",
    "data": {"serverCallId": "x"},
    "dataVersion": "1.0",
    "metadataVersion": "1",
}
ENDED = {
    "id": "2",
    "specversion": "1.0",
    "type": "EmergencyCalling.CallEnded",
    "source": "/s",
    "data": {"call_id": "c"},
}
GIVEN_UP = {
    "deadLetterReason": "TimeToLiveExceeded",
    "deliveryAttempts": 30,
    "lastDeliveryOutcome": "NotFound",
    "lastHttpStatusCode": 404,
    "publishTime": "2026-11-26T03:00:01Z",
    "lastDeliveryAttemptTime": "2026-11-26T03:00:02Z",
}


def test_a_dead_letter_comes_to_the_function_that_it_was_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENT_GRID_KEY", "key-of-the-extension")
    letter = tmp_path / "letter.json"
    letter.write_text(json.dumps([STARTED | GIVEN_UP, ENDED | {"deadletterreason": "TimeToLiveExceeded"}]), "utf-8")
    sent: list[tuple[str, str, object]] = []

    def ask(method: str, path: str, headers: Mapping[str, str], body: object) -> live.Answer:
        assert method == "POST"
        # The host looks for a key in this header or in the address (its AuthenticationLevelHandler), and nowhere else.
        assert (headers["aeg-event-type"], headers["x-functions-key"]) == ("Notification", "key-of-the-extension")
        sent.append((path.rpartition("?")[0], path.rpartition("=")[2], body))
        return answer(202)

    assert live.replay(ask, lambda _: None, argparse.Namespace(file=letter)) == ""
    webhook = "/runtime/webhooks/EventGrid"
    assert sent == [(webhook, "call_started_event", [STARTED]), (webhook, "call_ended_event", [ENDED])]
    letter.write_text(json.dumps(STARTED | {"eventType": "Contoso.Other"}), "utf-8")
    assert "Contoso.Other" in live.replay(ask, lambda _: None, argparse.Namespace(file=letter))


def test_a_dead_letter_that_is_not_taken_is_told(tmp_path: Path) -> None:
    letter = tmp_path / "letter.json"
    letter.write_text(json.dumps(STARTED), "utf-8")
    refused = live.replay(lambda *_: answer(401), lambda _: None, argparse.Namespace(file=letter))
    assert refused == "call_started_event answers 401: is EVENT_GRID_KEY set?"


# The parameters of an environment -------------------------------------------------------------------------------------

CHOSEN = {
    "AZURE_ENV_NAME": "production",
    "AZURE_LOCATION": "eastus2",
    "ALERT_EMAILS": "desk@example.com",
    "EXISTING_COMMUNICATION_SERVICE_ID": "none",
}


def test_what_was_chosen_for_an_environment_is_handed_over_and_nothing_else() -> None:
    given = CHOSEN | {"USE_COSMOS": "true", "CALLBACK_NUMBERS": "+14255550101;\n+14255550102", "PATH": "/tmp", "A": "b"}
    text = parameters.environment_file(given, "END")
    read = dict(re.findall(r"^([A-Z0-9_]+)<<END\n(.*?)\nEND$", text, re.MULTILINE | re.DOTALL))
    wanted = {name: value for name, value in given.items() if name not in ("PATH", "A")}
    assert read == wanted | {"EXISTING_COMMUNICATION_SERVICE_ID": ""}


@pytest.mark.parametrize("name", parameters.NEEDED)
def test_nothing_is_deployed_by_default_for_what_somebody_chose(name: str) -> None:
    for value in (None, " "):
        given = {key: each for key, each in CHOSEN.items() if key != name} | ({} if value is None else {name: value})
        with pytest.raises(ValueError, match=name):
            parameters.environment_file(given, "END")


def test_the_settings_of_the_app_are_no_variables() -> None:
    assert "CURRENT_SETTINGS" not in parameters.names()
    assert {"USE_COSMOS", "VIRTUAL_NETWORK", "CALLBACK_NUMBERS", "AUTH_CLIENT_ID"} <= set(parameters.names())


def test_a_drill_that_fails_fails_the_deployment() -> None:
    started = answer(202, '{"drill_id": "1"}')

    def ended(state: str) -> live.Answer:
        return answer(200, f'{{"state": "{state}", "steps": [{{"step": "lease", "state": "passed", "ms": 1}}]}}')

    assert told(live.drill, App(drills=[started], **{"1": [ended("running"), ended("passed")]})) == ""
    assert told(live.drill, App(drills=[started], **{"1": [ended("overtaken")]})) == ""
    assert "failed" in told(live.drill, App(drills=[started], **{"1": [ended("failed")]}))
    assert "not started" in told(live.drill, App(drills=[answer(409)]))


def test_a_drill_is_waited_for_as_long_as_one_may_take() -> None:
    running = App(drills=[answer(202, '{"drill_id": "1"}')], **{"1": [answer(200, '{"state": "running"}')]})
    assert "does not end" in told(live.drill, running)
    # It is given up while somebody has it, whose process dies, and so does the one that cleans up.
    longest = GIVEN_UP_AFTER + 2 * CLAIMED_FOR
    assert longest <= timedelta(seconds=running.waited_s) < FORGOTTEN_AFTER


# The guides -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guide", "section"), [("docs/administration.md", "## The portal's steps"), ("OPERATIONS.md", "## Deploy")]
)
def test_a_first_deployment_lets_people_sign_in_before_its_drill(guide: str, section: str) -> None:
    """The address is known only afterwards: without it in the registration nobody's sign-in comes back."""
    steps = (ROOT / guide).read_text("utf-8").partition(f"{section}\n")[2].partition("\n## ")[0]
    assert in_order(steps, "entra.py register --address", "--identity-object-id", "infra/live.py smoke", "a drill")
