"""`make infra`: what only the compiler and the scanner can tell. `--write` renews what is kept instead.

Built, linted, formatted; the compiled templates are those that are kept; the snapshots of all parameter sets are those
that are kept; checkov finds nothing that is not explained.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tests.infra import by_hand, scan
from tests.infra.compiler import (
    COMPILED,
    INFRA,
    Compiler,
    InfraError,
    drift,
    parameter_sets,
    wanted_version,
    written,
)


def main() -> None:
    """Check everything; end with status 1 and a word where something is wrong."""
    named = os.environ.get("BICEP")
    if named == "skip":
        print("make infra: left out, as BICEP=skip says")
        return
    write = "--write" in sys.argv[1:]
    try:
        compiler = Compiler(named)
        if compiler.version() != wanted_version():
            print(f"note: bicep {compiler.version()}; the templates are compiled with {wanted_version()}")
        faults = [fault for step in STEPS for fault in _told(step, compiler, write=write)]
        if not faults:
            scan.main()
            print("checked by checkov")
    except InfraError as error:
        sys.exit(str(error))
    if faults:
        sys.exit("\n".join(faults))


def _told(step: Callable[[Compiler, bool], list[str]], compiler: Compiler, *, write: bool) -> list[str]:
    faults = step(compiler, write)
    print(f"{step.__name__.strip('_')}: {'ok' if not faults else f'{len(faults)} at fault'}", flush=True)
    return faults


def _formatted(compiler: Compiler, write: bool) -> list[str]:
    if write:
        compiler.run("format", "--pattern", "**/*.bicep", cwd=INFRA)
    return [f"{file}: not as the formatter has it (make infra-write)" for file in compiler.unformatted()]


def _built(compiler: Compiler, write: bool) -> list[str]:
    faults = []
    for source, kept in COMPILED.items():
        now = written(compiler.compiled(INFRA / source))
        if write:
            (INFRA / kept).write_text(now, "utf-8")
        before = (INFRA / kept).read_text("utf-8") if (INFRA / kept).is_file() else ""
        faults += (
            [f"{kept} is not what {source} makes (make infra-write):", *drift(before, now)] if before != now else []
        )
    return faults


def _linted(compiler: Compiler, write: bool) -> list[str]:
    return [told for source in COMPILED for told in compiler.diagnostics(INFRA / source)]


def _parameters(compiler: Compiler, write: bool) -> list[str]:
    runs = {name: compiler.run("build-params", str(INFRA / name), "--stdout") for name in PARAMETER_FILES}
    return [f"{name}: {done.stderr}" for name, done in runs.items() if done.returncode or done.stderr.strip()]


def _snapshots(compiler: Compiler, write: bool) -> list[str]:
    said = {parameters: compiler.snapshot(parameters, write=write) for parameters in parameter_sets()}
    return [
        f"{parameters.name}: the snapshot differs (make infra-write):\n{text}"
        for parameters, text in said.items()
        if text
    ]


def _settings_kept(compiler: Compiler, write: bool) -> list[str]:
    return by_hand.faults(compiler)


PARAMETER_FILES = ("main.bicepparam", "events.bicepparam")
STEPS = (_formatted, _linted, _built, _parameters, _snapshots, _settings_kept)

if __name__ == "__main__":
    main()
