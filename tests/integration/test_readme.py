"""The two commands of the README: they work, they show what it says, and they leave nothing running."""

import os
import re
import signal
import sys
import uuid
from pathlib import Path

import pytest

from tests.local import demo
from tests.local.acs import poll
from tests.local.processes import start
from tests.rules.sources import ROOT

pytestmark = pytest.mark.process

MARK = "RUN_OF_A_TEST"
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DEADLINE_S = 60


def shape(text: str) -> str:
    """A text without what differs from run to run: digits, months, halves of the day, where lines were broken."""
    return " ".join(re.sub(r"\b[AP]M\b", "AM", re.sub(r"\d+", "0", re.sub(MONTHS, "month", text))).split())


def block_after(command: str) -> str:
    """What the README shows as the output of a command."""
    _, _, rest = (ROOT / "README.md").read_text().partition(f"```\n{command}\n```\n\n```text\n")
    return rest.partition("\n```\n")[0]


def marked() -> tuple[str, dict[str, str]]:
    """A mark that all processes of one run inherit, and the environment that holds it."""
    mark = uuid.uuid4().hex
    return mark, {**os.environ, MARK: mark}


def left_running(mark: str) -> list[str]:
    """The processes that carry the mark; where the system does not show environments, none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment:
            found.append(command)
    return found


def test_the_demo_shows_what_the_readme_says_and_leaves_nothing_running() -> None:
    mark, environment = marked()
    command = [sys.executable, "-m", "tests.local.demo"]
    with start(command, name="the demo", environment=environment, cwd=ROOT) as playing:
        assert playing.wait(DEADLINE_S) == 0, playing.output()
        shown = playing.output()
    assert shape(shown) == shape(block_after("make demo"))
    assert "\x1b" not in shown, "no colour where nobody sees it"
    poll(lambda: not left_running(mark) or None, what="an end of all processes")


def test_the_demo_explains_itself() -> None:
    with start([sys.executable, "-m", "tests.local.demo", "--help"], name="the demo", cwd=ROOT) as playing:
        assert playing.wait(DEADLINE_S) == 0
        assert "make demo" in playing.output()


def test_the_demo_says_what_is_not_as_it_must_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        demo.require(False, "the number must be Dana's alone")

    assert demo.attempt(broken, tmp_path) == 1
    complaint = capsys.readouterr().err
    assert "the number must be Dana's alone" in complaint and str(tmp_path) in complaint


def test_run_says_where_everything_is_and_its_examples_play_the_main_job(tmp_path: Path) -> None:
    mark, environment = marked()
    # As a shell does for what it runs in the background: it ends on the signal all the same.
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "tests.local.run", "--port", "0"]
    with start(command, name="make run", environment=environment, cwd=ROOT) as running:
        running.wait_until(lambda: "/end" in running.output(), what="examples", deadline_s=DEADLINE_S)
        [line] = [line for line in running.output().splitlines() if line.startswith("ready:")]
        assert shape(line) == shape(block_after("make run"))
        play([line.strip() for line in running.output().splitlines() if line.strip().startswith("curl ")], tmp_path)
        running.send_signal(signal.SIGINT)
        assert running.wait(DEADLINE_S) == 0
        assert "Traceback" not in running.output()
    poll(lambda: not left_running(mark) or None, what="an end of all processes")


def play(examples: list[str], folder: Path) -> None:
    """The main job, by hand."""
    dial, panel, presence, emails, ring, calls, end = examples
    number = re.search(r'"callback_number":"(\+\d+)"', said(dial, folder))
    assert number is not None
    assert '"mode":"emergency"' in said(panel, folder)
    poll(lambda: "do_not_disturb" in said(presence, folder) or None, what="do not disturb")
    poll(lambda: number[1] in said(emails, folder) or None, what="the e-mail")
    said(ring.replace("+1...", number[1]), folder)
    poll(lambda: '"connected"' in said(calls, folder) or None, what="the callback")
    assert '"known":true' in said(end, folder)


def said(example: str, folder: Path) -> str:
    """What an example prints, run by a shell as a reader would."""
    with start(["sh", "-c", example], name="an example", cwd=folder) as shell:
        assert shell.wait(DEADLINE_S) == 0, shell.output()
        return shell.output()
