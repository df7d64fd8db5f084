"""The log of a whole story holds every event that the story gives rise to, although the host drops late records."""

import re
from collections import Counter

import pytest

from shared.telemetry import VOCABULARY
from tests.integration.used import contacts, new_agent, new_id
from tests.local.acs import EmailRules
from tests.local.stack import Softphone, Stack

pytestmark = pytest.mark.process

# Event, and how often; what follows from the answer of an effect comes after the invocation's end. The notice of the
# call, the same to the default contacts in place of who was refused, and that it is over are a message each.
OF_THE_STORY = {
    "administered": 1,
    "dial_prefix_trimmed": 1,
    "dial_recorded": 1,
    "presence_held": 1,
    "notice_sent": 3,
    "recipient_refused": 1,
    "notice_passed_on": 1,
    "tie_recorded": 1,
    "delivery_report": 4,
    "end_recorded": 1,
    "callback_rung": 1,
    "callback_answered": 1,
    "callback_joined": 1,
    "callback_over": 1,
    "presence_restored": 1,
    "lease_expired": 1,
    "number_released": 1,
}
# As often as the timers and the storage will.
BESIDES = {"sweep", "outbox", "outbox_sweep", "storage_failed", "callback_left_alone", "drill_age"}
SAID = re.compile(r"^(INFO|WARNING|ERROR) ([a-z_]+)((?: [a-z_]+=\S+)*)$", re.MULTILINE)


def test_the_log_of_a_whole_story_holds_every_event_of_it(local: Stack) -> None:
    already = len(local.logs()["host.log"])
    tell(local, local.softphone(local.add_agent(new_agent())))
    said = SAID.findall(local.logs()["host.log"][already:])
    counted = Counter(event for _, event, _ in said if event not in BESIDES)
    assert counted == Counter(OF_THE_STORY)
    for level, event, facts in said:
        assert level == {20: "INFO", 30: "WARNING", 40: "ERROR"}[VOCABULARY[event].level]
        assert set(re.findall(r"(\w+)=", facts)) <= VOCABULARY[event].facts, event


def tell(local: Stack, dana: Softphone) -> None:
    """A dial with a prefix, one contact refused, a tie, a drop, an answered callback, and the end of it all."""
    good, bad = contacts(dana.agent)
    local.control.email_rules(EmailRules(refused=[bad]))
    local.will_answer(dana.agent.acs_user_id)
    dana.show("available")
    call, server = new_id(), new_id("server")
    number = dana.dial(call, "9911").callback_number
    local.wait_for_email(good)
    local.control.call_started(dana.agent.acs_user_id, server, at=local.now())
    local.control.wait_until_delivered(within_s=30.0)
    dana.end(call, "dropped")
    local.wait_until_nothing_is_owed()
    callback = local.wait_for_answer(local.ring(number))
    # Else a hold that ends before do not disturb was seen again is looked at once more, 90 s later.
    local.wait_until_nothing_is_owed()
    local.end_callback(callback)
    dana.release()
    dana.wait_for_presence("available")
    local.wait_until_nothing_is_owed()
    local.forget_emergencies()
