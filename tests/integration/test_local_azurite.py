"""Azurite as the tests and the local stack run it, and the Python that the Makefile finds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from tests.local import azurite
from tests.local.acs import poll
from tests.local.processes import ChildError, is_listening, start

pytestmark = pytest.mark.process

REPOSITORY = Path(__file__).resolve().parents[2]
FIND_PYTHON = REPOSITORY / "tests" / "local" / "find_python.sh"


class TestAzurite:
    def test_tables_on_disk_survive_a_restart_on_the_same_port(self, tmp_path: Path) -> None:
        with azurite.running(services=["table"], folder=tmp_path) as storage:
            ports = list(storage.ports.values())
            with TableServiceClient.from_connection_string(storage.connection_string) as service:
                service.create_table("kept")
        assert not is_listening(ports[0])
        with (
            azurite.running(services=["table"], folder=tmp_path, ports=ports) as storage,
            TableServiceClient.from_connection_string(storage.connection_string) as service,
        ):
            assert [table.name for table in service.list_tables()] == ["kept"]

    def test_it_ends_with_a_killed_parent(self) -> None:
        program = (
            "import time; from tests.local import azurite\n"
            "with azurite.running() as storage:\n"
            "    print(*storage.ports.values(), flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
            assert parent.stdout is not None
            ports = [int(port) for port in parent.stdout.readline().split()]
            assert [is_listening(port) for port in ports] == [True] * 3
            parent.kill()
        poll(lambda: not any(is_listening(port) for port in ports))


class TestChildren:
    def test_one_that_ends_early_shows_its_last_words(self) -> None:
        with (
            start([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"], name="it") as child,
            pytest.raises(ChildError, match=r"(?s)it: ended with status 3 before ready.*no such thing"),
        ):
            child.wait_until(lambda: False, what="ready")

    def test_one_that_ignores_the_request_to_end_is_ended(self) -> None:
        deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('up', flush=True); time.sleep(60)"
        with start([sys.executable, "-c", deaf], name="it") as child:
            child.wait_until(lambda: "up" in child.output(), what="up")
            child.stop(deadline_s=0.1)
            assert child.returncode == -9


class TestFindPython:
    def found(self, path: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": f"{path}:/usr/bin:/bin", "HOME": "/nowhere", **environment}
        return subprocess.run(["sh", FIND_PYTHON], env=settings, capture_output=True, text=True, check=False)

    def test_a_shim_that_fails_does_not_fool_it(self, tmp_path: Path) -> None:
        shims, version = tmp_path / "shims", tmp_path / "pyenv" / "versions" / "3.99.0" / "bin"
        for folder in (shims, version):
            folder.mkdir(parents=True)
        for name in ("python", "python3", "python3.13"):
            (shims / name).write_text("#!/bin/sh\nexit 127\n")
            (shims / name).chmod(0o755)
        (version / "python3").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
        answer = self.found(str(shims), PYENV_ROOT=str(tmp_path / "pyenv"))
        assert answer.returncode == 0
        assert str(shims) not in answer.stdout
        assert os.access(answer.stdout.strip(), os.X_OK)

    def test_a_named_one_that_will_not_do_is_refused(self) -> None:
        answer = self.found("", PYTHON="/bin/true-not-there")
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "PYTHON is set to" in answer.stderr

    def without_python(self, tmp_path: Path, *programs: tuple[str, str]) -> subprocess.CompletedProcess[str]:
        """The search on a machine that has only what a POSIX shell needs, and these programs."""
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("sh", "sort", "head", "cut", "dirname", "mkdir", "cat", "env"):
            (folder / name).symlink_to(str(shutil.which(name)))
        for name, text in programs:
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        settings = {"PATH": str(folder), "HOME": "/nowhere", "PYTHON_CACHE": str(tmp_path / "cache")}
        return subprocess.run([folder / "sh", FIND_PYTHON], env=settings, capture_output=True, text=True, check=False)

    def test_where_no_python_will_do_uv_brings_one(self, tmp_path: Path) -> None:
        managed = 'case "$*" in *managed*) echo /brought/by/uv ;; *) exit 1 ;; esac'
        uv = f'case "$2" in install) exit 0 ;; find) {managed} ;; esac'
        answer = self.without_python(tmp_path, ("uv", uv))
        assert (answer.returncode, answer.stdout.strip()) == (0, "/brought/by/uv")

    def test_uv_itself_is_installed_into_the_cache(self, tmp_path: Path) -> None:
        brings = tmp_path / "cache" / "uv" / "bin"
        brought = 'case "$2" in find) echo /brought/by/uv ;; esac'
        venv = f"mkdir -p {brings}; for name in uv python; do echo '#!/bin/sh' > {brings}/$name; "
        venv += f"echo '{brought}' >> {brings}/$name; /bin/chmod +x {brings}/$name; done"
        answer = self.without_python(tmp_path, ("python3", f'case "$2" in venv) {venv} ;; *) exit 1 ;; esac'))
        assert (answer.returncode, answer.stdout.strip()) == (0, "/brought/by/uv"), answer.stderr
        assert "installing uv" in answer.stderr

    def test_where_uv_cannot_either_it_says_what_to_install(self, tmp_path: Path) -> None:
        answer = self.without_python(tmp_path, ("uv", "exit 1"))
        assert (answer.returncode, answer.stdout) == (1, "")
        assert "Install one" in answer.stderr
