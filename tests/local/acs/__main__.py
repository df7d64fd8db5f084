"""`python -m tests.local.acs`: serve the stand-in until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import socket
import ssl
from pathlib import Path

import msgspec
import trustme

from tests.local.acs.messages import Ready
from tests.local.acs.server import Identity, Service, TlsServer, configure
from tests.local.acs.signing import ISSUER
from tests.local.acs.subscriptions import function_subscriptions


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.local.acs", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ca-file", type=Path, required=True, help="where to write the certificate authority's PEM")
    parser.add_argument("--webhook-base", help="the Functions host that Event Grid delivers to")
    parser.add_argument("--access-key", help="base64; made at random otherwise")
    parser.add_argument("--control-token", help="made at random otherwise")
    arguments = parser.parse_args()
    given = {name: value for name in ("access_key", "control_token") if (value := getattr(arguments, name))}
    identity = dataclasses.replace(Identity.new(), **given)
    asyncio.run(_serve(identity, arguments.port, arguments.ca_file, arguments.webhook_base))


async def _serve(identity: Identity, port: int, ca_file: Path, webhook_base: str | None) -> None:
    service = Service(identity)
    if webhook_base:
        service.grid.subscriptions = function_subscriptions(webhook_base)
    # With the protocol named, asyncio turns Nagle's algorithm off; without, every answer is 40 ms late.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    endpoint = f"https://127.0.0.1:{listening.getsockname()[1]}"
    ready = Ready(
        endpoint=endpoint,
        access_key=identity.access_key,
        control_token=identity.control_token,
        ca_file=str(ca_file),
        resource_id=identity.resource_id,
        event_source=identity.event_source,
        issuer=ISSUER,
        sender=service.emails.rules.senders[0],
    )
    config = configure(service.application())
    config.load()
    config.ssl = _tls(ca_file)
    server = TlsServer(config, ready=lambda: print(msgspec.json.encode(ready).decode(), flush=True))
    await server.serve(sockets=[listening])


def _tls(ca_file: Path) -> ssl.SSLContext:
    """A server certificate from an authority made for this run, whose key never leaves this process."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))
    return context


if __name__ == "__main__":
    main()
