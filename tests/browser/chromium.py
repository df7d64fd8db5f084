"""Finding the browser: Debian's Chromium, or any other of its kind that is installed."""

import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "microsoft-edge")
HOW_TO_MEND = "install it (apt-get install chromium), name one by CHROMIUM, or leave these tests out with BROWSER=skip"
INSTALL_DEADLINE_S = 600


class NoBrowserError(RuntimeError):
    """There is none and none can be installed; the message says how to mend it."""


def find() -> str:
    """The browser's path, installing Debian's package where this user may; raises `NoBrowserError`."""
    return _found() or _installed()


def _found() -> str | None:
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


def _installed() -> str:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoBrowserError(f"no Chromium: {HOW_TO_MEND}")
    print("installing Chromium (once)", flush=True)
    for command in (("apt-get", "update", "-qq"), ("apt-get", "install", "-y", "-qq", "chromium")):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        try:
            subprocess.run(command, check=True, env=environment, capture_output=True, timeout=INSTALL_DEADLINE_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise NoBrowserError(f"{' '.join(command)} failed: {HOW_TO_MEND}") from error
    path = _found()
    if path is None:
        raise NoBrowserError(f"no Chromium after its installation: {HOW_TO_MEND}")
    return path
