"""The local Functions host, against a tiny app: what it adds to the runtime library must be what the cloud adds."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.local.acs import poll
from tests.local.host import process as host_process
from tests.local.host.process import HostProcess, TimerError
from tests.local.processes import ChildError, free_ports, is_listening

pytestmark = pytest.mark.process

TINY_APP = Path(__file__).parent / "tiny_app"
DEADLINE_S = 10
EVENT: dict[str, object] = {
    "id": "e1",
    "eventType": "t",
    "subject": "s",
    "eventTime": "2026-01-01T00:00:00Z",
    "dataVersion": "1",
}
CLOUD_EVENT: dict[str, object] = {"id": "c1", "type": "t", "source": "/s", "specversion": "1.0"}


@pytest.fixture(scope="module")
def host() -> Iterator[HostProcess]:
    with host_process.running(app_directory=TINY_APP) as running:
        yield running


def webhook(host: HostProcess, function_name: str = "event_received") -> str:
    return f"{host.url}/runtime/webhooks/EventGrid?functionName={function_name}"


def raw_status(host: HostProcess, target: str, headers: str = "", *, method: str = "GET") -> int:
    """Send a request line as it stands: clients tidy paths up before they send them."""
    address = httpx.URL(host.url)
    with socket.create_connection((address.host, address.port or 80), timeout=DEADLINE_S) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: local\r\n{headers}Connection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


class TestRoutes:
    def test_route_query_and_header_arrive(self, host: HostProcess) -> None:
        answer = httpx.get(f"{host.url}/api/things/7?q=a%20b&q=c&empty=", headers={"X-Asked": "yes"})
        assert answer.text.splitlines() == ["7", "a b,c", "yes", f"{host.url}/api/things/7?q=a%20b&q=c&empty="]

    def test_each_method_is_a_function_of_its_own(self, host: HostProcess) -> None:
        answer = httpx.put(f"{host.url}/api/things/7", content=b"\x00\xff")
        assert (answer.status_code, answer.content) == (201, b"\x00\xff")
        assert answer.headers["content-type"] == "application/octet-stream"

    def test_a_literal_wins_over_a_parameter_and_cookies_stay_apart(self, host: HostProcess) -> None:
        answer = httpx.get(f"{host.url}/api/THINGS/Mine")
        assert answer.status_code == 204
        assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; HttpOnly"]

    @pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD", "OPTIONS"])
    def test_a_method_that_no_function_takes_is_not_found(self, host: HostProcess, method: str) -> None:
        assert httpx.request(method, f"{host.url}/api/things/7").status_code == 404

    def test_a_reserved_or_conflicting_route_is_not_loaded_and_everything_else_is(self, host: HostProcess) -> None:
        assert httpx.get(f"{host.url}/api/administration/things").status_code == 404
        assert httpx.delete(f"{host.url}/api/things/7").status_code == 404
        loaded = httpx.get(f"{host.url}/admin/host/status").json()["functions"]
        assert {"reserved_read", "things_again"}.isdisjoint(loaded)
        said = host.child.output()
        assert "The 'reserved_read' function is in error: The specified route conflicts with one or more built" in said
        assert "The 'things_again' function is in error: The route specified conflicts with the route" in said

    @pytest.mark.parametrize("path", ["/things/7", "/api", "/api/things", "/api/things/7/8", "/", "/api/nothing"])
    def test_no_route(self, host: HostProcess, path: str) -> None:
        assert httpx.get(host.url + path).status_code == 404

    @pytest.mark.parametrize(
        ("sent", "arrived"),
        [("a%20b", "a b"), ("%E2%98%8E", "☎"), ("100%25", "100%"), ("%252F", "%2F"), ("a+b", "a+b")],
    )
    def test_ids_are_decoded_once(self, host: HostProcess, sent: str, arrived: str) -> None:
        assert httpx.get(f"{host.url}/api/things/{sent}").text.splitlines()[0] == arrived

    @pytest.mark.parametrize("encoded", ["%2F", "%2f"])
    def test_an_encoded_slash_arrives_as_it_was_sent(self, host: HostProcess, encoded: str) -> None:
        assert httpx.get(f"{host.url}/api/things/a{encoded}b").text.splitlines()[0] == f"a{encoded}b"

    def test_head_is_answered_where_the_methods_list_it(self, host: HostProcess) -> None:
        answer = httpx.head(f"{host.url}/api/heads")
        assert (answer.status_code, answer.content) == (200, b"")
        assert httpx.head(f"{host.url}/api/things/7").status_code == 404

    def test_an_empty_header_arrives_and_an_empty_query_value_does_not(self, host: HostProcess) -> None:
        answer = httpx.get(
            f"{host.url}/api/given?q=&r=1", headers=[("x-asked", ""), ("x-twice", "a"), ("x-twice", "b")]
        )
        assert answer.json() == {"headers": {"x-asked": "", "x-twice": "a,b"}, "query": {"r": "1"}}

    def test_header_bytes_that_are_no_utf_8_are_a_400(self, host: HostProcess) -> None:
        assert httpx.get(f"{host.url}/api/things/7", headers=[(b"x-asked", b"\xe9")]).status_code == 400

    @pytest.mark.parametrize(("value", "status"), [("e30=", 200), ("e30", 500), ("none", 500)])
    def test_a_malformed_principal_is_a_500_without_a_body(self, host: HostProcess, value: str, status: int) -> None:
        answer = httpx.get(f"{host.url}/api/heads", headers={"X-MS-CLIENT-PRINCIPAL": value})
        assert answer.status_code == status and (answer.content == b"") is (status == 500)

    def test_a_response_header_outside_ascii_is_a_500_without_a_body(self, host: HostProcess) -> None:
        answer = httpx.get(f"{host.url}/api/header-of?value=%C3%A9")
        assert (answer.status_code, answer.content) == (500, b"")
        assert httpx.get(f"{host.url}/api/header-of?value=e").headers["x-value"] == "e"

    def test_long_paths_headers_and_bodies_are_refused(self, host: HostProcess) -> None:
        assert raw_status(host, "/api/things/" + "a" * 9000) == 414
        assert httpx.get(f"{host.url}/api/things/7", headers={"x-asked": "a" * 40_000}).status_code == 431
        assert raw_status(host, "/api/things/7", "Content-Length: 110000000\r\n", method="PUT") == 500

    def test_an_encoded_nul_is_refused(self, host: HostProcess) -> None:
        assert raw_status(host, "/api/things/a%00b") == 400

    def test_dot_segments_are_resolved(self, host: HostProcess) -> None:
        assert raw_status(host, "/api/nothing/%2e%2E/./things/7") == 200

    def test_a_function_that_raises_tells_the_caller_nothing(self, host: HostProcess) -> None:
        answer = httpx.get(f"{host.url}/api/broken")
        assert (answer.status_code, answer.content) == (500, b"")
        assert "a secret detail" in host.child.output()

    def test_a_guarded_route_needs_the_key(self, host: HostProcess) -> None:
        address = f"{host.url}/api/guarded"
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"x-functions-key": "wrong"}).status_code == 401
        assert httpx.get(address, headers={"x-functions-key": host.master_key}).text == "in"
        assert httpx.get(address, params={"code": host.master_key}).text == "in"

    def test_the_prefix_is_that_of_host_json(self, tmp_path: Path) -> None:
        shutil.copy(TINY_APP / "function_app.py", tmp_path)
        (tmp_path / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": "v1/x"}}}')
        with host_process.running(app_directory=tmp_path) as running:
            assert httpx.get(f"{running.url}/v1/x/things/7").status_code == 200
            assert httpx.get(f"{running.url}/api/things/7").status_code == 404


class TestLog:
    def test_a_record_whose_invocation_is_over_is_dropped_and_what_is_printed_arrives(self, host: HostProcess) -> None:
        assert httpx.post(f"{host.url}/api/told-later?as=one").status_code == 202
        poll(lambda: "printed after one" in host.child.output())
        assert "logged before one" in host.child.output()
        assert "logged after one" not in host.child.output()


class TestEventGrid:
    def test_handshake_of_the_event_grid_schema(self, host: HostProcess) -> None:
        event = EVENT | {"data": {"validationCode": "v-1"}}
        answer = httpx.post(webhook(host), headers={"aeg-event-type": "SubscriptionValidation"}, json=[event])
        assert (answer.status_code, answer.json()) == (200, {"validationResponse": "v-1"})

    def test_handshake_of_cloud_events(self, host: HostProcess) -> None:
        answer = httpx.options(webhook(host), headers={"WebHook-Request-Origin": "eventgrid.example"})
        assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "eventgrid.example")

    @pytest.mark.parametrize(("event", "schema"), [(EVENT, "grid"), (CLOUD_EVENT, "cloud")])
    def test_the_payload_decides_the_schema(self, host: HostProcess, event: dict[str, object], schema: str) -> None:
        named = event | {"id": f"one-{schema}", "data": {}}
        assert host.deliver("event_received", named) == 202
        assert f"received {schema} t one-{schema}" in host.child.output()

    def test_a_batch_runs_in_parallel(self, host: HostProcess) -> None:
        """Each of the two waits for the other one."""
        waiting: dict[str, object] = {"data": {"meet": True}}
        assert host.deliver("event_received", [EVENT | waiting, CLOUD_EVENT | waiting]) == 202

    def test_one_failure_fails_the_batch_and_the_others_still_run(self, host: HostProcess) -> None:
        batch = [EVENT | {"data": {"fail": True}}, EVENT | {"id": "the-other", "data": {}}]
        assert host.deliver("event_received", batch) == 500
        assert "received grid t the-other" in host.child.output()

    @pytest.mark.parametrize("name", ["unknown", "ticked", "thing_read", "Event_Received", ""])
    def test_what_is_no_event_function_is_not_found(self, host: HostProcess, name: str) -> None:
        assert host.deliver(name, EVENT) == 404

    @pytest.mark.parametrize("kind", [None, "Other"])
    def test_another_kind_of_request_is_refused(self, host: HostProcess, kind: str | None) -> None:
        headers = {} if kind is None else {"aeg-event-type": kind}
        assert httpx.post(webhook(host), headers=headers, json=[EVENT]).status_code == 400

    @pytest.mark.parametrize("body", ["", "{", "7", "[7]", '"x"'])
    def test_a_payload_that_cannot_be_read_is_a_500(self, host: HostProcess, body: str) -> None:
        headers = {"aeg-event-type": "Notification"}
        assert httpx.post(webhook(host), headers=headers, content=body).status_code == 500

    def test_an_id_that_looks_like_a_date_arrives_rewritten(self, host: HostProcess) -> None:
        assert host.deliver("event_received", EVENT | {"id": "2026-11-22T23:00:00+02:00", "data": {}}) == 202
        assert "received grid t 2026-11-22T21:00:00+00:00" in host.child.output()

    def test_no_key_is_a_401_where_there_is_one(self) -> None:
        with host_process.running(app_directory=TINY_APP, environment={"HOST_EVENT_GRID_KEY": "k"}) as host:
            headers = {"aeg-event-type": "Notification"}
            event = [EVENT | {"data": {}}]
            assert httpx.post(webhook(host, "unknown"), headers=headers, json=event).status_code == 401
            assert httpx.post(webhook(host), headers=headers, json=event).status_code == 401
            assert httpx.post(f"{webhook(host)}&code=k", headers=headers, json=event).status_code == 202
            assert httpx.post(webhook(host), headers=headers | {"x-functions-key": "k"}, json=event).status_code == 202
            # This is how one publishes to a topic; the host does not read it.
            assert httpx.post(webhook(host), headers=headers | {"aeg-sas-key": "k"}, json=event).status_code == 401


class TestTimers:
    def test_by_hand_and_waited_for(self, host: HostProcess) -> None:
        before = host.child.output().count("tick ends")
        host.run_timer("ticked")
        assert host.child.output().count("tick ends") == before + 1

    def test_a_failure_is_told_to_who_waits(self, host: HostProcess) -> None:
        with pytest.raises(TimerError, match="500"):
            host.run_timer("ticked_badly")

    def test_accepted_without_waiting(self, host: HostProcess) -> None:
        before = host.child.output().count("tick ends")
        key = {"x-functions-key": host.master_key}
        assert httpx.post(f"{host.url}/admin/functions/ticked", headers=key, json={}).status_code == 202
        poll(lambda: host.child.output().count("tick ends") == before + 1)

    @pytest.mark.parametrize(("name", "status"), [("unknown", 404), ("thing_read", 400)])
    def test_what_is_no_timer(self, host: HostProcess, name: str, status: int) -> None:
        key = {"x-functions-key": host.master_key}
        assert httpx.post(f"{host.url}/admin/functions/{name}", headers=key).status_code == status

    @pytest.mark.parametrize("path", ["functions/ticked", "clock"])
    def test_a_wrong_key(self, host: HostProcess, path: str) -> None:
        address = f"{host.url}/admin/{path}"
        assert httpx.post(address, json={"advance_s": 1}).status_code == 401
        assert httpx.post(address, json={"advance_s": 1}, headers={"x-functions-key": "wrong"}).status_code == 401

    def test_ticking_runs_one_at_a_time_across_workers(self) -> None:
        every_second = {"OUTBOX_SCHEDULE": "* * * * * *"}
        with host_process.running(app_directory=TINY_APP, workers=2, ticking=True, environment=every_second) as host:
            with ThreadPoolExecutor(8) as callers:
                list(callers.map(lambda _: host.run_timer("ticked"), range(8)))
            poll(lambda: host.child.output().count("tick ends") >= 10)
            marks = re.findall(r"tick (begins|ends) in (\d+)", host.child.output())
        for (first, one), (second, other) in zip(marks[::2], marks[1::2], strict=False):
            assert (first, second, one) == ("begins", "ends", other)

    def test_a_schedule_without_its_setting_disables_that_function_alone(self, tmp_path: Path) -> None:
        source = (TINY_APP / "function_app.py").read_text().replace("%OUTBOX_SCHEDULE%", "%NOWHERE%")
        (tmp_path / "function_app.py").write_text(source)
        with host_process.running(app_directory=tmp_path) as host:
            said = "The 'ticked' function is in error: ticked: the schedule %NOWHERE% needs the setting 'NOWHERE'"
            assert said in host.child.output()
            assert httpx.get(f"{host.url}/api/things/7").status_code == 200
            with pytest.raises(TimerError, match="400"):
                host.run_timer("ticked")

    def test_a_run_that_overruns_is_followed_by_the_next_at_once_and_not_past_due(self) -> None:
        """Each run takes 1.1 s of a schedule of one second: who waited for the next would pause for 0.9 s."""
        environment = {"OUTBOX_SCHEDULE": "* * * * * *", "TICK_S": "1.1"}
        with host_process.running(app_directory=TINY_APP, ticking=True, environment=environment) as host:
            poll(lambda: host.child.output().count("tick begins") >= 4)
            said = host.child.output()
        assert "past due True" not in said
        pauses = [float(pause) for pause in re.findall(r"after a pause of ([0-9.]+)", said)[1:]]
        assert len(pauses) >= 3 and max(pauses) < 0.8

    def test_a_schedule_of_a_minute_that_was_missed_runs_at_start_past_due(self, tmp_path: Path) -> None:
        state = tmp_path / "timers"
        state.write_text('{"last": {"ticked": "2026-01-01T00:00:00+00:00"}}')
        every_minute = {"OUTBOX_SCHEDULE": "0 * * * * *"}
        options = {"app_directory": TINY_APP, "ticking": True, "environment": every_minute}
        with host_process.running(**options, timer_state=state) as host:  # type: ignore[arg-type]
            poll(lambda: "past due True" in host.child.output())

    def test_timers_rest_after_the_host_has_died(self, tmp_path: Path) -> None:
        state, gap_s = tmp_path / "timers", 4.0
        environment = {"OUTBOX_SCHEDULE": "* * * * * *"}
        with host_process.running(
            app_directory=TINY_APP, ticking=True, environment=environment, timer_state=state, timer_gap_s=gap_s
        ) as host:
            poll(lambda: "tick begins" in host.child.output())
            host.child.kill()
        died = time.monotonic()
        with host_process.running(
            app_directory=TINY_APP, ticking=True, environment=environment, timer_state=state, timer_gap_s=gap_s
        ) as host:
            assert httpx.get(f"{host.url}/api/things/7").status_code == 200
            poll(lambda: "tick begins" in host.child.output())
            assert time.monotonic() - died > gap_s / 2


class TestWorkers:
    def test_two_processes_answer_and_share_the_clock(self) -> None:
        with host_process.running(app_directory=TINY_APP, workers=2) as host:
            pids: set[str] = set()

            def both_seen() -> bool:
                # A new connection each time: the kernel chooses a worker per connection.
                pids.add(httpx.get(f"{host.url}/api/things/1").headers["x-pid"])
                return len(pids) == 2

            poll(both_seen)
            host.advance_clock(3600)
            key = {"x-functions-key": host.master_key}
            offsets = {httpx.get(f"{host.url}/admin/clock", headers=key).json()["offset_s"] for _ in range(16)}
            assert offsets == {3600}

    def test_the_port_is_not_shared_with_another_host(self, host: HostProcess) -> None:
        port = httpx.URL(host.url).port or 0
        with pytest.raises(ChildError, match="cannot be used"), host_process.running(app_directory=TINY_APP, port=port):
            pass

    def test_an_app_that_cannot_be_indexed_stops_the_host(self, tmp_path: Path) -> None:
        (tmp_path / "function_app.py").write_text("import nothing_of_this_name")
        with pytest.raises(ChildError, match="nothing_of_this_name"), host_process.running(app_directory=tmp_path):
            pass


class TestDeaths:
    """A worker that dies, behind what stands before it in the cloud."""

    def test_what_passes_the_front_is_not_changed(self) -> None:
        with host_process.running(app_directory=TINY_APP, restart_delays_s=(0,)) as host:
            answer = httpx.put(f"{host.url}/api/things/a%2Fb", content=b"\x00\xff")
            assert (answer.status_code, answer.content) == (201, b"\x00\xff")
            assert httpx.get(f"{host.url}/api/things/a%2Fb?q=a&q=b").text.splitlines()[:2] == ["a%2Fb", "a,b"]
            assert httpx.get(f"{host.url}/api/THINGS/Mine").headers.get_list("set-cookie") == [
                "a=1; Path=/",
                "b=2; HttpOnly",
            ]

    def test_its_requests_are_500_without_a_body_and_the_next_one_is_answered_by_another(self) -> None:
        with host_process.running(app_directory=TINY_APP, restart_delays_s=(0, 0)) as host:
            answer = httpx.post(f"{host.url}/api/dies", timeout=DEADLINE_S)
            assert (answer.status_code, answer.content) == (500, b"")
            first = httpx.get(f"{host.url}/api/things/7", timeout=DEADLINE_S)
            assert first.status_code == 200 and first.headers["x-pid"] == first.headers["x-local-worker"]

    def test_the_death_after_the_last_restart_ends_the_host(self) -> None:
        with host_process.running(app_directory=TINY_APP, restart_delays_s=(0, 1.5)) as host:
            assert httpx.post(f"{host.url}/api/dies", timeout=DEADLINE_S).status_code == 500
            assert httpx.post(f"{host.url}/api/dies", timeout=DEADLINE_S).status_code == 500
            began = time.monotonic()
            assert httpx.get(f"{host.url}/api/things/7", timeout=DEADLINE_S).status_code == 200
            assert time.monotonic() - began > 1.4
            # The host ends with its last worker: whether its answer is out by then is nobody's promise.
            with suppress(httpx.RemoteProtocolError):
                assert httpx.post(f"{host.url}/api/dies", timeout=DEADLINE_S).status_code == 500
            assert host.child.wait() != 0


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_soon_and_cleanly(self, number: signal.Signals) -> None:
        with host_process.running(app_directory=TINY_APP, workers=2) as host:
            began = time.monotonic()
            host.child.send_signal(number)
            assert host.child.wait() == 0
            assert time.monotonic() - began < 3
            assert "Traceback" not in host.child.output()
            assert not is_listening(httpx.URL(host.url).port or 0)

    def test_the_workers_end_with_a_killed_supervisor(self) -> None:
        with host_process.running(app_directory=TINY_APP, workers=2) as host:
            host.child.send_signal(signal.SIGKILL)
            poll(lambda: not is_listening(httpx.URL(host.url).port or 0))

    def test_everything_ends_with_a_killed_parent(self) -> None:
        [port] = free_ports(1)
        program = (
            "import time; from pathlib import Path; from tests.local.host import process as host_process\n"
            f"with host_process.running(app_directory=Path({str(TINY_APP)!r}), workers=2, port={port}):\n"
            "    print('up', flush=True); time.sleep(60)"
        )
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=host_process.REPOSITORY)
        with parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"up\n"
            assert is_listening(port)
            parent.kill()
        poll(lambda: not is_listening(port))
