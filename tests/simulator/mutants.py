"""Mistakes made on purpose, to show that the invariants can fail: `python -m tests.simulator.mutants`.

Each mutant replaces a text that occurs exactly once in one file of the core, so that a stale mutant fails loudly. It is
made while the module is imported, in a process of its own; nothing is patched, and no file is written. This module
imports nothing of the core, so that the mutated module is the first one that anybody sees.
"""

import argparse
import importlib.abc
import importlib.machinery
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter, process_time
from types import CodeType, ModuleType
from typing import NamedTuple

from tests.rules.sources import ROOT

SEEDS = 40
MAX_S = 6.0
UNIT_TESTS = ROOT / "tests" / "unit"
# What caught each mutant last, `seed 3` or `test_pool.py::test_…`: that is tried first. Renewed by `--write`.
CAUGHT = Path(__file__).with_name("caught.json")


class Mutant(NamedTuple):
    """One mistake."""

    name: str
    file: str
    right: str
    wrong: str


class Catch(NamedTuple):
    """What noticed a mutant: a seed of the simulator and its invariant, or a test; nothing if `by` is empty."""

    mutant: str
    by: str
    detail: str
    seconds: float


LEASES = "shared/domain/leases.py"
PANELS = "shared/domain/panels.py"
FACTS = "shared/domain/emergencies.py"
PRESENCE = "shared/domain/presence.py"
START = "shared/use_cases/start_call.py"
ANSWERS = "shared/use_cases/answer_dial.py"
OUTAGE_ANSWER = "shared/use_cases/answer_in_outage.py"
DARK = "shared/use_cases/answer_in_the_dark.py"
DIALS = "shared/domain/dials.py"
SWEEP = "shared/use_cases/expire_leases.py"
CALLBACK = "shared/use_cases/route_callback.py"
CALLBACKS = "shared/domain/callbacks.py"
LADDER = "shared/domain/callback_ladder.py"
OUTBOX = "shared/use_cases/take_up_outbox.py"
CLIMB = "shared/use_cases/continue_callback.py"
CALLBACK_LEGS = "shared/domain/callback_legs.py"
TELLING = "shared/use_cases/notify_of_callback.py"
RECONCILE = "shared/use_cases/reconcile_presence.py"
NOTICE = "shared/use_cases/deliver_notice.py"
TIES = "shared/use_cases/see_server_call.py"
ENDS = "shared/use_cases/end_call.py"
STORE = "shared/adapters/emergency_table.py"
ROWS = "shared/adapters/emergency_rows.py"
LENDING = "shared/adapters/lending.py"
ZONES = "shared/adapters/exhausted_zone.py"
POOLS = "shared/adapters/registered_pools.py"
NUMBERS = "shared/adapters/numbers_table.py"
TURNS = "shared/adapters/turns.py"
POOL = "shared/domain/pool.py"
DOOR = "shared/emergency_calling.py"
IDS = "shared/domain/ids.py"
SETTINGS = "shared/settings.py"
HTTP = "functions/http.py"
DECODING = "functions/wire/decoding.py"
EVENTS = "functions/wire/event_grid.py"
BATCH = "shared/adapters/entity_group.py"
IDENTITIES = "shared/domain/identities.py"
PANEL = "shared/use_cases/show_panel.py"
NOTE = "shared/use_cases/note_mailed.py"
LOOK_UP = "shared/use_cases/look_up_dial.py"
JUDGE = "shared/use_cases/judge_call.py"
BROKEN = "shared/adapters/broken_rows.py"
TABLE = "shared/adapters/table.py"
TIMES = "shared/adapters/stored_times.py"
STEPS = "shared/use_cases/steps.py"
SIGNED = "shared/adapters/signed_table.py"
EFFECTS = "shared/adapters/effect_threads.py"
REPEATS = "shared/adapters/repeats.py"
OUTAGE = "shared/adapters/outage_memory.py"
CLOSING = "shared/use_cases/close_thread.py"
SUBJECTS = "shared/domain/subjects.py"
IDENTIFY = "shared/use_cases/identify.py"
ENTRIES = "shared/adapters/agent_table.py"
CONFIDENTIALITY = "shared/domain/confidentiality.py"
ANSWER = "shared/use_cases/answer_callback.py"
REMEMBER = "shared/use_cases/remember_callback.py"
SENDER = "shared/domain/sender_quota.py"
SENT = "shared/adapters/sent_table.py"
CRISIS = "shared/domain/crisis_mail.py"
WAITING = "shared/use_cases/merge_waiting.py"
GRANTS = "shared/use_cases/sender_grants.py"

