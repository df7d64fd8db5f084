"""Azurite, the emulator of Azure storage, as a child process of a test or of the local stack.

    with azurite.running() as storage:
        client = TableServiceClient.from_connection_string(storage.connection_string)

`python -m tests.local.azurite` runs it in the foreground and prints its connection string; with `--install` it only
installs what it needs.
"""

from __future__ import annotations

import argparse
import functools
import http.client
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.local import node_packages
from tests.local.processes import Child, ChildError, end_on_signals, free_ports, start

ACCOUNT_NAME = "devstoreaccount1"
# The emulator's only account; its key is published in the emulator's documentation and protects nothing.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
ALL_SERVICES = ("table", "blob", "queue")
ENTRY_POINTS = {"table": "table/main.js", "blob": "blob/main.js", "queue": "queue/main.js"}
# Of the services in that order, as `UseDevelopmentStorage=true` means them.
USUAL_PORTS = (10002, 10000, 10001)
START_ATTEMPTS = 3
# Idle connections of a quiet test must not be cut by the server: a client cannot tell that from an outage.
KEEP_ALIVE_S = 120


@dataclass(frozen=True)
class Azurite:
    """A running Azurite."""

    ports: dict[str, int]
    """The loopback port of each service that was asked for."""
    child: Child
    """Its process, for tests that stop, freeze or kill the storage."""
    ca_file: str | None = None
    """Whom to trust, where it serves over TLS."""

    @property
    def connection_string(self) -> str:
        """What the storage clients take."""
        endpoints = "".join(f"{name.capitalize()}Endpoint={self.url(name)};" for name in self.ports)
        scheme = "https" if self.ca_file else "http"
        return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT_NAME};AccountKey={ACCOUNT_KEY};{endpoints}"

    def url(self, service: str = "table") -> str:
        """The address of one of its services, with the account."""
        return f"{'https' if self.ca_file else 'http'}://127.0.0.1:{self.ports[service]}/{ACCOUNT_NAME}"


@contextmanager
def running(
    *,
    services: Sequence[str] = ALL_SERVICES,
    folder: Path | None = None,
    ports: Sequence[int] = (),
    identity: bool = False,
) -> Iterator[Azurite]:
    """Run Azurite until the end of the block.

    Args:
        services: of `table`, `blob` and `queue`, one or all three.
        folder: keeps the data on disk there; None keeps it in memory.
        ports: of the services, in their order; empty takes free ones. Give them to start again after a stop.
        identity: takes tokens of identities too, which needs TLS: `ca_file` names whom to trust.

    Raises:
        ChildError: it does not start; the message holds its output.
        node_packages.InstallError: Node or Azurite is missing and cannot be installed.
    """
    node = node_packages.find_node()
    modules = node_packages.node_modules(node)
    with tempfile.TemporaryDirectory(prefix="azurite-") as scratch:
        entry_point = ENTRY_POINTS[services[0]] if len(services) == 1 else "azurite.js"
        command = [str(node.node), str(modules / "azurite" / "dist" / "src" / entry_point)]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        command += ["--inMemoryPersistence"] if folder is None else ["--location", str(folder)]
        ca_file = _with_tls(command, Path(scratch)) if identity else None
        storage = _started(command, services, ports, Path(scratch), ca_file)
        with storage.child:
            yield storage


def _with_tls(command: list[str], scratch: Path) -> str:
    """Let the command serve over TLS and look at tokens; gives the file of the authority that was made for it."""
    authority = trustme.CA()
    certificate, key, ca_file = scratch / "certificate.pem", scratch / "key.pem", scratch / "ca.pem"
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca_file))
    command += ["--oauth", "basic", "--cert", str(certificate), "--key", str(key)]
    return str(ca_file)


def _started(
    command: list[str], services: Sequence[str], ports: Sequence[int], scratch: Path, ca_file: str | None
) -> Azurite:
    """Start it, again on other ports when somebody was faster to take the ones that were free a moment ago."""
    attempts = 1 if ports else START_ATTEMPTS
    for attempt in range(1, attempts + 1):
        chosen = dict(zip(services, ports or free_ports(len(services)), strict=True))
        arguments = [
            argument
            for name, port in chosen.items()
            for argument in (f"--{name}Port", str(port), f"--{name}KeepAliveTimeout", str(KEEP_ALIVE_S))
        ]
        # On the other signal the table service ends without writing what it holds.
        child = start([*command, *arguments], name="Azurite", cwd=scratch, stop_signal=signal.SIGINT)
        try:
            for port in chosen.values():
                answers = functools.partial(_answers, port, ca_file)
                child.wait_until(answers, what=f"an answer on port {port}")
        except BaseException as error:
            child.stop()
            if isinstance(error, ChildError) and attempt < attempts:
                continue
            raise
        return Azurite(chosen, child, ca_file)
    raise AssertionError("the last attempt either returns or raises")


def _answers(port: int, ca_file: str | None) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    if ca_file:
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


def main() -> None:
    """Run Azurite until a signal comes, or only install it."""
    parser = argparse.ArgumentParser(prog="python -m tests.local.azurite", description="Run Azurite until Ctrl-C.")
    parser.add_argument("--install", action="store_true", help="install what it needs and end")
    parser.add_argument("--folder", type=Path, help="keep the data there; default: in memory")
    parser.add_argument(
        "--usual-ports",
        action="store_true",
        help="on the ports that UseDevelopmentStorage=true means; default: free ones",
    )
    arguments = parser.parse_args()
    ports = USUAL_PORTS if arguments.usual_ports else ()
    try:
        if arguments.install:
            node_packages.node_modules(node_packages.find_node())
            return
        # Both ways of asking it to end unwind the block below.
        end_on_signals()
        with suppress(KeyboardInterrupt), running(folder=arguments.folder, ports=ports) as storage:
            print(storage.connection_string, flush=True)
            storage.child.wait(None)
            sys.exit("Azurite ended by itself")
    except (node_packages.InstallError, ChildError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
