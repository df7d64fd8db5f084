"""A function app of a few lines, so that the local host can be tested without the product."""

import contextvars
import json
import logging
import os
import threading
import time

import azure.functions as func

log = logging.getLogger(__name__)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
RUN_S = 0.2
ENDED_AT = [0.0]
AFTER_ANSWER_S = 2.0
ALL_MET_S = 5
TWO_AT_ONCE = threading.Barrier(2)


@app.route("things/{thing_id}", methods=["GET"])
def thing_read(req: func.HttpRequest) -> func.HttpResponse:
    """Say what arrived, in a form that shows how it was decoded."""
    lines = [req.route_params["thing_id"], req.params.get("q", ""), req.headers.get("x-asked", ""), req.url]
    return func.HttpResponse("\n".join(lines), headers={"x-pid": str(os.getpid())})


@app.route("things/{thing_id}", methods=["PUT"])
def thing_written(req: func.HttpRequest) -> func.HttpResponse:
    """Return the body as it came."""
    return func.HttpResponse(req.get_body(), status_code=201, mimetype="application/octet-stream")


@app.route("things/mine", methods=["GET"])
def mine_read(req: func.HttpRequest) -> func.HttpResponse:
    """Win over the route with a parameter, and set two cookies."""
    response = func.HttpResponse(status_code=204)
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; HttpOnly")
    return response


@app.route("heads", methods=["GET", "HEAD"])
def heads(req: func.HttpRequest) -> func.HttpResponse:
    """Take HEAD too."""
    return func.HttpResponse("a body")


@app.route("given", methods=["GET"])
def given(req: func.HttpRequest) -> func.HttpResponse:
    """Say which headers and query values came."""
    headers = {name: req.headers[name] for name in ("x-asked", "x-twice") if name in req.headers}
    return func.HttpResponse(json.dumps({"headers": headers, "query": dict(req.params)}))


@app.route("header-of", methods=["GET"])
def header_of(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with a header of that value."""
    return func.HttpResponse("in", headers={"x-value": req.params["value"]})


@app.route("dies", methods=["POST"])
def dies(req: func.HttpRequest) -> func.HttpResponse:
    """End the process in the middle."""
    os._exit(9)


@app.route("broken")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    """Raise."""
    raise RuntimeError("a secret detail")


@app.route("told-later", methods=["POST"])
def told_later(req: func.HttpRequest) -> func.HttpResponse:
    """Log and print before the answer, and from a thread with a copy of the context, well after it."""
    asked = req.params["as"]

    def tell() -> None:
        # Later than the answer, whose invocation is over by then.
        time.sleep(AFTER_ANSWER_S)
        log.warning("logged after %s", asked)
        os.write(1, f"printed after {asked}\n".encode())

    log.warning("logged before %s", asked)
    threading.Thread(target=contextvars.copy_context().run, args=(tell,)).start()
    return func.HttpResponse(status_code=202)


@app.route("administration/things", methods=["GET"])
def reserved_read(req: func.HttpRequest) -> func.HttpResponse:
    """Have a route that the host refuses."""
    return func.HttpResponse("never")


@app.route("/Things/{thing_id}/", methods=["GET", "DELETE"])
def things_again(req: func.HttpRequest) -> func.HttpResponse:
    """Have the route of another function and one of its methods."""
    return func.HttpResponse("never")


@app.route("guarded", auth_level=func.AuthLevel.FUNCTION)
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    """Need a key."""
    return func.HttpResponse("in")


@app.event_grid_trigger("event")
def event_received(event: func.EventGridEvent) -> None:
    """Log which kind of event came; fail when told to; meet the other one when told to."""
    cloud_event = isinstance(event, func.CloudEvent)
    kind = event.type if isinstance(event, func.CloudEvent) else event.event_type
    log.info("received %s %s %s", "cloud" if cloud_event else "grid", kind, event.id)
    match event.get_json():
        case {"fail": True}:
            raise RuntimeError("told to fail")
        case {"meet": True}:
            TWO_AT_ONCE.wait(ALL_MET_S)
        case _:
            pass


@app.timer_trigger("timer", schedule="%OUTBOX_SCHEDULE%")
def ticked(timer: func.TimerRequest) -> None:
    """Take a while, and log the start and the end, so that overlapping runs would show."""
    pause_s = time.monotonic() - ENDED_AT[-1]
    log.info("tick begins in %d, past due %s, after a pause of %.3f", os.getpid(), timer.past_due, pause_s)
    time.sleep(float(os.environ.get("TICK_S", RUN_S)))
    ENDED_AT.append(time.monotonic())
    log.info("tick ends in %d", os.getpid())


@app.timer_trigger("timer", schedule="0 0 4 29 2 *")
def ticked_badly(timer: func.TimerRequest) -> None:
    """Fail."""
    raise RuntimeError("told to fail")
