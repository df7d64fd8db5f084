"""The leak scanner finds a planted leak of each kind, in each form and each place, and nothing else."""

import base64
import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from azure.data.tables import TableServiceClient

from shared.domain.ids import key_of
from tests.leaks import Kind, Leak, Registry, Scanner
from tests.leaks_storage import StorageReader
from tests.local import azurite
from tests.local.azurite import Azurite

VALUES = {
    Kind.NUMBER: "+14255550101",
    Kind.NAME: "Zoë Example",
    Kind.EMAIL: "zoe.guard@example.com",
    Kind.ADDRESS: "12 Example Street, Redmond",
    Kind.LOCATION: "47.639631",
    Kind.AGENT: "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_zoe",
    Kind.CALL: "call/ä-0b1f6471",
}
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "URL": lambda value: quote(value, safe=""),
    "URL with plus for spaces": lambda value: quote(value, safe=" ").replace(" ", "+"),
    "URL twice": lambda value: quote(quote(value, safe=""), safe=""),
    "JSON": json.dumps,
    "JSON in JSON": lambda value: json.dumps({"state": json.dumps({"x": value})}),
    "JSON, all escaped": lambda value: "".join(f"\\u{ord(letter):04x}" for letter in value),
    "repr of bytes": lambda value: repr(value.encode()),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of a URL": lambda value: base64.urlsafe_b64encode(f"xy?{value}".encode()).decode().rstrip("="),
    "base64 in the middle": lambda value: "t" + base64.b64encode(f"{{'a': '{value}'}}".encode()).decode(),
    "base64 of JSON": lambda value: base64.b64encode(json.dumps([value]).encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal, upper case": lambda value: value.encode().hex().upper(),
    "hexadecimal with colons": lambda value: value.encode().hex(":"),
    "UTF-16": lambda value: value.encode("utf-16-le").decode("latin-1"),
    "base64 of UTF-16": lambda value: base64.b64encode(value.encode("utf-16-be")).decode(),
    "hashed": key_of,
    "with other signs between": "--".join,
}
WRITTEN = {
    Kind.NUMBER: [
        "14255550101",
        "4255550101",
        "(425) 555-0101",
        "425.555.0101",
        "tel:+1-425-555-0101",
        "4:+14255550101",
    ],
    Kind.NAME: ["zoë_example", "Example, Zoë", "zoëexample", "EXAMPLE ZOË"],
    Kind.ADDRESS: ["12_example_street_redmond"],
    Kind.EMAIL: ["Zoe.Guard@Example.com"],
    Kind.LOCATION: ["47.6396", "47,6396", "47.639631 N", "47639631", "47°38'22.67\"", "47° 38' 22\"", "4738.3779"],
    Kind.AGENT: ["8%3Aacs%3A7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_zoe"],
    Kind.CALL: ["CALL/Ä-0B1F6471"],
}


@pytest.fixture
def used() -> Registry:
    registry = Registry()
    for kind, value in VALUES.items():
        if kind is Kind.LOCATION:
            registry.note_position(float(value))
        else:
            registry.note(value, kind=kind)
    return registry


def in_a_log(text: str) -> str:
    return f"2026-11-22 13:00:00,123 w0 INFO emergency_calling: dial_recorded shared=false {text} ms=12\nnext line"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", VALUES)
def test_each_kind_is_found_in_each_form(used: Registry, kind: Kind, form: str) -> None:
    value = VALUES[kind]
    expected = Leak(kind, value)
    assert expected in Scanner(used).scan(in_a_log(FORMS[form](value)))
    assert expected in Scanner(used).scan_all({"host.log": in_a_log(FORMS[form](value))})["host.log"]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in WRITTEN.items() for text in texts])
def test_each_kind_is_found_in_the_ways_in_which_people_write_it(used: Registry, kind: Kind, text: str) -> None:
    assert Leak(kind, VALUES[kind]) in Scanner(used).scan(in_a_log(text))


def test_bytes_are_read_as_text_of_either_width(used: Registry) -> None:
    for coding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be"):
        found = Scanner(used).scan(b"\x01" + VALUES[Kind.NAME].encode(coding))
        assert Leak(Kind.NAME, VALUES[Kind.NAME]) in found, coding


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 13:00:00,123 w0 INFO emergency_calling: sweep due=3 ms=4255",
        "2026-11-22T13:00:00.4255550Z 101 requests",
        "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_somebody-else",
        "+14255550102 john.guard@example.com 13 Example Street, Redmond 47.6401",
        "aHR0cHM6Ly9leGFtcGxlLmNvbQ== 6f0c1b0e-8f0d-5b57-9a83-8a3b0a1f9f11",
    ],
)
def test_what_only_looks_like_one_is_none(used: Registry, text: str) -> None:
    assert Scanner(used).scan(text) == []


