"""Everything that lies in a storage account, for the leak scanner: every row, queue message and blob, with names."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from html import unescape
from urllib.parse import quote

import httpx
from azure.data.tables import TableServiceClient

from tests.local.azurite import ACCOUNT_KEY, ACCOUNT_NAME, Azurite

API_VERSION = "2021-12-02"
MAX_MESSAGES = 32


class StorageReader:
    """Reads an Azurite; `put` writes, for tests that plant something."""

    def __init__(self, storage: Azurite) -> None:
        self._storage = storage
        self._http = httpx.Client(timeout=15, trust_env=False)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def everything(self) -> dict[str, str]:
        """All of it, by place: `table/NAME`, `queue/NAME`, `blob/CONTAINER/NAME`."""
        return {**self.tables(), **dict(self._queues()), **dict(self._blobs())}

    def tables(self) -> dict[str, str]:
        """Each table's rows, one to a line."""
        with TableServiceClient.from_connection_string(self._storage.connection_string) as service:
            names = [table.name for table in service.list_tables()]
            rows = {name: list(service.get_table_client(name).list_entities()) for name in names}
        return {f"table/{name}": "\n".join(_line(row) for row in found) for name, found in rows.items()}

    def _queues(self) -> Iterator[tuple[str, str]]:
        for name in self._names("queue", "", {"comp": "list", "include": "metadata"}):
            query = {"peekonly": "true", "numofmessages": str(MAX_MESSAGES)}
            properties = self.ask("GET", "queue", name, {"comp": "metadata"})
            messages = self.ask("GET", "queue", f"{name}/messages", query)
            yield f"queue/{name}", f"{name}\n{_headers(properties)}\n{unescape(messages.text)}"

    def _blobs(self) -> Iterator[tuple[str, str]]:
        for container in self._names("blob", "", {"comp": "list"}):
            place = {"restype": "container"}
            yield f"blob/{container}", f"{container}\n{_headers(self.ask('GET', 'blob', container, place))}"
            for name in self._names("blob", container, {**place, "comp": "list"}):
                blob = self.ask("GET", "blob", f"{container}/{quote(name)}", {})
                yield f"blob/{container}/{name}", f"{name}\n{_headers(blob)}\n{blob.content.decode('latin-1')}"

    def _names(self, service: str, path: str, query: Mapping[str, str]) -> list[str]:
        if service not in self._storage.ports:
            return []
        listed = self.ask("GET", service, path, query).text
        return [unescape(name) for name in re.findall(r"<Name>(.*?)</Name>", listed)]

    def put(self, service: str, path: str, query: Mapping[str, str], content: bytes = b"", **headers: str) -> None:
        """Create a container, a blob or a queue."""
        self.ask("PUT", service, path, query, content, **headers)

    def ask(
        self, method: str, service: str, path: str, query: Mapping[str, str], content: bytes = b"", **headers: str
    ) -> httpx.Response:
        """A signed request to a service of the storage account."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": API_VERSION}
        sent["Authorization"] = f"SharedKey {ACCOUNT_NAME}:{_signature(method, path, query, content, sent)}"
        url = f"{self._storage.url(service)}/{path}"
        answer = self._http.request(method, url, params=dict(query), headers=sent, content=content or None)
        return answer.raise_for_status()


def _line(row: Mapping[str, object]) -> str:
    return json.dumps({name: str(value) for name, value in row.items()}, ensure_ascii=False)


def _headers(answer: httpx.Response) -> str:
    return "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name.startswith("x-ms-meta"))


def _signature(method: str, path: str, query: Mapping[str, str], content: bytes, headers: Mapping[str, str]) -> str:
    """Shared Key for the blob and queue services; the emulator's account stands in the path, and so twice."""
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-ms-"))
    asked = "".join(f"\n{name}:{query[name]}" for name in sorted(query))
    length = str(len(content)) if content else ""
    plain = f"{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{own}/{ACCOUNT_NAME}/{ACCOUNT_NAME}/{path}{asked}"
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), plain.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
