"""Settings that make no client, or one that cannot sign: every adapter of Communication Services says *unavailable*."""

import base64
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from azure.communication.callautomation._shared.utils import parse_connection_str as parse_for_calls
from azure.communication.email._shared.utils import parse_connection_str as parse_for_email
from hypothesis import example, given
from hypothesis import strategies as st

from shared.adapters.acs_calls import AcsCalls
from shared.adapters.acs_email import AcsEmail
from shared.adapters.acs_recordings import AcsRecordings
from shared.adapters.acs_service import AcsService
from shared.adapters.system_clock import SystemClock
from shared.deadlines import Deadline
from shared.domain.errors import EmergencyCallingError, Unavailable
from shared.ports import Email
from shared.settings import read_settings
from tests.contract.table_servers import never_answers, serving

CLOCK = SystemClock()
AGENT = "8:acs:7f1c2a94-5d0e-4b61-9a3c-2e8d4f60b7a1_0000001f-52c8-7be1-28f4-343a0d00c1d7"
FAULTY = [
    "nonsense",
    "endpoint=https://acs.example.com/",
    "accesskey=a2V5",
    "endpoint=;accesskey=",
    "endpoint=https://acs.example.com/; accesskey=a2V5",
    "endpoint=https://acs.example.com/;accesskey=a",
    "endpoint=https://[::1;accesskey=a2V5",
    "endpoint=https:///;accesskey=a2V5",
    "endpoint=https://127.0.0.1:99999/;accesskey=a2V5",
    f"endpoint=https://{'a' * 300}/;accesskey=a2V5",
    "endpoint=https://127.0.0.1:1 /;accesskey=a2V5",
]


class Adapter(Protocol):
    def close(self) -> None: ...


def soon() -> Deadline:
    return Deadline(CLOCK, 5.0)


type Act = Callable[..., tuple[Adapter, Callable[[], object]]]


def a_call(**where: Any) -> tuple[Adapter, Callable[[], object]]:
    calls = AcsCalls(clock=CLOCK, **where)
    return calls, lambda: calls.redirect("context", AGENT, origin="o", deadline=soon())


def a_message(**where: Any) -> tuple[Adapter, Callable[[], object]]:
    email = AcsEmail(sender="emergency@alerts.example.com", clock=CLOCK, **where)
    message = Email(
        operation_id=str(uuid4()), recipients=("desk@example.com",), subject="Subject", text="Text", html="Text"
    )
    return email, lambda: email.send(message, soon())


def a_deletion(**where: Any) -> tuple[Adapter, Callable[[], object]]:
    recordings = AcsRecordings(**where)
    return recordings, lambda: recordings.delete("https://us-storage.asm.skype.com/v1/objects/example", soon())


def a_stop(**where: Any) -> tuple[Adapter, Callable[[], object]]:
    recordings = AcsRecordings(**where)
    return recordings, lambda: recordings.stop("recording", soon())


ACTS = [a_call, a_message, a_deletion, a_stop]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("connection_string", FAULTY)
def test_a_connection_string_that_makes_no_client(act: Act, connection_string: str) -> None:
    adapter, ask = act(connection_string=connection_string)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            ask()
        assert "example.com" not in str(caught.value) and caught.value.__suppress_context__
    adapter.close()


@pytest.mark.parametrize("connection_string", FAULTY)
def test_warming_up_says_no_more_than_that(connection_string: str) -> None:
    for adapter in (
        AcsCalls(clock=CLOCK, connection_string=connection_string),
        AcsEmail(sender="a@b.example", clock=CLOCK, connection_string=connection_string),
    ):
        try:
            adapter.warm_up()
        except EmergencyCallingError as failure:
            assert isinstance(failure, Unavailable) and failure.reason == "settings"
        adapter.close()


@pytest.mark.parametrize("act", ACTS)
def test_a_certificate_bundle_that_is_not_there(act: Act) -> None:
    with serving(never_answers) as server:
        where = f"endpoint=https://127.0.0.1:{server.port}/;accesskey=a2V5"
        adapter, ask = act(connection_string=where, ca_bundle="/no/such/bundle.pem")
        with pytest.raises(Unavailable):
            ask()
        adapter.close()


@pytest.mark.parametrize(
    "written",
    [
        "endpoint=https://acs.example.com/;accesskey=a2V5",
        "endpoint=https://acs.example.com//;;accesskey=a2V5;",
        " EndPoint = https://acs.example.com ; AccessKey = a2V5 ",
        "accesskey=a2V5\n;\tendpoint=https://acs.example.com:8443/",
        "endpoint=https://acs.example.com/;accesskey=a2V5a2U=;other=1",
    ],
)
def test_a_setting_that_counts_as_valid_is_read_so_by_the_sdk(written: str) -> None:
    require_read_alike(written)


NOISE = st.sampled_from(["", " ", "\t", "\n"])
NAMES = st.sampled_from(["endpoint", "Endpoint", "accesskey", "AccessKey", "other", ""])
VALUES = st.sampled_from(
    [
        *("https://acs.example.com", "https://acs.example.com//", "https://acs.example.com:8443/", "acs.example.com"),
        *(
            "https://acs.example.com/path",
            "https://a@acs.example.com",
            "http://127.0.0.1:1",
            "https://acs.example.com?a=b",
        ),
        *("a2V5", "a2V5a2U=", "a2V5a2U", "é", ""),
    ]
)
PARTS = st.tuples(NOISE, NAMES, NOISE, st.just("="), NOISE, VALUES, NOISE).map("".join)


@given(st.lists(PARTS, max_size=5).map(";".join))
@example("endpoint=https://acs.example.com/path;accesskey=a2V5")
def test_no_setting_counts_as_valid_that_the_sdk_reads_otherwise(written: str) -> None:
    require_read_alike(written, if_valid=True)


def require_read_alike(written: str, *, if_valid: bool = False) -> None:
    connection = read_settings({"COMMUNICATION_SERVICES_CONNECTION_STRING": written}).communication.connection_string
    if connection is None and if_valid:
        return
    assert connection is not None
    endpoint = connection.removeprefix("endpoint=").partition(";")[0]
    for parse in (parse_for_email, parse_for_calls):
        host, key = parse(connection)
        assert host == urlsplit(endpoint).netloc and base64.b64decode(key, validate=True)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://contoso.unitedstates.communication.azure.com/phoneNumbers?skip=100", True),
        ("https://Contoso.UnitedStates.communication.azure.com:443/phoneNumbers?skip=100", True),
        ("/phoneNumbers?skip=100", True),
        ("", True),
        ("http://contoso.unitedstates.communication.azure.com/phoneNumbers", False),
        ("https://contoso.unitedstates.communication.azure.com:444/phoneNumbers", False),
        ("https://contoso.unitedstates.communication.azure.com.example.com/phoneNumbers", False),
        ("https://contoso.unitedstates.communication.azure.com:nonsense/phoneNumbers", False),
        ("https://[nonsense/phoneNumbers", False),
        ("//example.com/phoneNumbers", False),
    ],
)
def test_a_next_page_is_the_services_own_however_its_host_is_written(url: str, own: bool) -> None:
    """The service need not write a host as the setting does: case and the usual port tell nothing (RFC 3986, 6.2)."""
    endpoint = "https://Contoso.unitedstates.communication.azure.com"
    service = AcsService("own", lambda *_: None, connection_string=None, endpoint=endpoint, ca_bundle=None)
    service.warm_up()
    assert service.is_own(url) is own
    service.close()
