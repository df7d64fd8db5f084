#!/bin/sh
# Prints a Python that can carry this project: CPython 3.13 or newer, able to make virtual environments.
# PYTHON in the environment decides by itself; else PATH, pyenv's and uv's Pythons are tried, the newest first. Where none will
# do, uv brings one into .cache: the uv of this machine, else one that is installed into .cache too.
set -u

cache=${PYTHON_CACHE:-$(cd "$(dirname "$0")/../.." && pwd)/.cache}

# Inside a virtual environment it is the Python underneath that counts: .venv may be on PATH, and be remade.
# A shim of pyenv is on PATH even where no such version is chosen, and then fails: only running it tells.
# 3.13 and 3.14 come before newer ones, for which the pinned packages may have no wheels yet.
probe='
import ensurepip, sys, sysconfig, venv
version = sys.version_info
fit = version >= (3, 13) and version.releaselevel == "final" and sys.implementation.name == "cpython"
if not fit or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
known = version < (3, 15)
print(f"{known:d} {version[0]:03d} {version[1]:03d} {version[2]:03d} {sys._base_executable}")
'

candidates() {
    old_ifs=$IFS
    IFS=:
    for folder in $PATH; do
        for python in "$folder"/python3 "$folder"/python3.1[3-9] "$folder"/python; do echo "$python"; done
    done
    IFS=$old_ifs
    for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do echo "$python"; done
    for python in "$cache"/python/*/bin/python3; do echo "$python"; done
    if command -v uv >/dev/null 2>&1; then
        uv python find --no-project '>=3.13' 2>/dev/null
    fi
    true
}

if [ -n "${PYTHON:-}" ]; then
    if "$PYTHON" -c "$probe" >/dev/null 2>&1; then
        command -v "$PYTHON"
        exit 0
    fi
    echo "PYTHON is set to $PYTHON, which is no CPython 3.13 or newer with the venv module." >&2
    exit 1
fi

found=$(
    candidates | while IFS= read -r python; do
        if [ -x "$python" ]; then "$python" -c "$probe" 2>/dev/null </dev/null; fi
    done | sort -r | head -n 1 | cut -d ' ' -f 5-
)

uv_found() {
    if command -v uv; then return; fi
    if [ ! -x "$cache/uv/bin/uv" ]; then
        echo "no Python 3.13 or newer was found; installing uv into .cache to get one" >&2
        mkdir -p "$cache"
        { python3 -m venv "$cache/uv" && "$cache/uv/bin/python" -m pip install --quiet uv; } >&2 2>&1 ||
            { curl -LsSf https://astral.sh/uv/install.sh |
                env UV_INSTALL_DIR="$cache/uv/bin" UV_NO_MODIFY_PATH=1 sh; } >&2 2>&1
    fi
    if [ -x "$cache/uv/bin/uv" ]; then echo "$cache/uv/bin/uv"; fi
}

brought_by_uv() {
    uv=$(uv_found)
    if [ -z "$uv" ]; then return; fi
    export UV_PYTHON_INSTALL_DIR="$cache/python"
    "$uv" python install --quiet 3.13 >&2 || return
    "$uv" python find --no-project --managed-python 3.13 2>/dev/null
}

if [ -z "$found" ]; then
    found=$(brought_by_uv)
fi
if [ -z "$found" ]; then
    cat >&2 <<'MESSAGE'
This needs CPython 3.13 or newer with the venv module, none was found on PATH, under pyenv or known to uv,
and uv could not bring one.
Install one, for example with `uv python install 3.13` or `pyenv install 3.13`, or name one: make PYTHON=/path/to/python3.13
MESSAGE
    exit 1
fi
echo "$found"