MUTANTS = (
    Mutant(
        "a lost ETag",
        STORE,
        "            Replace(own, values, stored.version) if",
        "            Replace(own, values) if",
    ),
    Mutant("lease end: wrong side", LEASES, "now < self.ends_at(rules)", "now <= self.ends_at(rules)"),
    Mutant(
        "lease end: a second short",
        LEASES,
        "_minutes(self.window_minutes)",
        "_minutes(self.window_minutes) - timedelta(seconds=1)",
    ),
    Mutant(
        "after the call: a minute long",
        LEASES,
        "_minutes(self.after_call_minutes)",
        "_minutes(self.after_call_minutes + 1)",
    ),
    Mutant("lease ends during a leg", LEASES, "quiet_since = self.busy_until or", "quiet_since ="),
    Mutant(
        "the timer does not expire the number",
        FACTS,
        "        moments.append(emergency.lease.ends_at(rules))\n",
        "        pass\n",
    ),
    Mutant(
        "an expiry that is not taken back",
        FACTS,
        "expired_at=None if lease.lasts(rules, now) else lease.ends_at(rules)",
        "expired_at=lease.ends_at(rules)",
    ),
    Mutant("expired when the timer comes", FACTS, "expired_at=lease.ends_at(rules)))", "expired_at=now))"),
    Mutant("cool-down skipped", LEASES, "return self.ends_at(rules) + rules.cool_down", "return self.ends_at(rules)"),
    Mutant(
        "time-out: wrong side",
        FACTS,
        "if now >= leg.dialled_at + rules.max_call",
        "if now > leg.dialled_at + rules.max_call",
    ),
    Mutant(
        "a drop is the agent's end",
        FACTS,
        "by_agent = reported.by_agent if reported is not None else _ended_by_agent(tie)",
        "by_agent = reported is None or reported.by_agent",
    ),
    Mutant(
        "ACS outranks the desktop",
        FACTS,
        "by_agent = reported.by_agent if reported is not None else _ended_by_agent(tie)",
        "by_agent = (reported is not None and reported.by_agent) or _ended_by_agent(tie)",
    ),
    Mutant(
        "a drop outranks the agent's own end",
        FACTS,
        "LegEnd(min(known.at, end.at), known.by_agent or end.by_agent)",
        "LegEnd(min(known.at, end.at), known.by_agent and end.by_agent)",
    ),
    Mutant(
        "a hold that was given back is not begun again",
        FACTS,
        "hold = _held_again(emergency.hold) if stands.held and not emergency.held else emergency.hold",
        "hold = emergency.hold",
    ),
    Mutant(
        "a hold that was left to a person is begun again",
        FACTS,
        "    if hold is not None and hold.left:\n",
        "    if hold is not None and hold.left and not hold.settled:\n",
    ),
    Mutant(
        "what a person changed just before the end is begun again",
        PRESENCE,
        "left = hold.left or (hold.applied and ",
        "left = hold.left or (hold.applied and False and ",
    ),
    Mutant(
        "what we gave back is left to a person",
        PRESENCE,
        "not hold.settled and replaced and not by_the_service)\n    return Settle",
        "not hold.settled)\n    return Settle",
    ),
    Mutant(
        "a claim on a call of any age ties",
        FACTS,
        "if key in seen and _fits(seen[key], leg)), None)",
        "if key in seen), None)",
    ),
    Mutant(
        "one line for all, by arrival",
        TURNS,
        "            self._lines[following.principal] = line\n",
        "            self._lines[following.principal] = line\n"
        "            self._lines.move_to_end(following.principal, last=False)\n",
    ),
    Mutant(
        "one principal may have every place",
        TURNS,
        "self._free and self._running[sender] < self._most_each",
        "self._free",
    ),
    Mutant(
        "a machine may have every place, one for each agent that it names",
        DOOR,
        "turns.turn(principal, sender=caller.owner,",
        "turns.turn(principal, sender=principal,",
    ),
    Mutant(
        "beyond their own line an agent mails and holds as in an outage",
        "shared/use_cases/start_call.py",
        "caller.is_agent or isinstance(turned_away, TooFast))",
        "isinstance(turned_away, TooFast))",
    ),
    Mutant(
        "a machine that comes faster than any crisis mails and holds as in an outage",
        "shared/use_cases/start_call.py",
        "(caller.is_agent or isinstance(turned_away, TooFast))",
        "caller.is_agent",
    ),
    Mutant(
        "presence is given back by what was read before somebody else gave it back",
        "shared/use_cases/reconcile_presence.py",
        "if latest.version != stored.version:",
        "if latest.version is None:",
    ),
    Mutant(
        "whoever always comes again has half of the processor",
        "shared/adapters/turns.py",
        "        if pace.left < 1:\n",
        "        if pace.left < -MAX_PACED:\n",
    ),
    Mutant(
        "beyond the line a repeat has another number",
        DOOR,
        "return Started(known) if known else self._start_call(",
        "return self._start_call(",
    ),
    Mutant(
        "beyond the line what a repeat says more is lost",
        DOOR,
        "said = (dial.entra_object_id, dial.server_call_id or before.server_call_id)",
        "said = (before.entra_object_id, before.server_call_id)",
    ),
    Mutant(
        "a crisis that a machine reports to a cold process is a flood",
        DOOR,
        "if principal != self._principal(caller, agent_id):",
        "if principal is None:",
    ),
    Mutant(
        "in an outage whoever dials is the one whom they name",
        "shared/use_cases/identify.py",
        "return unlisted(agent_id, caller.owner) if caller.agent_id is None else",
        "return _by_id(agent_id) if caller.agent_id is None else",
    ),
    Mutant(
        "all that one principal dials in an outage is repeated",
        "shared/adapters/repeats.py",
        "            if len(own) > most:\n",
        "            if False:\n",
    ),
    Mutant("one machine may have every thread", DOOR, "            if not seated:\n", "            if False:\n"),
    Mutant(
        "newcomers push out who held the number first",
        POOL,
        "    kept = [lease for lease in live if not lease.shared] + [lease for lease in live if lease.shared]\n",
        "    kept = list(live)\n",
    ),
    Mutant("one ration for all", NUMBERS, 'key_of(owner or "")', 'key_of("")'),
    Mutant(
        "what is rationed is dropped",
        STORE,
        "        yield Put(row, mail_values(change.notice, attempts=0))\n",
        "        del row\n",
    ),
    Mutant(
        "object ids that a machine makes up have a ration each",
        START,
        "numbers.ration(facts.caller.owner, facts.now",
        "numbers.ration(facts.subject.owner, facts.now",
    ),
    Mutant(
        "a leg beyond the ration opens the thread for all",
        FACTS,
        "thread = _deferring(before, notice_id)",
        "thread = _deferring(structs.replace(before, opened_by=notice_id, closed_for=()), notice_id)",
    ),
    Mutant(
        "what was told late is never told to be over",
        FACTS,
        "again = _others(addresses, known) if known is not None else ()",
        "again = ()",
    ),
    Mutant("what is told late twice is closed twice", FACTS, "again = _others(addresses, known)", "again = addresses"),
    Mutant("nothing is kept for first words", NOTICE, "deadline, repeat=repeat)", "deadline)"),
    Mutant("a machine's every id has a first word", DIALS, "repeat=before or rationed or not alone", "repeat=before"),
    Mutant("callbacks to a listed agent have no ration", DIALS, "had_enough(known.callback_notices, now)", "False"),
    Mutant("a callback beyond the ration is dropped", FACTS, " or notice_id in thread.deferred:", ":"),
    Mutant(
        "whoever rings the number uses up the agent's ration",
        DIALS,
        "(leg.received_at or leg.dialled_at for leg in known.legs if leg.notified), now)",
        "[*(leg.dialled_at for leg in known.legs if leg.notified), *known.callback_notices], now)",
    ),
    Mutant(
        "a callback tells what is claimed as a fact",
        TELLING,
        "    notice = structs.replace(notice, claimed=not is_listed)\n",
        "",
    ),
    Mutant("no ration in an outage", OUTAGE_ANSWER, " and mail_granted(facts, outage):\n", ":\n"),
    Mutant("inferred tie taken for exact", FACTS, "tie.kind is TieKind.EXACT and tie", "tie"),
    Mutant(
        "a leg that timed out is told of whenever the timer runs",
        FACTS,
        "untold = [leg for leg in emergency.legs if not leg.told_timed_out]",
        "untold = list(emergency.legs)",
    ),
    Mutant("two fitting legs: take the first", FACTS, "if len(fitting) == 1:", "if fitting:"),
    Mutant(
        "a call that was hung up for the dial is taken for it",
        FACTS,
        "    return not _was_hung_up_for(sighting, leg)\n",
        "    return True\n",
    ),
    Mutant(
        "a call before the dial is taken first",
        FACTS,
        "for before_the_dial in (CLOCK_SKEW, TIE_WITHIN):",
        "for before_the_dial in (TIE_WITHIN, CLOCK_SKEW):",
    ),
    Mutant(
        "an inferred tie is never put right",
        FACTS,
        "    return any(_fits(sighting, leg) or (no_start and leg in stands.in_progress) for leg in stands.guessed)\n",
        "    return False and no_start\n",
    ),
    Mutant(
        "a call before the dial leaves the dial's own call to the recorder",
        FACTS,
        "return _start_order(tie.sighting)[0] >= leg.dialled_at or (over and now >= leg.dialled_at + REPORTED_WITHIN)",
        "return True",
    ),
    Mutant(
        "a call just before the dial keeps the agent's others private for the whole window",
        FACTS,
        "return _start_order(tie.sighting)[0] >= leg.dialled_at or (over and now >= leg.dialled_at + REPORTED_WITHIN)",
        "return _start_order(tie.sighting)[0] >= leg.dialled_at",
    ),
    Mutant(
        "a call that was over by its report never is the dial's",
        FACTS,
        "if sighting.ended_at is None or not leg.told_when:",
        "if sighting.ended_at is None:",
    ),
    Mutant(
        "the oldest sighting goes, whatever hangs on it",
        FACTS,
        "tied = {tie.sighting.server_key for tie in ties(emergency).values()}",
        "tied = set[str]()",
    ),
    Mutant(
        "a length moves the start that was told",
        FACTS,
        "(each.started_at is None, each.start_derived, _start_order(each))",
        "(each.started_at is None, _start_order(each))",
    ),
    Mutant(
        "who has a guessed leg is not found by an event",
        ROWS,
        "if stands.untied or stands.guessed:",
        "if stands.untied:",
    ),
    Mutant(
        "hold after a drop: wrong side",
        FACTS,
        "if not end.by_agent and end.at > lately)",
        "if not end.by_agent and end.at >= lately)",
    ),
    Mutant(
        "the last end told wins",
        FACTS,
        "both = end if known is None else LegEnd(",
        "both = end if known is not end else LegEnd(",
    ),
    Mutant("presence change not owed", FACTS, "if stands.held != emergency.held or new_hold:", "if new_hold:"),
    Mutant(
        "release forgets the leg in progress",
        FACTS,
        "held_until=_NO_END if held else hold_ends_at,",
        "held_until=_NO_END if held and not (emergency.hold and emergency.hold.released_at) else hold_ends_at,",
    ),
    Mutant(
        "restore without compare",
        PRESENCE,
        "    if current.hold_id is not None:\n        return SetPresence(_found_by(_with_found",
        "    if current.hold_id is not None or (hold.applied and current.status is not hold.before):\n"
        "        return SetPresence(_found_by(_with_found",
    ),
    Mutant(
        "a change of the service is taken for a person's",
        PRESENCE,
        "by_the_service = ours or current.changed_by is SetBy.SYSTEM",
        "by_the_service = ours",
    ),
    Mutant(
        "a person's change is undone",
        PRESENCE,
        "if hold.applied and (hold.settled or not by_the_service):",
        "if hold.applied and hold.settled:",
    ),
    Mutant(
        "a change of the service is taken for what was before",
        PRESENCE,
        "(not by_the_service and (hold.before, hold.before_native) != _state_of(current))",
        "(hold.before, hold.before_native) != _state_of(current)",
    ),
    Mutant(
        "nobody looks whether it is still ours",
        FACTS,
        "known = now + LOOK_WHILE_HELD if looked_for else None",
        "known = None",
    ),
    Mutant(
        "Offline of a closed tab outlives the hold",
        PRESENCE,
        "if hold.touched and not hold.settled and by_the_service and replaced:",
        "if hold.before is UNKNOWN_BEFORE and hold.previous and replaced:",
    ),
    Mutant(
        "snapshot taken after the set",
        PRESENCE,
        "        before=found.before,\n",
        "        before=None,\n",
    ),
    Mutant(
        "a new hold keeps no snapshot",
        PRESENCE,
        "return Remember(with_snapshot(hold, current))",
        "return SetPresence(Presence(status=PresenceStatus.BUSY, hold_id=hold.hold_id, version=current.version))",
    ),
    Mutant("dialled_at not clamped", DIALS, "return min(self._said_at, self.received_at)", "return self._said_at"),
    Mutant("stale start believed", DIALS, "return self.now - reported_at > self.rules.window", "return False"),
    Mutant(
        "redial does not keep its number",
        START,
        "if current is not None and current.lives(facts.rules, facts.now):",
        "if current is not None and current.lives(facts.rules, facts.now) and current.number > '0':",
    ),
    Mutant(
        "a server call that only a repeat of the dial names is dropped",
        START,
        "if said is None or key_of(said) in leg.claims:",
        "if said != facts.dial.call_id:",
    ),
    Mutant("shared is not said", START, "shared=loan.kind is LoanKind.SHARED", "shared=False"),
    Mutant("claim believed without starter", TIES, "if starter in starters:", "if starter:"),
    Mutant("resting holder rings no more", CALLBACK, "in_a_call(now)) or last[:1]", "in_a_call(now))"),
    Mutant("the last holder rings for ever", CALLBACK, "if now < holder.lease.released_at(rules)", "if holder"),
    Mutant("the notice is not in the transaction", STORE, "            *_owed_writes(change),\n", ""),
    Mutant(
        "a notice that another sweep has claimed is sent",
        OUTBOX,
        "            effects.append(DeliverNotice(emergencies.claim(",
        "            effects.append(DeliverNotice(notice))\n"
        "            effects[-1] = (DeliverNotice(emergencies.claim(",
    ),
    Mutant(
        "a shorter window takes what was promised",
        LEASES,
        "return window_ends if self.kept_until is None else max(window_ends, self.kept_until)",
        "return window_ends",
    ),
    Mutant(
        "a shorter time after the call takes what was promised",
        LEASES,
        "max(rules.after_call_minutes, self.kept_after_call_minutes)",
        "rules.after_call_minutes",
    ),
    Mutant(
        "a shorter cool-down takes what was promised",
        LEASES,
        "max(rules.cool_down_minutes, self.kept_cool_down_minutes)",
        "rules.cool_down_minutes",
    ),
    Mutant(
        "an outage's mark is believed over what was there before the first leg",
        PRESENCE,
        "if ours_was_replaced and _in_words_of_today(mark.before_set_by) is SetBy.SYSTEM:",
        "if not ours_was_replaced and mark.before is None:",
    ),
    Mutant(
        "a call of the lease before is recorded again by its late event",
        START,
        "or (past and not dials_now)",
        "",
    ),
    Mutant(
        "a call of the lease before is recorded again by another process's repeat",
        START,
        "not (facts.dial.by_event or facts.dial.repeated)",
        "not facts.dial.by_event",
    ),
    Mutant(
        "nobody is told that it is over",
        FACTS,
        "return structs.replace(thread, close_at=min(thread.close_at or latest, latest))",
        "return thread",
    ),
    Mutant(
        "told that it is over while it is not",
        FACTS,
        "return over and (not held or",
        "return over or (not held or",
    ),
    Mutant(
        "a test in progress keeps a real call from being told to be over",
        FACTS,
        "over = not any(leg in legs for leg in stands.in_progress)",
        "over = not stands.in_progress",
    ),
    Mutant(
        "the hold of a test keeps a real call from being told to be over",
        FACTS,
        "held = any(leg in legs for leg in stands.dropped)",
        "held = stands.held",
    ),
    Mutant(
        "what is over bears the times of a test beside it",
        FACTS,
        "    if not test and _opened_by_test(emergency):\n",
        "    if not test:\n",
    ),
    Mutant(
        "a test has no end of its own",
        FACTS,
        '**{"test_thread" if test else "thread": thread}',
        "thread=thread",
    ),
    Mutant(
        "the end of a hold beside a test is looked at by nobody",
        FACTS,
        "elif held and not thread.closed and not any(leg in legs for leg in stands.in_progress):",
        "elif held and not thread.closed and not stands.in_progress:",
    ),
    Mutant(
        "a test of the version before is told to be over as a real call",
        FACTS,
        "return structs.replace(emergency, thread=None, test_thread=emergency.thread)",
        "return emergency",
    ),
    Mutant(
        "a test beyond the ration takes a real call's place",
        DIALS,
        'f"later test {kind}" if test else',
        "",
    ),
    Mutant(
        "who was told of a test alone waits for the first word of a real call",
        "shared/domain/crisis_mail.py",
        "emergency.test_thread if notice.test else None",
        "emergency.test_thread",
    ),
    Mutant(
        "told that it is over before they are told of it",
        FACTS,
        "latest = lease.ends_at(rules) if lease is not None and waits else now",
        "latest = now",
    ),
    Mutant(
        "a second closing notice tells of the calls before the first one, too",
        FACTS,
        "closed_at is None or leg.dialled_at > closed_at",
        "True",
    ),
    Mutant(
        "a notice is given up when the window is over, in the middle of the call",
        "shared/domain/dials.py",
        "lease is None or lease.taken or now < notice.give_up_at",
        "True or now < notice.give_up_at",
    ),
    Mutant(
        "a look that took long holds presence anew after the end",
        RECONCILE,
        "if not (held and committed):",
        "if not held:",
    ),
    Mutant(
        "a dial of an outage gives back once more what a later one gave back",
        FACTS,
        "return emergency if later else structs.replace(emergency, hold=held.hold)",
        "return structs.replace(emergency, hold=held.hold)",
    ),
    Mutant(
        "a redial does not open the thread again",
        FACTS,
        "thread = _awaiting(opened, notice_id)",
        "thread = _awaiting(emergency.thread or opened, notice_id)",
    ),
    Mutant(
        "who is told late is never told that it is over",
        FACTS,
        "if (thread.close_at is not None and not awaited) or (thread.closed and thread.left):",
        "if thread.close_at is not None and not awaited:",
    ),
    Mutant(
        "a late mark is looked for at once only",
        PRESENCE,
        "if (not hold.applied or current.may_land) and now < again_at:",
        "if not hold.applied and hold.look_again_at is None:",
    ),
    Mutant(
        "a notice whose claim has lapsed is sent",
        NOTICE,
        "if now >= owed.due_at:",
        "if owed.version is None and now >= owed.due_at:",
    ),
    Mutant(
        "a service that takes nothing blames the recipients",
        NOTICE,
        "if self._doubted:",
        "if self._doubted and not self.unsent:",
    ),
    Mutant(
        "whoever was refused before the sender was mended stays refused",
        NOTICE,
        "(self._refused_alone if self.dispatches else self._doubted).extend(group)",
        "self._refused_alone.extend(group)",
    ),
    Mutant(
        "any entry is the entry of whoever signs in",
        SUBJECTS,
        'return bool(caller.name) and (entry.entra_object_id or "").lower() == caller.name.lower()',
        "return bool(caller.name)",
    ),
    Mutant(
        "a machine's own id for a listed agent is dropped", DIALS, "reported_as=facts.reported_as", "reported_as=None"
    ),
    Mutant(
        "whom a machine calls by an id is who is entered under it", SUBJECTS, "return owner is not None", "return True"
    ),
    Mutant(
        "by another machine's id for them a listed agent is found",
        IDENTIFY,
        'same_agent(leg.reported_as or "", agent_id)',
        "leg.reported_by",
    ),
    Mutant(
        "in an outage an object id that is reported says nothing",
        IDENTIFY,
        "return listed(entries[0], agent_id) if entries else _by_id(agent_id)",
        "return _by_id(agent_id)",
    ),
    Mutant(
        "an agent is answered under another's id",
        IDENTIFY,
        "any(same_agent(each, agent_id) for each in stored.emergency.answered_ids)",
        "True",
    ),
    Mutant(
        "a redial takes the id of the dial before from an unlisted agent",
        FACTS,
        "*(leg.answered_as for leg in self.legs if leg.answered_as)",
        "*()",
    ),
    Mutant(
        "a repeat of a dial is answered with an id that nothing was recorded under",
        ANSWERS,
        "answered_as = leg.answered_as if facts.agent is None else None",
        "answered_as = None",
    ),
    Mutant(
        "who has an entry reaches whatever entry they name",
        IDENTIFY,
        "is_own = agent_key_of(agent_id) in directory.own_keys(caller.name, deadline).result()",
        "is_own = True",
    ),
    Mutant(
        "an entry beside the first is theirs only where they dial",
        IDENTIFY,
        "    named = entry_named(agent_id, own)\n    if named is not None or not own or",
        "    named = entry_named(agent_id, own[:1])\n    if named is not None or own or",
    ),
    Mutant(
        "who is entered anew in the middle of their emergency begins another one",
        ENTRIES,
        "marks += [now if any(",
        "marks += [None if any(",
    ),
    Mutant(
        "what was dialled as an entry that is removed is not looked for under the other one",
        ENTRIES,
        "self._mark_others(before, deadline)",
        "pass",
    ),
    Mutant(
        "an id that another agent was given is still theirs",
        ENTRIES,
        "return left if entered is None else None",
        "return left",
    ),
    Mutant(
        "an agent may end whatever call they know the id of",
        ENDS,
        "    if caller.is_agent:\n        listed: dict",
        "    if caller.kind is None:\n        listed: dict",
    ),
    Mutant(
        "a stranger's end is that of a call which a machine reports",
        "shared/use_cases/believe_end.py",
        "each.agent_key is None and each.ended_by in told_by]",
        "each.agent_key is None]",
    ),
    Mutant(
        "an end for one agent is that of another's call of the same id",
        "shared/use_cases/believe_end.py",
        "each.ended_for is None or not keys.isdisjoint(each.ended_for)]",
        "each.ended_for is None or each.ended_for]",
    ),
    Mutant(
        "the ends of two agents' calls of the same id are one",
        ENDS,
        "if (each.ended_by, each.ended_for) == (told.ended_by, told.ended_for)), None)",
        "if each.ended_by == told.ended_by), None)",
    ),
    Mutant(
        "an end that lies beside another's call ends the next one, too",
        STORE,
        "        yield from (Delete(row, end.version) for row, end in ends.items() if row not in legs)\n",
        "",
    ),
    Mutant(
        "a stranger's call of the same id takes the end from a machine",
        ENDS,
        "return [each for each in calls if likely(each) == most]",
        "return calls if most is not None else []",
    ),
    Mutant(
        "early ends of a listed agent have no bound",
        ENDS,
        "return allowances.grants(named.key, MAX_EARLY_ENDS_A_WINDOW, now)",
        "return True",
    ),
    Mutant(
        "an id that somebody made up shows another's emergency",
        IDENTIFY,
        "if stored.emergency is not None and stored.emergency.owner is None:",
        "if stored.emergency is not None:",
    ),
    Mutant(
        "an identity by an agent's own word deletes a recording",
        CONFIDENTIALITY,
        "if any(tie.kind is TieKind.EXACT and not tie.sighting.self_stated for tie in tied):",
        "if any(tie.kind is TieKind.EXACT for tie in tied):",
    ),
    Mutant(
        "a page of strangers' claims hides a listed agent's",
        ROWS,
        'last = f"{emergency.rank}|{emergency.agent_key}"',
        "last = emergency.agent_key",
    ),
    Mutant(
        "a call from another host's number rings",
        REMEMBER,
        "return None if known is not None and known.result() else parties",
        "return parties",
    ),
    Mutant(
        "what a stranger names is recorded for whom they name",
        SUBJECTS,
        'own = unlisted(caller.stand_in or "", caller.owner)',
        "own = unlisted(entry.agent_id, entry.agent_id)",
    ),
    Mutant(
        "the end comes before the notice of the last leg",
        FACTS,
        "if (thread.close_at is not None and not awaited) or",
        "if thread.close_at is not None or",
    ),
    Mutant(
        "two ends of one thread have one id",
        CLOSING,
        "|{before}",
        "",
    ),
    Mutant(
        "what was planned counts as sent",
        NOTICE,
        "recipients=sending.accepted",
        "recipients=len(owed.notice.recipients)",
    ),
    Mutant("every refusal is halved to the end", NOTICE, "self._refusals >= MAX_REFUSALS", "self._refusals < 0"),
    Mutant(
        "whom the service does not name keeps the notice from the others",
        NOTICE,
        "return [list(group[:middle]), list(group[middle:])]",
        "return [list(group[middle:])]",
    ),
    Mutant("a number on another call is somebody else", IDENTITIES, ".partition(_SUFFIX)[0]", ""),
    Mutant("identities are compared as they are written", IDENTITIES, "target.casefold()", "target"),
    Mutant(
        "a list that is not known keeps the next rung waiting",
        LADDER,
        "+ LOOK_PATIENCE and not _look_ahead(callback, now)",
        "+ LOOK_PATIENCE",
    ),
    Mutant("a message id is a key as it comes", STORE, "key_of(operation_id.casefold())", "operation_id"),
    Mutant(
        "a write that was never sent is to blame",
        BATCH,
        "return refusal if refusal.index < len(writes) else _UNREADABLE",
        "return refusal",
    ),
    Mutant(
        "sent but not struck off",
        NOTICE,
        "    onward = _strike_off(owed, notice, sending.tracked, means)\n",
        "    _note_told(notice, sending.tracked, means)\n    onward = ()\n",
    ),
    Mutant(
        "due row not moved",
        STORE,
        "yield from (Delete(key) for key in before if key not in index)",
        "yield from (Delete(key) for key in before if key not in index and not key.startswith('due|'))",
    ),
    Mutant(
        "two bring the pool in line at once",
        NUMBERS,
        "[Replace(POOL_ROW, values, mark), *writes]",
        "[Put(POOL_ROW, values), *writes]",
    ),
    Mutant("a late reading frees what was lent", LENDING, "            if not lent:\n", "            if True:\n"),
    Mutant(
        "an emergency without a number loses its legs",
        FACTS,
        " or (before is not None and before.lost and now < before.ends_at(rules))",
        "",
    ),
    Mutant(
        "a stale start leaves presence held",
        ANSWERS,
        "(ReturnPresence(facts.presence_named, facts.hold.hold_id),)",
        "()",
    ),
    Mutant(
        "a lent number that left the pool comes free",
        NUMBERS,
        "elif _leaves(slot):\n            yield Delete(slot.key, slot.version)\n        elif",
        "elif",
    ),
    Mutant(
        "forget without giving the slot back",
        STORE,
        "writes += self._numbers.given_back(emergency.lease.number, emergency.agent_key, now, deadline)",
        "pass",
    ),
    Mutant(
        "the free row stays when it is lent",
        NUMBERS,
        "        yield Delete(loan.row, loan.version)\n",
        "        yield Put(loan.row, _BARE)\n",
    ),
    Mutant(
        "only the own numbers are answered in an outage",
        POOLS,
        "(self.pool.numbers if lately else self._own)",
        "self._own",
    ),
    Mutant("a number that came free is shared", NUMBERS, "    if loan.held_by:\n", "    if loan.held_by == 'x':\n"),
    Mutant("a number without holders is shared", ZONES, "not (found.holders or found.unreadable)", "False"),
    Mutant(
        "a held number stays free", NUMBERS, "for number in held & free.keys()", "for number in set() & free.keys()"
    ),
    Mutant(
        "the tombstone is ignored",
        "shared/use_cases/believe_end.py",
        "return tuple(own[:MAX_ENDS_BELIEVED])",
        "return ()",
    ),
    Mutant(
        "quota ignored",
        LENDING,
        "if unlisted_share is not None and unlisted_share.place is None:",
        "if unlisted_share is None and country == '':",
    ),
    Mutant("share order reversed", POOL, "least = min(", "least = max("),
    Mutant(
        "the least active holder speaks for a number",
        POOL,
        "members), key=_rank)",
        "members), key=_rank, reverse=True)",
    ),
    Mutant("a number that left the pool is shared", POOL, "(each for each in uses if each.number in members)", "uses"),
    Mutant(
        "the shortest resting first", POOL, "key=lambda rest: rest.ends_at)", "key=lambda rest: now - rest.ends_at)"
    ),
    Mutant("no second look at what other dials are after", LENDING, "MAX_LOOKS = 2", "MAX_LOOKS = 1"),
    Mutant(
        "what a dial has in mind is another's too",
        LENDING,
        "self._chosen(free, leaving_out=self._taken)",
        "self._chosen(free, leaving_out=())",
    ),
    Mutant(
        "two dials try one resting number",
        POOL,
        "        self.resting = tuple(number for number in self.resting if number != first)\n",
        "",
    ),
    Mutant(
        "a number is taken from whoever holds it",
        POOL,
        "    return not lease.keeps_number(rules, now)\n",
        "    return lease.last_ended_at is not None or not lease.keeps_number(rules, now)\n",
    ),
    Mutant(
        "a host that is gone keeps its numbers in the pool",
        POOLS,
        "(seen := _seen_at(row)) is not None and age_of(seen, now) < REGISTERED_FOR",
        "_seen_at(row) is not None",
    ),
    Mutant("a burst comes to one number", POOL, "Activity(True, self.sharers + 1, self.last)", "self"),
    Mutant("unknown agents may hold the whole pool", POOL, "UNLISTED_HAVE_ONE_IN = 5", "UNLISTED_HAVE_ONE_IN = 1"),
    Mutant("a window of notices of a minute", POOL, "now.minute - now.minute % RATION_WINDOW_MINUTES", "now.minute"),
    Mutant(
        "a lease that ends now still keeps its number from resting",
        POOL,
        "if rest.ends_at > now}",
        "if rest.ends_at >= now}",
    ),
    Mutant(
        "shared before resting",
        LENDING,
        "return new or (self._reader.resting_loan(picture, now, deadline) if takes else None)",
        "return new",
    ),
    Mutant("an event's dial counts though the store has not got it", DOOR, "        started.require_recorded()\n", ""),
    Mutant("no dial is repeated", DOOR, "        if started.owed:\n", "        if False:\n"),
    Mutant(
        "a repeat is dialled when it is made",
        DOOR,
        "structs.replace(dial, received_at=self.clock.now())",
        "dial",
    ),
    Mutant(
        "whoever waits for a turn has all of the time again",
        DOOR,
        "self.budgets.start_call_at_most_s - (self.clock.monotonic() - arrived)",
        "self.budgets.start_call_at_most_s",
    ),
    Mutant("a dial begins though its time is over", DOOR, "in_turn and left_s >= MIN_LEFT_FOR_A_DIAL_S", "in_turn"),
    Mutant("no dial goes before what others owe", "shared/bootstrap.py", "crowd_s=CROWD_FIRST_S", "crowd_s=0.0"),
    Mutant("no turn, all the time", DOOR, "patient if in_time else self.within(0.0)", "patient"),
    Mutant(
        "an event away keeps the others from their try",
        DOOR,
        "                away = failed\n",
        "                raise\n",
    ),
    Mutant("a poll that is not in turn waits", DOOR, "seconds if in_turn else 0.0", "seconds"),
    Mutant(
        "End call vanishes when a callback rings",
        PANELS,
        "controls=RINGING_DURING_A_CALL_CONTROLS if in_a_call else RINGING_CONTROLS,",
        "controls=RINGING_CONTROLS,",
    ),
    Mutant(
        "a shared number rings whoever talks at once",
        CALLBACK_LEGS,
        "return any(len(callback.parties) > 1 or leg.callback is not None for leg in others)",
        "return any(leg.callback is not None for leg in others)",
    ),
    Mutant(
        "whoever talks rings after the desk",
        LADDER,
        "rungs |= {Rung.ENGAGED: _identities(busy), Rung.DESK: desk}",
        "rungs |= {Rung.DESK: desk, Rung.ENGAGED: _identities(busy)}",
    ),
    Mutant("a call is sent on to whoever talks", CALLBACK, "holder.lease.in_a_call(now)", "0"),
    Mutant("the others ring on", LADDER, "    if others:\n", "    if others and not callback.connected:\n"),
    Mutant(
        "nobody looks whether they still talk",
        LADDER,
        "return Look() if callback.look_at <= now else Wait(callback.look_at)",
        "return Wait(now + LOOK_PATIENCE)",
    ),
    Mutant("no round again", LADDER, "lap.began_at + MIN_LAP", "lap.began_at + MIN_LAP * 9999"),
    Mutant(
        "waits for a lost event",
        LADDER,
        "if not callback.connected and now < presumed_at:",
        "if not callback.connected:",
    ),
    Mutant(
        "an answer that no event told is not looked for",
        LADDER,
        "return Wait(min(ahead)) if ahead else Look()",
        "return None",
    ),
    Mutant(
        "the fallback never rings for good",
        LADDER,
        "for_good = fallback and",
        "for_good = not fallback and",
    ),
    Mutant(
        "the fallback rings too early", LADDER, "now >= since + FALLBACK_AFTER", "now >= since + FALLBACK_AFTER / 2"
    ),
    Mutant(
        "a stale list is believed",
        CALLBACKS,
        "if told == each or looked.asked_at >= since + LOOK_SETTLES:",
        "if told == each or now >= since:",
    ),
    Mutant(
        "a further round asks nobody who is there",
        LADDER,
        "look_at = now if lap.begins and lap.number else",
        "look_at =",
    ),
    Mutant("whoever drops out stays for ever", CALLBACKS, "structs.replace(each, left_at=now) if gone", "each if gone"),
    Mutant(
        "a late event looks for whoever holds it today",
        CLIMB,
        "        except NotFound:\n            return False\n",
        "        except NotFound:\n            return True\n",
    ),
    Mutant("the number is not shown", CLIMB, "caller_id=own if is_e164(invitation.target) else None", "caller_id=None"),
    Mutant(
        "an answered callback is no emergency", CALLBACK_LEGS, "holds_presence=ended_at is None", "holds_presence=False"
    ),
    Mutant(
        "a real call's late callback is told as a test's",
        FACTS,
        "None if all(leg.test for leg in gone) else before.released_at(rules)",
        "None",
    ),
    Mutant(
        "a real call before the test before is forgotten",
        FACTS,
        "for each in (emergency.real_until, until) if",
        "for each in (until,) if",
    ),
    Mutant(
        "a test of a number of its own is called back as a real call",
        FACTS,
        "    if before is None or before.lost:\n        # The next",
        "    if before is None:\n        # The next",
    ),
    Mutant(
        "answered callbacks are told as missed",
        TELLING,
        "missed = closing and not was_answered(known)",
        "missed = closing",
    ),
    Mutant(
        "missed callbacks are not told",
        TELLING,
        "CALLBACK_MISSED if missed else None",
        "CALLBACK_MISSED if missed and not closing else None",
    ),
    Mutant(
        "whom a call rings that was answered without the store is never remembered",
        "shared/emergency_calling.py",
        "        if not again():\n",
        "        if False and not again():\n",
    ),
    Mutant(
        "the store that failed for a moment is not asked again before a callback's event is acknowledged",
        "shared/emergency_calling.py",
        "        if not again():\n",
        "        if again:\n",
    ),
    Mutant(
        "who was told is forgotten in the middle of a long call",
        "shared/domain/dials.py",
        "return min(ends_at, max(lease.reachable_until(rules, now), asked_again_at))",
        "return None",
    ),
    Mutant(
        "a word of a callback outlives the emergency",
        "shared/use_cases/notify_of_callback.py",
        "give_up_at=lease.kept_until_at_least(deployment.rules, now),",
        "give_up_at=lease.released_at(deployment.rules),",
    ),
    Mutant(
        "what was done for a dial in an outage is never forgotten",
        "shared/adapters/recent.py",
        "over_s = self._clock.monotonic() - self._lasts_s",
        "over_s = -1.0",
    ),
    Mutant(
        "a callback is never forgotten",
        LADDER,
        "        forget_at=forget_at,\n",
        "        forget_at=forget_at + KEPT_AFTER_END * 999,\n",
    ),
    Mutant(
        "a far clock is believed",
        DIALS,
        "return not self.dial.by_event and abs(self._said_at - self.received_at) > self.rules.window",
        "return False",
    ),
    Mutant(
        "what was measured counts last",
        DIALS,
        "return self.received_at - ago if ago is not None else",
        "return self.received_at - ago if ago is not None and self.dial.dialled_at is None else",
    ),
    Mutant(
        "a dial that is recorded late overwrites what a later one established",
        DIALS,
        "    return later and goes_on(",
        "    return False and goes_on(",
    ),
    Mutant(
        "what a lease that is over established stays for the next one",
        DIALS,
        "    return later and goes_on(known, lease, facts.rules, facts.now)",
        "    return later",
    ),
    Mutant(
        "a desktop whose clock is behind dials before what was dialled elsewhere",
        DIALS,
        "return self.dialled_at if measured else self.received_at",
        "return self.dialled_at",
    ),
    Mutant(
        "a dial that is recorded late says which softphone is the agent's",
        DIALS,
        "    if new.in_directory or not known.starters:\n",
        "    if new or not known.starters:\n",
    ),
    Mutant(
        "a dial that is not recorded yet is shown only while the store is away",
        PANEL,
        "    if _outranks(dialled, panel) and",
        "    if False and _outranks(dialled, panel) and",
    ),
    Mutant(
        "an unlisted agent is refused under the id that they were answered with",
        PANEL,
        "    except (NotAllowed, Unavailable) as error:\n",
        "    except Unavailable as error:\n",
    ),
    Mutant(
        "whatever is recorded of an agent, what they dialled since is shown no more",
        OUTAGE,
        "if by in of_agent and of_agent[by].call_key == call_key:",
        "if by in of_agent:",
    ),
    Mutant(
        "what another process recorded is shown as a dial that is not recorded",
        PANEL,
        "_outranks(dialled, panel) and _known(dialled, emergencies, deadline) is StoreKnows.NOTHING:",
        "_outranks(dialled, panel):",
    ),
    Mutant(
        "a call that ended before it was recorded goes on",
        LOOK_UP,
        "return StoreKnows.ITS_END if ends else StoreKnows.NOTHING",
        "return StoreKnows.NOTHING",
    ),
    Mutant(
        "an agent's dial is hidden by whoever gives the same call id",
        LOOK_UP,
        "each.agent_key and (each.reported_by is not None or each.owner in theirs)",
        "each.agent_key",
    ),
    Mutant(
        "a responder who rings beside a dial that is not recorded hides End call",
        PANELS,
        "        return structs.replace(panel, controls=RINGING_DURING_A_CALL_CONTROLS)\n",
        "        return panel\n",
    ),
    Mutant(
        "a machine is shown what another reported of an unlisted id",
        PANEL,
        "is_listed or caller.kind is CallerKind.OFFICE",
        "is_listed or not caller.is_agent",
    ),
    Mutant(
        "a listed agent's own panel shows only what they reported themself",
        PANEL,
        "is_listed = entry is not None and",
        "is_listed = entry is not None and not caller.is_agent and",
    ),
    Mutant(
        "an unlisted agent is not shown what was reported under their object id",
        OUTAGE,
        "by in (dial.by, dial.owner)",
        "by == dial.by",
    ),
    Mutant(
        "by an id of before their entry an agent is shown another's dial",
        PANEL,
        "entry_named(agent_id, (entry,)) is not None",
        "True",
    ),
    Mutant(
        "a dial that is not recorded yet may be recorded on tape",
        JUDGE,
        "    if not dials:\n",
        "    if dials:\n",
    ),
    Mutant(
        "a softphone's calls stay private though its dial is recorded",
        JUDGE,
        "any(look_up_dial(dialled, emergencies, deadline) is not StoreKnows.RECORDED for dialled in fitting)",
        "any(True for dialled in fitting)",
    ),
    Mutant(
        "whom a mail of an outage reached is noted at once or never",
        DOOR,
        "self.repeats.keep(MAILS, effect.dial_key, again, MAX_MAILS_NOTED)",
        "assert again",
    ),
    Mutant(
        "whom a mail of an outage reached is noted by what was presumed alone",
        NOTE,
        "outage.recorded_under(mailed.dial_key) or _recorded_under(",
        "_recorded_under(",
    ),
    Mutant(
        "whom a mail of an outage reached is noted for nobody whom a machine named by an id without an entry",
        NOTE,
        "if each.agent_key and each.reported_by == mailed.by), None)",
        "if not each.agent_key), None)",
    ),
    Mutant(
        "a mail of an outage is noted with whatever call has the same id",
        NOTE,
        "if each.agent_key and each.reported_by == mailed.by), None)",
        "if each.agent_key), None)",
    ),
    Mutant(
        "a server call of long before ties",
        FACTS,
        "self.dialled_at if self.by_event else max(self.dialled_at, received_at - REPORTED_WITHIN)",
        "self.dialled_at",
    ),
    Mutant(
        "a call after a late report ties never",
        FACTS,
        "at <= (self.received_at or self.dialled_at) + TIE_WITHIN",
        "at <= self.dialled_at + TIE_WITHIN",
    ),
    Mutant(
        "faulty sources open the door",
        SETTINGS,
        "return tuple(dict.fromkeys(sources)), len(self.faults) > before",
        "return tuple(dict.fromkeys(sources)) or None, len(self.faults) > before",
    ),
    Mutant(
        "a callback is lost to a faulty source",
        EVENTS,
        "or (callbacks_from_anywhere and event.type == INCOMING_CALL)",
        "",
    ),
    Mutant(
        "a topic speaks for the telephony",
        EVENTS,
        " and _is_communication_services(source) is event.type.startswith(ACS_PREFIX)",
        "",
    ),
    Mutant(
        "one faulty field refuses the dial",
        DECODING,
        "            if each.required:\n                raise\n",
        "            raise\n",
    ),
    Mutant(
        "what is empty within a part is a fault",
        DECODING,
        "name: _without_empty(each, fields[name].type) if name in fields else each",
        "name: each",
    ),
    Mutant(
        "a dial is refused for how deep a field is that is not read",
        DECODING,
        "return json.loads(_without_depths(whole), parse_int=float, strict=strict)",
        "raise ValueError",
    ),
    Mutant(
        "a bracket in a text is taken for nesting",
        DECODING,
        "for token in _NESTING.finditer(text):",
        "for token in re.finditer(r'[\\[\\]{}]', text):",
    ),
    Mutant(
        "a dial is refused for how long a field is that is not read",
        "functions/wire/http.py",
        "dial_body(decoding.loosely_parsed(body, decoding.MAX_DIAL_BYTES), stand_in",
        "dial_body(decoding.loosely_parsed(body), stand_in",
    ),
    Mutant(
        "a call that is asked about twice is ordinary",
        JUDGE,
        'return list(dict.fromkeys((sent, *(part for each in sent.split(",") if (part := each.strip())))))',
        "return [sent]",
    ),
    Mutant("a blank field is a fault", DECODING, "isinstance(value, str) and not value.strip()", "value == ''"),
    Mutant("no sign-in is checked", SETTINGS, "        read.sign_in()\n", "        pass\n"),
    Mutant("a reading that failed is kept", LENDING, "begun, self._begun = self._begun, None", "begun = self._begun"),
    Mutant(
        "what nobody foresaw on a dial's way is a 5xx",
        DOOR,
        "            started = answer_in_the_dark(dial, caller, self.deployment, self.outage, self.clock.now())\n",
        "            raise\n",
    ),
    Mutant("the dark does not know a test", DARK, "        facts = facts.situated(None)\n", ""),
    Mutant(
        "what comes after a dial's answer takes it away",
        DOOR,
        "        except Exception as error:  # noqa: BLE001 - as above\n            self._count(error)\n",
        "        finally:\n            pass\n",
    ),
    Mutant("an escaped slash stays", DECODING, '.replace("%2F", "/").replace("%2f", "/")', '.replace("%2F", "/")'),
    Mutant("an id like a time is text", IDS, "same = _as_moment(outside_id) or outside_id", "same = outside_id"),
    Mutant("a foreign page changes something", HTTP, "if not origin or (req.method", "if origin or (req.method"),
    Mutant(
        "too many rows are an outage",
        STORE,
        "if len(writes) > MAX_ROWS_A_COMMIT:",
        "if len(writes) > MAX_ROWS_A_COMMIT * 99:",
    ),
    Mutant(
        "what nobody foresaw is no outage",
        START,
        "    except Exception as error:  # noqa",
        "    except ZeroDivisionError as error:  # noqa",
    ),
    Mutant(
        "a broken notice stays at the head",
        OUTBOX,
        "in (*owed.broken, *(each",
        "in (*(), *(each",
    ),
    Mutant("a stored time without a zone is taken", TIMES, "each.tzinfo is None or not", "not"),
    Mutant("a stored time at the edge is taken", TIMES, " or not MINYEAR < each.year < MAXYEAR", ""),
    Mutant("a key inside a row is believed", TABLE, "    require_key(key)\n    return key\n", "    return key\n"),
    Mutant("an id that no key can hold is believed", IDS, "{0,256}", "{0,256}|.*"),
    Mutant(
        "a key that nobody wrote is swept for ever", STORE, "read_moment(row)\n                    named()", "named()"
    ),
    Mutant("a free number's key is believed", ROWS, "    if not is_e164(number):\n", "    if False:\n"),
    Mutant(
        "a step of a timer takes the next along", STEPS, "            self.all_done = False\n", "            raise\n"
    ),
    Mutant(
        "what nobody can read stays for ever",
        BROKEN,
        "if now >= since + KEPT_FOR:",
        "if now < since:",
    ),
    Mutant(
        "a forgotten end takes a live call along",
        STORE,
        "if row is not None and not _needed(due, row):",
        "if row is not None:",
    ),
    Mutant(
        "the own footprint is another's",
        SIGNED,
        "if not _may_be_its_own(writes, conflict):",
        "if conflict.index >= 0:",
    ),
    Mutant(
        "another's footprint is the own",
        SIGNED,
        "return row is not None and row.values.get(SIGNATURE) == signature",
        "return row is not None and row.values.get(SIGNATURE) != 1",
    ),
    Mutant(
        "a test in an outage shows as real",
        OUTAGE,
        "test = dial.test and (before is None or before.test)",
        "test = False",
    ),
    Mutant(
        "an outage shows every panel to everybody",
        PANEL,
        "by = _reporter(agent_id, entry, caller) if caller.is_agent else None",
        "by = None",
    ),
    Mutant("a team lead has no panel of their own dial", PANEL, "owner_named(caller.name)", "caller.owner"),
    Mutant(
        "a repeat that fails is tried as often as ever",
        REPEATS,
        "wait_s = min(2 * kept.wait_s, AT_LEAST_EVERY_S)",
        "wait_s = kept.wait_s",
    ),
    Mutant(
        "every report of a bounce tells them again",
        FACTS,
        "if not new or notice_id in emergency.passed_on:",
        "if not new:",
    ),
    Mutant(
        "an address that is refused at once is nobody's bounce",
        NOTICE,
        "if state is delivery)",
        "if state is delivery is not Delivery.REFUSED)",
    ),
    Mutant(
        "what a bounce makes go on is not waited for",
        FACTS,
        "if thread is not None and not (missed and thread.closed):",
        "if thread is not None and thread.closed and not missed:",
    ),
    Mutant(
        "the end is told before a missed callback",
        FACTS,
        "thread = _awaiting(structs.replace(thread, close_at=None), notice_id)",
        "pass",
    ),
    Mutant(
        "a missed callback goes on to nobody who knows of the call",
        FACTS,
        "told = () if missed or thread is None else thread.aware",
        "told = () if thread is None else thread.aware",
    ),
    Mutant(
        "whoever heard that it is over is not told of the bounce of the next call",
        FACTS,
        "told = () if missed or thread is None else thread.aware",
        "told = () if missed or thread is None else thread.told",
    ),
    Mutant(
        "whom a bounce has told of the next call is told of each",
        FACTS,
        "told=told, unaware=len(unaware), awaited=awaited",
        "told=told, unaware=len(told), awaited=awaited",
    ),
    Mutant(
        "it is said to be over while the agent calls again",
        "shared/use_cases/withdraw_closing.py",
        "    return goes_on\n",
        "    return False\n",
    ),
    Mutant(
        "what is owed after an outage is the message of the outage",
        "shared/use_cases/mail_in_outage.py",
        'notice_id=derived(notice.notice_id, "outage")',
        "notice_id=notice.notice_id",
    ),
    Mutant(
        "the end after one that nobody heard tells of the last call alone",
        FACTS,
        "closed_for=closed_for, closed_at=None)",
        "closed_for=closed_for)",
    ),
    Mutant("a test in progress hides a real call", PANEL, "(is_test and not dialled.test)", "False"),
    Mutant(
        "what the store knows under another id stays on the panel",
        "shared/use_cases/start_call.py",
        "    means.outage.over(facts.caller.owner,",
        "    None and means.outage.over(facts.caller.owner,",
    ),
    Mutant(
        "whose word of the end was withdrawn hears of none",
        FACTS,
        "closed_for = _others(thread.closed_for, recipients)\n",
        "closed_for = thread.closed_for\n",
    ),
    Mutant(
        "an end that becomes known late is told to nobody",
        FACTS,
        "now < max(released_at, close_at) + GIVE_CLOSING_UP_AFTER",
        "now < released_at + GIVE_CLOSING_UP_AFTER",
    ),
    Mutant(
        "presence is said to be held where nothing can be",
        PANELS,
        "(hold.applied or emergency.presence_due_at is not None)",
        "not hold.settled",
    ),
    Mutant(
        "a number that a leg keeps expired long ago",
        LEASES,
        "return promised if now < promised else None",
        "return promised",
    ),
    Mutant("repeats before first words", CRISIS, "return (not self.first_word,", "return (self.first_word,"),
    Mutant(
        "what may have been sent is merged anew",
        CRISIS,
        "(begun if each.begun else kinds",
        "(begun if each.begun and not each.notice.word else kinds",
    ),
    Mutant("a test is merged with what is real", CRISIS, "setdefault(each.notice.test, [])", "setdefault(False, [])"),
    Mutant(
        "what is new goes before what waits",
        SENDER,
        "if not in_turn and is_crisis(sent, now):",
        "if not in_turn and quota.per_minute < 0:",
    ),
    Mutant(
        "beyond the quota nothing is owed further",
        NOTICE,
        "emergencies.let_wait(owed, rest, dispatches, deadline, ",
        "dict(",
    ),
    Mutant("the quota is asked for and not used up", SENT, "values = _values(after)", "values = _values(sent)"),
    Mutant(
        "what the e-mail service refused uses up the quota",
        GRANTS,
        "isinstance(failure, Refused) or failure.undone:",
        "isinstance(failure, Refused):",
    ),
    Mutant(
        "what may have been sent uses up no quota",
        GRANTS,
        "isinstance(failure, Refused) or failure.undone:",
        "granted_at:",
    ),
    Mutant(
        "what is given back opens another minute",
        SENDER,
        "sent.in_minute - (minute == sent.minute)",
        "sent.in_minute - 1",
    ),
    Mutant(
        "more is sent than was granted",
        WAITING,
        "in_turn=True, repeat=repeat)]",
        "in_turn=True, repeat=repeat) and len(some)]",
    ),
    Mutant(
        "who heard that it is over hears of a callback afterwards",
        NOTICE,
        "return emergency is not None and heard_the_end(",
        "return emergency is None and heard_the_end(",
    ),
    Mutant(
        "an answered callback is told once or never",
        NOTICE,
        "return emergency is not None and heard_the_end(",
        "return emergency is not None or heard_the_end(",
    ),
    Mutant(
        "a foreign number before a domestic one",
        POOL,
        "return tuple(zone for zone in own if zone in sizes), tuple(zone for zone in ordered if zone not in own)",
        "return tuple(zone for zone in ordered if zone not in own), tuple(zone for zone in own if zone in sizes)",
    ),
    Mutant(
        "the latest dial answers for every call",
        FACTS,
        "return leg.placement or (self.situation or Situation()).placement",
        "return (self.situation or Situation()).placement",
    ),
    Mutant(
        "a test that came later is what is called again",
        PANELS,
        "of_these = [leg for leg in about if not leg.test] or about or dialled",
        "of_these = about or dialled",
    ),
    Mutant(
        "who looks at an unlisted agent's presence gives it back",
        "shared/use_cases/return_presence.py",
        "dict.fromkeys((agent_key or agent_key_of(agent_id), unlisted_key(agent_id, owner_named(agent_id))))",
        "dict.fromkeys((agent_key_of(agent_id),))",
    ),
    Mutant(
        "who looks at a presence gives back what another machine's emergency holds",
        "shared/use_cases/return_presence.py",
        "    if any(holders_of(agent_id, emergencies, deadline)):\n",
        "    if False:\n",
    ),
    Mutant(
        "the first of two emergencies that hold one presence gives it back",
        RECONCILE,
        "return hand_on(emergency.hold) if others else step",
        "return step",
    ),
    Mutant(
        "of two that hold one presence until one moment each leaves it to the other",
        "shared/use_cases/find_holders.py",
        "return any(standing(each, rules, now).held for each in others)",
        "return any(True for _ in others)",
    ),
    Mutant(
        "a lease that is over takes a presence that another emergency holds",
        SWEEP,
        "        if is_held_by_another(",
        "        if False and is_held_by_another(",
    ),
    Mutant(
        "a softphone says which server call a callback is",
        FACTS,
        "if leg.leg_id == leg_id and not leg.callback else leg",
        "if leg.leg_id == leg_id else leg",
    ),
    Mutant(
        "whoever was lent a number last is its last holder",
        "shared/use_cases/route_callback.py",
        "key=lambda holder: holder.lease.ends_at(rules), reverse=True",
        "key=lambda holder: holder.lease.dialled_at, reverse=True",
    ),
    Mutant(
        "a callback that rings no more comes again",
        ANSWER,
        "if isinstance(failure, Refused) and nobody.for_good:",
        "if isinstance(failure, Unavailable) and nobody.for_good:",
    ),
    Mutant(
        "a callback that rings is given up",
        ANSWER,
        "if isinstance(failure, Refused) and nobody.for_good:",
        "if isinstance(failure, Refused):",
    ),
    Mutant(
        "nobody to be asked counts as a refusal",
        CALLBACK,
        "    for_good = bool(others)\n",
        "    for_good = True\n",
    ),
    Mutant(
        "a forgotten emergency's agent is rung",
        "shared/use_cases/continue_callback.py",
        "    if callback.drill:\n        return callback\n",
        "    if not callback.closed:\n        return callback\n",
    ),
    Mutant(
        "effects that cannot be begun raise",
        EFFECTS,
        "        except RuntimeError:\n",
        "        except ZeroDivisionError:\n",
    ),
    Mutant(
        "a late event of a callback tells the next holder's contacts",
        TELLING,
        "lease.lent_at <= callback.began_at",
        "lease.number is not None",
    ),
    Mutant(
        "the end is told before what goes on",
        NOTICE,
        "    emergency, onward = stored.emergency, None\n",
        "    onward = None\n"
        "    emergency = with_told(\n"
        "        stored.emergency, notice.notice_id, _accepted(dispatches), now, test=notice.test\n"
        "    )\n",
    ),
    Mutant(
        "what fails once is sent on to one person",
        ANSWER,
        "PAUSES_S = (0.5, 1.0, 2.0)",
        "PAUSES_S: tuple[float, ...] = ()",
    ),
    Mutant(
        "what another delivery answered is sent on",
        ANSWER,
        "found and isinstance(failure, Unavailable) and _is_answered(call, emergencies, clock)",
        "False",
    ),
    Mutant(
        "a number of no pool is looked up once",
        ANSWER,
        "    pause(ASK_AGAIN_AFTER_S)\n",
        "    return None, False\n",
    ),
    Mutant(
        "without the store whoever is not taken on is waited for",
        CLIMB,
        "        except (Refused, Unavailable):\n            return False\n        except NotFound:",
        "        except Refused:\n            return False\n        except (NotFound, Unavailable):",
    ),
)


