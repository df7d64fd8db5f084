"""Voice routes and the numbers bought on the resource, to be read; nothing here can be changed by the service's API."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.local.acs.messages import Dialled, Json, Placed, TelephonySetup


class TelephonyService:
    """`GET /sip` and `GET /phoneNumbers`; `setup` may be replaced at any time."""

    def __init__(self) -> None:
        self.setup = TelephonySetup()

    def forget(self) -> None:
        """Back to the state at start."""
        self.setup = TelephonySetup()

    async def routing(self, _: Request) -> Response:
        """`GET /sip`: trunks and routes, in order."""
        routes = self.setup.routes
        trunks = {trunk: {"sipSignalingPort": 5061} for route in routes for trunk in route.trunks}
        listed = [{"name": each.name, "numberPattern": each.pattern, "trunks": each.trunks} for each in routes]
        return JSONResponse({"trunks": trunks, "routes": listed})

    async def numbers(self, _: Request) -> Response:
        """`GET /phoneNumbers`: one page of all."""
        return JSONResponse({"phoneNumbers": [_listed(number, self.setup) for number in self.setup.numbers]})


def placed(dialled: Dialled, setup: TelephonySetup) -> Placed:
    """What the platform makes of an emergency call: the first route whose pattern is found in the digits takes it."""
    for route in setup.routes:
        if re.search(route.pattern, dialled.number):
            return Placed(path="direct_routing", route=route.name)
    return Placed(path="direct_offer" if dialled.caller_id in setup.numbers else "fails")


def _listed(number: str, setup: TelephonySetup) -> Json:
    calling = setup.calling.get(number, "inbound+outbound")
    return {
        "id": number.removeprefix("+"),
        "phoneNumber": number,
        "countryCode": "US",
        "phoneNumberType": "geographic",
        "capabilities": {"calling": calling, "sms": "none"},
        "assignmentType": "person" if number in setup.of_persons else "application",
        "purchaseDate": "2026-01-02T03:04:05.000Z",
        "cost": {"amount": 1.0, "currencyCode": "USD", "billingFrequency": "monthly"},
    }
