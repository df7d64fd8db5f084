"""The log's vocabulary: what it lets through, and above all what it does not."""

import logging
import os
import select
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.agents import Agent
from shared.domain.callbacks import Rung
from shared.domain.dials import Dial
from shared.telemetry import VOCABULARY, LogTelemetry, quiet_sdk_logging, spoken
from shared.use_cases.end_call import End
from tests.fakes.house import House, after
from tests.rules.sources import ROOT


def said(event: str, **facts: str | float | bool) -> list[str]:
    lines: list[bytes] = []
    LogTelemetry(lines.append).emit(event, **facts)
    return [line.decode() for line in lines]


def test_a_line_is_level_event_and_facts() -> None:
    lines = said("dial_recorded", shared=False, test=True, notified=2, ms=12.345, emergency="bonadiruka")
    assert lines == ["INFO dial_recorded shared=false test=true notified=2 ms=12.3 emergency=bonadiruka\n"]
    assert said("callback_joined", rung=Rung.DESK) == ["INFO callback_joined rung=desk\n"]


@pytest.mark.parametrize(
    ("event", "level"), [("sweep", "INFO"), ("notice_retried", "WARNING"), ("callback_failed", "ERROR")]
)
def test_how_grave_an_event_is_belongs_to_the_vocabulary(event: str, level: str) -> None:
    assert said(event) == [f"{level} {event}\n"]


def test_undeclared_facts_are_left_out_and_undeclared_events_are_counted() -> None:
    assert said("sweep", due=1, agent="jane") == ["INFO sweep due=1\n"]
    assert said("gossip", about="jane") == ["ERROR undeclared event=gossip\n"]
    assert said("+12065550101") == ["ERROR undeclared event=invalid\n"]


@pytest.mark.parametrize("event", VOCABULARY)
def test_no_line_is_taken_for_the_hosts_own_or_longer_than_a_pipe_writes_at_once(event: str) -> None:
    """The host keeps lines that begin with `LanguageWorkerConsoleLog` for itself."""
    [line] = said(event, **dict.fromkeys(VOCABULARY[event].facts - {"event"}, "x" * 40))
    assert line.startswith(("INFO ", "WARNING ", "ERROR "))
    assert len(line) <= select.PIPE_BUF and line.count("\n") == 1


def printing(*, threads: int, lines: int, into: int) -> None:
    """Have many threads print, each its own number."""

    def spoken_by(thread: int) -> None:
        telemetry = LogTelemetry(partial(os.write, into))
        for line in range(lines):
            telemetry.emit("sweep", due=thread, ms=line)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(spoken_by, range(threads)))


def test_lines_of_many_threads_all_arrive_once_and_whole() -> None:
    """Into a pipe of the usual size, as the host reads it; far more than it holds."""
    reading, writing = os.pipe()
    with ThreadPoolExecutor(1) as host, os.fdopen(reading, "rb") as pipe:
        read = host.submit(pipe.read)
        printing(threads=16, lines=500, into=writing)
        os.close(writing)
        lines = read.result().decode().splitlines()
    assert sorted(lines) == sorted(f"INFO sweep due={thread} ms={line}" for thread in range(16) for line in range(500))


def run(program: str) -> subprocess.CompletedProcess[bytes]:
    imports = "import logging, os; from shared.telemetry import LogTelemetry"
    command = [sys.executable, "-c", f"{imports}; {program}"]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True)


def test_what_is_said_goes_to_standard_output_and_nowhere_else() -> None:
    ran = run("logging.basicConfig(level=0); LogTelemetry().emit('sweep', due=1)")
    assert (ran.stdout, ran.stderr) == (b"INFO sweep due=1\n", b"")


def test_nobody_who_reads_is_no_error() -> None:
    ran = run("os.close(1); LogTelemetry().emit('sweep')")
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    "personal",
    [
        "+12065550101",
        "12065550101",
        "a12065550101",
        "jane doe",
        "jane@example.com",
        "1 Main Street",
        "é",
        "",
        "x" * 41,
        "a\nb",
        12065550101,
        -12065550101,
        float("nan"),
        float("inf"),
        12065550101.0,
        None,
        ["lent"],
    ],
)
def test_what_could_be_personal_is_replaced(personal: object) -> None:
    assert spoken(personal) == "invalid"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("Unavailable", "unavailable"),
        ("CALLBACK_NUMBERS", "callback_numbers"),
        ("a.b-c", "a.b-c"),
        (0, "0"),
        (0.25, "0.2"),
    ],
)
def test_what_is_harmless_is_said(value: object, word: str) -> None:
    assert spoken(value) == word


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none() | st.binary()))
def test_it_never_raises(event: str, facts: dict[str, object]) -> None:
    facts.pop("event", None)
    facts.pop("self", None)
    LogTelemetry(lambda _line: None).emit(event, **facts)  # type: ignore[arg-type]


def test_the_sdks_are_quiet() -> None:
    quiet_sdk_logging()
    for name in ("azure.core.pipeline.policies.http_logging_policy", "urllib3", "urllib3.connectionpool"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


def test_every_line_about_an_emergency_has_its_word_and_no_two_emergencies_the_same() -> None:
    house = House()
    for name in ("ana", "ben"):
        house.add_agent(Agent(agent_id=name, acs_user_ids=(f"8:acs:example_{name}",), country="US"))
        house.dial(Dial(call_id=f"{name}/1", agent_id=name, dialled="911"))
        house.end(End(call_id=f"{name}/1", by_agent=False))
    ana = house.panel("ana").callback_number
    house.responder_calls(ana)
    house.wait(40)
    house.switchboard.hang_up()
    house.wait(20)
    for _ in range(3):
        house.clock.advance(after(hours=4))
        house.tick()
    said: dict[str, set[str]] = {}
    for event, facts in house.telemetry.events:
        if "emergency" in facts:
            said.setdefault(str(facts["emergency"]), set()).add(event)
    assert len(said) == 2 and all(spoken(word) == word for word in said)
    assert {"dial_recorded", "end_recorded", "notice_sent", "presence_held", "number_released"} <= set.intersection(
        *said.values()
    )
    assert sum({"callback_answered", "callback_rung", "callback_over"} <= events for events in said.values()) == 1
    lines = [event for event, facts in house.telemetry.events if "emergency" not in facts]
    of_no_emergency = {"sweep", "outbox", "outbox_sweep", "pool_low", "pool_exhausted", "setting_doubtful", "drill_age"}
    assert set(lines) <= of_no_emergency, lines


def test_a_redial_is_the_same_emergency_and_what_comes_after_the_lease_another() -> None:
    house = House()
    words: list[object] = []
    for number, pause in enumerate((1, 90, 300)):
        house.dial(Dial(call_id=f"ana/{number}", agent_id="ana", dialled="911"))
        house.end(End(call_id=f"ana/{number}", by_agent=True))
        words.append([facts for event, facts in house.telemetry.events if event == "dial_recorded"][-1]["emergency"])
        house.clock.advance(after(minutes=pause))
        house.tick()
    house.dial(Dial(call_id="ana/9", agent_id="ana", dialled="911"))
    words.append([facts for event, facts in house.telemetry.events if event == "dial_recorded"][-1]["emergency"])
    assert words[0] == words[1] == words[2] != words[3]