class _MutatedLoader(importlib.machinery.SourceFileLoader):
    """Loads a module with one text replaced."""

    def __init__(self, fullname: str, mutant: Mutant) -> None:
        super().__init__(fullname, str(ROOT / mutant.file))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(mutated(self._mutant), self.path, "exec", dont_inherit=True)


class _MutatedFinder(importlib.abc.MetaPathFinder):
    """Finds the mutated module before anybody else does."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._module = mutant.file.removesuffix(".py").replace("/", ".")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, _MutatedLoader(fullname, self._mutant), origin=self._mutant.file
        )


def mutated(mutant: Mutant) -> str:
    """The mutated source; raises `LookupError` where the text to replace is not there exactly once."""
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.right) != 1:
        raise LookupError(f"mutant {mutant.name!r} is stale: its text occurs {source.count(mutant.right)} times")
    return source.replace(mutant.right, mutant.wrong)


def hunt(mutant: Mutant) -> Catch:
    """Let what caught it last look for it, then the simulator, then all tests of the core in memory.

    Only in a fresh process.
    """
    mutated(mutant)
    assert not any(name.startswith("shared") for name in sys.modules), "the core must not be imported yet"
    sys.meta_path.insert(0, _MutatedFinder(mutant))
    began = perf_counter()
    by, detail = _again(caught_last().get(mutant.name, "")) or _simulator() or _suites(mutant) or ("", "nobody noticed")
    return Catch(mutant.name, by, detail, perf_counter() - began)


def caught_last() -> dict[str, str]:
    """What caught each mutant, by its name."""
    caught: dict[str, str] = json.loads(CAUGHT.read_text(encoding="utf-8"))
    return caught


def _again(caught_by: str) -> tuple[str, str] | None:
    kind, _, seed = caught_by.partition(" ")
    if kind == "seed":
        return _seed(int(seed))
    return _failed([UNIT_TESTS / caught_by]) if caught_by else None


def _simulator() -> tuple[str, str] | None:
    for seed in range(SEEDS):
        if (caught := _seed(seed)) is not None:
            return caught
        if process_time() > MAX_S:
            break
    return None


def _seed(seed: int) -> tuple[str, str] | None:
    from tests.simulator.world import simulate

    outcome = simulate(seed, brief=True)
    if outcome.invariant == "the core raised NameError":
        raise LookupError(f"no mutant, but nonsense: {outcome.detail}")
    return None if outcome.invariant is None else (f"seed {seed}", outcome.invariant)


def _suites(mutant: Mutant) -> tuple[str, str] | None:
    """All of the unit tests; first the files that name the mutated module, which are the likeliest to notice."""
    module, suites = Path(mutant.file).stem, sorted(UNIT_TESTS.glob("test_*.py"))
    likely = [suite for suite in suites if module in suite.read_text(encoding="utf-8")]
    return _failed(likely) or _failed([suite for suite in suites if suite not in likely])


def _failed(suites: Sequence[Path]) -> tuple[str, str] | None:
    """The first test that fails, and with what."""
    if not suites:
        # Without a file pytest would run every test there is.
        return None
    import contextlib
    import io

    import pytest

    with contextlib.redirect_stdout(io.StringIO()) as told:
        code = pytest.main(["-q", "-x", "-m", "not process and not long", "-p", "no:cacheprovider", *map(str, suites)])
    if code != pytest.ExitCode.TESTS_FAILED:
        return None
    summary = next(line for line in told.getvalue().splitlines() if line.startswith(("FAILED tests/", "ERROR tests/")))
    test, _, detail = summary.partition(" ")[2].partition(" - ")
    # Without the case: its name may change with what is compared.
    return Path(test.partition("[")[0]).name, detail


def hunt_all(mutants: Sequence[Mutant] = MUTANTS, workers: int = 2) -> Iterator[Catch]:
    """Every mutant in a process of its own, as they are done."""
    with multiprocessing.get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(hunt, mutants, chunksize=1)


def main() -> int:
    """Print a table; 0 if every mutant was caught."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.mutants")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the first")
    parser.add_argument(
        "--write", action="store_true", help="remember in caught.json what caught them, to try it first"
    )
    arguments = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS[arguments.skip :] if arguments.only in mutant.name]
    began = perf_counter()
    catches: list[Catch] = []
    for catch in hunt_all(chosen):
        catches.append(catch)
        line = f"{catch.mutant:<40} {catch.by or 'NOT CAUGHT':<24} {catch.seconds:6.1f} s  {catch.detail}"
        print(line, flush=True)
        if arguments.write:
            _remember(catch)
    caught = sum(1 for catch in catches if catch.by)
    print(f"{caught} of {len(catches)} mutants caught in {perf_counter() - began:.0f} s")
    return 0 if caught == len(catches) else 1


def _remember(catch: Catch) -> None:
    known = caught_last() | ({catch.mutant: catch.by} if catch.by else {})
    names = sorted(mutant.name for mutant in MUTANTS if mutant.name in known)
    text = json.dumps({name: known[name] for name in names}, indent=2, ensure_ascii=False)
    # Moved into its place whole: the other processes read it meanwhile.
    written = CAUGHT.with_suffix(".new")
    written.write_text(f"{text}\n", encoding="utf-8")
    written.replace(CAUGHT)


if __name__ == "__main__":
    sys.exit(main())