def test_only_what_is_asked_for_is_looked_for(used: Registry) -> None:
    everything = in_a_log(" ".join(VALUES.values()))
    assert {leak.kind for leak in Scanner(used).scan(everything)} == set(Kind)
    assert {leak.kind for leak in Scanner(used, kinds={Kind.CALL}).scan(everything)} == {Kind.CALL}
    assert Kind.NUMBER not in {leak.kind for leak in Scanner(used, but={VALUES[Kind.NUMBER]}).scan(everything)}


def test_what_is_the_id_of_an_agent_too_is_not_only_a_calls(used: Registry) -> None:
    used.note(VALUES[Kind.CALL], kind=Kind.AGENT)
    assert Scanner(used, kinds={Kind.CALL}).scan(VALUES[Kind.CALL]) == []
    assert Scanner(used).scan(VALUES[Kind.CALL]) == [Leak(Kind.CALL, VALUES[Kind.CALL])]


def test_words_that_are_no_ids_are_not_remembered(used: Registry) -> None:
    used.note("agent", "available", "x")
    assert len(used) == len(VALUES)


# Places


@pytest.fixture(scope="module")
def storage() -> Iterator[Azurite]:
    with azurite.running() as running:
        yield running


@pytest.fixture
def reader(storage: Azurite) -> Iterator[StorageReader]:
    reader = StorageReader(storage)
    yield reader
    reader.close()


def plant_row(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    return _planted(storage, f"rows{number}", {"RowKey": "r", "state": json.dumps({"x": value})})


def plant_row_key(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    return _planted(storage, f"keys{number}", {"RowKey": f"call|{key_of(value)}"})


def _planted(storage: Azurite, name: str, row: dict[str, str]) -> str:
    with TableServiceClient.from_connection_string(storage.connection_string) as service:
        service.create_table(name).upsert_entity({"PartitionKey": "p", **row})
    return f"table/{name}"


def plant_blob(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    reader.put("blob", f"blobs{number}", {"restype": "container"})
    reader.put("blob", f"blobs{number}/b", {}, value.encode("utf-16"), **BLOCK)
    return f"blob/blobs{number}/b"


def plant_blob_name(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    reader.put("blob", f"names{number}", {"restype": "container"})
    name = f"{value.encode().hex()}.json"
    reader.put("blob", f"names{number}/{name}", {}, b"{}", **BLOCK)
    return f"blob/names{number}/{name}"


def plant_metadata(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    reader.put("blob", f"meta{number}", {"restype": "container"}, x_ms_meta_x=value.encode().hex())
    return f"blob/meta{number}"


def plant_message(storage: Azurite, reader: StorageReader, value: str, number: int) -> str:
    reader.put("queue", f"queue{number}", {})
    encoded = base64.b64encode(value.encode()).decode()
    message = f"<QueueMessage><MessageText>{encoded}</MessageText></QueueMessage>"
    reader.ask("POST", "queue", f"queue{number}/messages", {}, message.encode())
    return f"queue/queue{number}"


BLOCK = {"x_ms_blob_type": "BlockBlob"}
PLACES = (plant_row, plant_row_key, plant_blob, plant_blob_name, plant_metadata, plant_message)


@pytest.mark.process
@pytest.mark.parametrize("plant", PLACES)
def test_each_kind_is_found_in_each_place_of_the_storage(
    storage: Azurite, reader: StorageReader, used: Registry, plant: Callable[[Azurite, StorageReader, str, int], str]
) -> None:
    for number, (kind, value) in enumerate(VALUES.items()):
        place = plant(storage, reader, value, number)
        found = Scanner(used).scan_all(reader.everything())
        assert Leak(kind, value) in found[place], kind


@pytest.mark.process
def test_an_empty_storage_gives_nothing_away(used: Registry) -> None:
    with azurite.running() as empty:
        reader = StorageReader(empty)
        assert reader.everything() == {}
        assert Scanner(used).scan_all(reader.everything()) == {}
        reader.close()
