// The emergency dialer: places an emergency call at once, and reports it beside that.
//
// A standard module without imports. It is handed the calling SDK's agent and never loads the SDK, so that it runs under
// the policy of whatever page hosts it. Its one rule: nothing here may delay or prevent `callAgent.startCall`.
//
//   const dialer = createEmergencyDialer({ api: "https://….example.com/api", agentId, getToken, callAgent, country: "US" });
//   dialer.dial("911");   // in the click's own task
//   dialer.end();

/**
 * What of the SDK is used, so that a stand-in can be checked against it; the SDK's own `CallAgent` fits.
 * @typedef {import("@azure/communication-calling").StartCallOptions} StartCallOptions
 * @typedef {Pick<import("@azure/communication-calling").Call, "state" | "callEndReason" | "hangUp" | "hold"> & {
 *   info: Pick<import("@azure/communication-calling").CallInfo, "getServerCallId">,
 *   on(event: "stateChanged", listener: () => void): void, feature(factory: any): any}} Call
 * @typedef {Pick<import("@azure/communication-calling").IncomingCall, "customContext"> & {
 *   callerInfo: {identifier?: {kind: string}}, accept(): Promise<Call>,
 *   on(event: "callEnded", listener: () => void): void}} IncomingCall
 * @typedef {{calls: readonly Call[], startCall(to: {phoneNumber: string}[], how?: StartCallOptions): Call,
 *   on(event: "incomingCall", listener: (ring: {incomingCall: IncomingCall}) => void): void,
 *   off(event: "incomingCall", listener: (ring: {incomingCall: IncomingCall}) => void): void}} EmergencyCallAgent
 * @typedef {Pick<import("@azure/communication-calling").DeviceManager, "getMicrophones" | "getSpeakers">} EmergencyDevices
 *
 * @typedef {object} DialerState
 * Of several legs that of an emergency counts, a real one before a test, also after its end while its number is lent.
 * @property {"idle" | "dialling" | "connecting" | "connected" | "reconnecting" | "ending" | "ended"} phase of the leg, also `reconnecting` where a callback's line is
 * @property {"agent" | "dropped" | null} ended who ended the emergency leg, or the callback after it; null while one is in progress
 * @property {"none" | "sent" | "degraded" | "accepted" | "refused" | "unreachable"} report what became of the report
 * @property {boolean} endOwed whether the end of a call is still to be told: till then the server counts the call
 * @property {boolean} emergency whether an emergency leg of this desktop is in progress, as far as is known here
 * @property {boolean} test whether the leg is a test call
 * @property {boolean} callback whether a responder's callback is being talked on
 * @property {boolean} inProgress whether `end()` has a call to end
 * @property {string | null} callId ours, not the SDK's, which changes during a call
 * @property {string | null} agentId under which the server knows the emergency; the panel polls under it
 * @property {string | null} dial the digits that were placed
 * @property {{marked: boolean} | null} incoming a call that rings; `marked`: an emergency callback
 * @property {any} panel the panel of the newest answer
 *
 * @typedef {object} DialerOptions
 * @property {string} api where the API is, with its prefix
 * @property {string | null} [agentId] left out where the sign-in says who it is
 * @property {(options?: {fresh?: boolean}) => string | null | undefined | Promise<string | null | undefined>} [getToken] an access
 *   token; without it, or where it gives none, cookies
 * @property {EmergencyCallAgent} callAgent
 * @property {EmergencyDevices} [deviceManager]
 * @property {boolean} [callerIdIsOurs] direct routing where the lent number may be shown as the caller id
 * @property {string} [purchasedCallerId] E.164, a number bought from Microsoft, for the second try
 * @property {string | null} [country] ISO 3166-1 alpha-2, where the desktop is
 * @property {string} [locale]
 * @property {string} [desktopId]
 * @property {string} [acsUserId] whom the calling agent signed in as: a responder's callback rings it where the entry has none
 * @property {any} [diagnostics] the SDK's `Features.UserFacingDiagnostics`, to tell that the line is being restored
 * @property {(state: DialerState) => void} [onChange]
 */

const REPORT_FIRST_MS = 600;
const STUCK_MS = 1500;
const REPORT_TRY_MS = 3000;
const REPORT_FOR_MS = 600_000;
const REPORT_AGAIN_S = [1, 2, 4, 8];
const TOKEN_WITHIN_MS = 2000;
// The server ends a leg of which it hears nothing by itself after four hours.
const END_FOR_MS = 14_400_000;
const END_AGAIN_S = [1, 2, 4, 8, 30, 60];
const MOST_UNENDED = 8;
const SERVER_ID_AGAIN_MS = [0, 500, 1000, 2000, 4000];
const HOLD_WAIT_MS = 300;
const HANG_UP_WITHIN_MS = 3000;
// How long after `beforeunload` an end is taken for one that the page's going away, or its wish to, has brought about.
const LEAVING_MS = 10_000;
// The server takes a report, and the position in it, for live for fifteen minutes; a position may be a minute older.
const DESKTOP_AGAIN_MS = 600_000;
const POSITION_WITHIN_MS = 10_000;
const DEVICES_WITHIN_MS = 3000;
// As long as the server lends a number by default, from the dial and after the end, where its answer does not say.
const LENT_MS = 3_600_000;
const LENT_AFTER_CALL_MS = 1_800_000;
// The storage is that of the page around, too, which may keep anything of its own under so short a name.
const UNENDED = "ec";
const CALLBACK_HEADER = "emergency-callback";
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const RUNG = new Set(["EarlyMedia", "Ringing", "Connected"]);
const STANDS = new Set(["Connected", "LocalHold", "RemoteHold"]);

// Which numbers are emergencies ----------------------------------------------------------------------------------------

// Where the platform places emergency calls, and which digits it connects there; the first stands for one it lacks.
// A Map keeps that order; an object would put 112 before 999, because it sorts keys that are whole numbers.
const NORTH_AMERICA = new Map([["911", "911"], ["112", "911"], ["933", "933"]]);
/** @type {Record<string, Map<string, string>>} */
const PLACED = {
  ...Object.fromEntries(["US", "CA", "PR", "GU", "VI", "MP", "AS"].map((country) => [country, NORTH_AMERICA])),
  GB: new Map([["999", "999"], ["112", "112"]]),
  DK: new Map([["112", "112"]]),
  AU: new Map([["000", "000"], ["112", "000"]]),
};
/** The numbers of every row of the table. */
const NAMED = new Set(Object.values(PLACED).flatMap((row) => [...row.keys()]));
const TEST_NUMBER = "933";
/** What counts as an emergency there, beside what is placed. @type {Record<string, string[]>} */
const ALSO = { DK: ["114"], AU: ["106"] };
// Every emergency number of any country, by ranges: the server may be set to a country that this page does not know.
// One that the server does not take is placed all the same, and the panel stays as it was.
const ANYWHERE =
  "000-003 01 011 019 02 022 03 033 050 060 065 066 068 080 085 088 100-108 110-120 122-125 127-133 13 14 140 144 15 " +
  "150-160 16 166 17 170-172 175 177 18 180 188 19 190-195 197-199 211 311 333 355 511 555 666 819 888 90-94 901-903 " +
  "911-913 917 919 922 933 939 955 977 990-999 1122 1220 1298 1300-1399 1444 1669 1730 2611 9999 10111 10177 90000 " +
  "124422 127799 201606 201917 202099 202914 320221 723141";
const RANGES = ANYWHERE.split(" ").map((range) => range.split("-"));
const BEFORE_911 = new Set(["+", "+1", "1", "9", "91"]);

// Signs that are digits, and that no regular expression tells from other numerals: the first digit of a row, its first
// sign and its last (Unicode, category No with a digit value).
const DIGIT_SIGNS = [
  [2, 0xb2, 0xb3], [1, 0xb9, 0xb9], [1, 0x1369, 0x1371], [1, 0x19da, 0x19da], [0, 0x2070, 0x2070], [4, 0x2074, 0x2079],
  [0, 0x2080, 0x2089], [1, 0x2460, 0x2468], [1, 0x2474, 0x247c], [1, 0x2488, 0x2490], [0, 0x24ea, 0x24ea],
  [1, 0x24f5, 0x24fd], [0, 0x24ff, 0x24ff], [1, 0x2776, 0x277e], [1, 0x2780, 0x2788], [1, 0x278a, 0x2792],
  [1, 0x10a40, 0x10a43], [1, 0x10e60, 0x10e68], [1, 0x11052, 0x1105a], [0, 0x1f100, 0x1f100], [0, 0x1f101, 0x1f10a],
];

/** @param {string} text @returns {string} without what is passed over (all but letters, digits and + , ; : @ % ? _) */
function plain(text) {
  return [...text.replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))]
    .map((character) => (/\p{N}/u.test(character) ? digitOf(character) : character))
    .join("")
    .replace(/(?![+,;:@%?_])[\p{Z}\p{C}\p{P}\p{S}\p{M}\u115f\u1160\u3164\uffa0\u30fc]/gu, "")
    .toLowerCase();
}

/** @param {string} numeral of any script @returns {string} its digit, "" for what is none, such as a fraction */
function digitOf(numeral) {
  const code = /** @type {number} */ (numeral.codePointAt(0));
  if (!/\p{Nd}/u.test(numeral)) {
    const row = DIGIT_SIGNS.find(([, first, last]) => first <= code && code <= last);
    return row ? String(row[0] + code - row[1]) : "";
  }
  // Unicode keeps the ten digits of a script in a row.
  let first = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first -= 1;
  return String((code - first) % 10);
}

/** @param {string} text @returns {string} the subscriber in an address or a raw id of the service; else before a host */
function subscriber(text) {
  if (text.startsWith("4:")) return withoutPlus(text.slice(2).split("_")[0]);
  const scheme = /^(tel|sips?|callto):/;
  // Nobody before a host: then the number stands where the host would.
  const nobody = /^([+,;:%?_]*@)+/;
  if (!scheme.test(text)) return withoutPlus(text.replace(nobody, "").split("@")[0]);
  let rest = text;
  while (scheme.test(rest)) {
    rest = rest.replace(scheme, "");
    try {
      rest = plain(decodeURIComponent(rest));
    } catch {
      // As it is: what is no percent-encoding is passed over below.
    }
  }
  return withoutPlus(rest.replace(nobody, "").split(/[@:;?]/)[0]);
}

/** @param {string} text @returns {string} without a plus that is not in front */
function withoutPlus(text) {
  return text.replace(/^[,;:@%?_pw]+/, "").replace(/(?!^)\+/g, "");
}

/** @param {string} number @returns {string[]} what may be meant: a pause ends a number, or comes before the rest of it */
function dialledForms(number) {
  if (number.length > 256) return [];
  const text = plain(number);
  const parts = subscriber(text).replace(/[:@%?_]/g, "").split(/[,;pw]+/).filter(Boolean);
  let digits = "";
  return parts.map((part) => (digits += part));
}

/** @param {string} form @returns {string[]} the number itself, and what a prefix that is allowed leaves of it */
function withoutPrefix(form) {
  const found = /^\d+$/.test(form) ? [form] : [];
  if (form.endsWith("911") && BEFORE_911.has(form.slice(0, -3))) found.push("911");
  if (form === "9933") found.push("933");
  return found;
}

/** @param {string} number @returns {boolean} */
function isOneAnywhere(number) {
  return RANGES.some(([first, last = first]) => number.length === first.length && number >= first && number <= last);
}

/**
 * @typedef {object} Recognised
 * @property {boolean} possible wherever the server may say that it is an emergency
 * @property {boolean} certain as `isCertain` says
 * @property {boolean} test whether it is a certain test number
 * @property {string} dial the digits to place
 */

/**
 * What `number` is, dialled in `country`.
 * @param {string} number @param {string | null | undefined} country
 * @returns {Recognised}
 */
function recognised(number, country) {
  const here = country?.toUpperCase() ?? "";
  const placed = PLACED[here];
  const first = placed ? [...placed.values()][0] : "911";
  if (/^<*urn:service:sos(\.|$|>|;|@)/.test(number.replace(/[\p{Z}\p{C}\p{M}]/gu, "").toLowerCase())) {
    return { possible: true, certain: true, test: false, dial: first };
  }
  const candidates = dialledForms(number).flatMap(withoutPrefix);
  const certain = candidates.find((each) => isCertain(each, here));
  if (certain === undefined) return { possible: candidates.some(isOneAnywhere), certain: false, test: false, dial: number };
  const test = certain === TEST_NUMBER;
  if (placed) return { possible: true, certain: true, test, dial: placed.get(certain) ?? first };
  // In a country where the platform connects none, what was dialled is what a voice route may take.
  return { possible: true, certain: true, test, dial: here ? number : certain };
}

/**
 * Whether a call to `number` is one to emergency services, as far as is known before the server answers: a number of the
 * table, also where the country's row lacks it (911 in GB), or one of `ALSO`. No other number of `ANYWHERE` is: in the
 * country of the caller it may be an ordinary one, as 101 is in GB, and must not be placed as 999.
 * @param {string} number @param {string} country in upper case @returns {boolean}
 */
function isCertain(number, country) {
  const placed = PLACED[country];
  // A test call must not become a real one: 933 counts in a country of the table only if its row has it.
  if (number === TEST_NUMBER && placed) return placed.has(number);
  return NAMED.has(number) || (ALSO[country] ?? []).includes(number);
}

// The dialer -----------------------------------------------------------------------------------------------------------

/** @returns {{promise: Promise<unknown>, resolve: (value: unknown) => void}} */
function settled() {
  /** @type {(value: unknown) => void} */
  let resolve = () => {};
  const promise = new Promise((fulfil) => (resolve = fulfil));
  return { promise, resolve };
}

/** @param {number} ms @returns {Promise<undefined>} */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms, undefined));

/** One outgoing call of ours that is or may be an emergency, with its second try. */
class Leg {
  /** @param {string} dialled @param {Recognised} found */
  constructor(dialled, { dial, certain, test }) {
    this.callId = crypto.randomUUID();
    this.dialled = dialled;
    this.dial = dial;
    /** Whether it is an emergency: the server's answer outranks what is known here. */
    this.certain = certain;
    this.test = test;
    /** Until when a responder has its number, in milliseconds of this desktop's clock. */
    this.lentUntil = Date.now() + LENT_MS;
    this.clickedAt = performance.now();
    this.dialledAt = new Date().toISOString();
    this.tries = 0;
    this.rang = false;
    this.connected = false;
    this.endAsked = false;
    this.over = false;
    /** @type {Call | null} */
    this.call = null;
    /** @type {DialerState["phase"]} */
    this.phase = "dialling";
    /** @type {DialerState["ended"]} */
    this.ended = null;
    /** @type {DialerState["report"]} */
    this.report = "none";
    /** @type {string | null} */
    this.agentId = null;
    /** @type {any} */
    this.panel = null;
    /** The number to show as the caller id, by an answer that is not degraded. @type {unknown} */
    this.lent = null;
    /** @type {Promise<Call>} */
    this.placed = new Promise(() => {});
    const accepted = settled();
    this.accepted = accepted.promise;
    this.accept = accepted.resolve;
    const told = settled();
    /** The report was accepted or refused, or it was given up. */
    this.told = told.promise;
    this.tell = told.resolve;
    const done = settled();
    this.done = done.promise;
    this.finish = done.resolve;
  }
}

/**
 * Whether a dial of `found` comes to `each`, which is in progress: the second of a double click, or whatever is dialled
 * during an emergency. An ordinary call with a short number, and a test, stand for nothing but themselves.
 * @param {Leg} each @param {Recognised} found @returns {boolean}
 */
function standsFor(each, found) {
  // The same digits are the same call, also where the server takes it for none: a second click must not place it twice.
  return each.dial === found.dial || (each.certain && !each.test);
}

/** A responder's callback that was answered here. */
class Callback {
  /** @param {Call} call @param {string | null} callId under which its end is reported; null: nobody would know it */
  constructor(call, callId) {
    this.call = call;
    this.callId = callId;
    /** @type {DialerState["phase"]} */
    this.phase = "connecting";
    this.connected = false;
    this.endAsked = false;
    this.over = false;
    const done = settled();
    this.done = done.promise;
    this.finish = done.resolve;
  }
}

/**
 * @param {DialerOptions} options
 */
export function createEmergencyDialer(options) {
  const api = options.api.replace(/\/$/, "");
  const { callAgent, callerIdIsOurs = false } = options;
  /** Those in progress, and of those that are over the last emergency and the last one of all; oldest first. @type {Leg[]} */
  let legs = [];
  /** Those in progress: a second responder may call during the first one's call. @type {Set<Callback>} */
  const callbacks = new Set();
  /** Who ended the last one, where no emergency leg has ended since. @type {DialerState["ended"]} */
  let callbackEnded = null;
  /** Those that ring, oldest first. @type {Set<IncomingCall>} */
  const ringing = new Set();
  /** Those that were answered: a second click must not answer one twice. @type {WeakMap<IncomingCall, Promise<Call>>} */
  const answered = new WeakMap();
  let token = "";
  /** How often a token was asked for, and which of those times gave the one that there is. */
  let tokensAsked = 0;
  let tokenGiven = 0;
  /** How often the network has come back. */
  let returns = 0;
  let unloading = false;
  /** How often `beforeunload` came lately: the page goes away, or whoever is asked stays. */
  let leaving = 0;
  let desktopReportedAt = -Infinity;
  /** @type {Map<string, "agent" | "dropped">} the ends that the server has not taken yet */
  const owedEnds = new Map();
  let disposed = false;
  /** Until when a responder may call for what the page before left behind, in milliseconds of this desktop's clock. */
  const awaitedUntil = unended().length ? Date.now() + LENT_MS : -Infinity;
  const undo = new AbortController();
  /** @type {Set<(state: DialerState) => void>} */
  const listeners = new Set(options.onChange ? [options.onChange] : []);

  /** @returns {DialerState} */
  function state() {
    const leg = foremostLeg();
    const emergency = callbacks.size > 0 || legs.some((each) => each.certain && !each.over);
    return {
      phase: [...callbacks].some((each) => each.phase === "reconnecting") ? "reconnecting" : leg?.phase ?? "idle",
      ended: emergency ? null : callbackEnded ?? (leg?.certain ? leg.ended : null),
      report: leg?.report ?? "none",
      endOwed: owedEnds.size > 0,
      emergency,
      test: leg?.test ?? false,
      callback: callbacks.size > 0,
      inProgress: inProgress().length > 0,
      callId: leg?.callId ?? null,
      agentId: leg?.agentId ?? options.agentId ?? null,
      dial: leg?.dial ?? null,
      incoming: ringing.size ? { marked: [...ringing].some(isMarked) } : null,
      panel: leg?.panel ?? null,
    };
  }

  /** @returns {Leg | null} the one that `state` is about */
  function foremostLeg() {
    const current = legs.filter((each) => each.certain && !each.over);
    const last = isAwaited() ? lastEmergency() : undefined;
    return current.findLast((each) => !each.test) ?? current.at(-1) ?? last ?? legs.at(-1) ?? null;
  }

  /** @returns {Leg | undefined} the one that a responder may call back for, else the newest */
  function lastEmergency() {
    const emergencies = legs.filter((each) => each.certain);
    return emergencies.findLast((each) => !each.test && Date.now() < each.lentUntil) ?? emergencies.at(-1);
  }

  /** @returns {boolean} whether a responder may call: during an emergency, of this page or the one before, and while its number is lent */
  function isAwaited() {
    const now = Date.now();
    return now < awaitedUntil || callbacks.size > 0 || legs.some((each) => each.certain && (!each.over || now < each.lentUntil));
  }

  function changed() {
    for (const listener of listeners) {
      try {
        listener(state());
      } catch {
        // A page that fails to show something must not fail a call.
      }
    }
  }

  // Placing --------------------------------------------------------------------------------------------------------

  /**
   * Dial. An emergency is placed and reported; any other number is only placed.
   * @param {string} number as the agent dialled it
   * @returns {Promise<Call>} the call that `callAgent.startCall` gave
   */
  function dial(number) {
    const found = recognised(number, options.country);
    // A call that is being ended is nobody's help any more: whoever dials after End call wants another one.
    const same = legs.find((each) => !each.over && !each.endAsked && standsFor(each, found));
    if (same) return same.placed;
    if (!found.possible) return started(number, undefined);
    const mine = new Leg(number, found);
    const last = lastEmergency();
    legs = [...legs.filter((each) => !each.over || each === last), mine];
    if (callerIdIsOurs) {
      const lent = report(mine);
      mine.placed = Promise.race([lent, pause(REPORT_FIRST_MS)]).then((callerId) => place(mine, callerId));
    } else {
      // First the call, in the click's own task; then everything else.
      mine.placed = place(mine, undefined);
      report(mine).catch(() => {});
    }
    mine.placed.catch(() => {});
    keep(mine);
    changed();
    return mine.placed;
  }

  /** @param {string} number @param {string | undefined} callerId @returns {Promise<Call>} */
  function started(number, callerId) {
    try {
      return Promise.resolve(startCall(number, callerId));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param {string} number @param {string | undefined} callerId @returns {Call} */
  function startCall(number, callerId) {
    /** @type {StartCallOptions} */
    const how = callerId ? { alternateCallerId: { phoneNumber: callerId } } : {};
    return callAgent.startCall([{ phoneNumber: number }], how);
  }

  /** @param {Leg} mine @param {string | undefined} callerId @returns {Promise<Call>} */
  function place(mine, callerId) {
    if (mine.over) return Promise.reject(new Error("ended before it was placed"));
    mine.tries += 1;
    let call;
    try {
      call = startCall(mine.dial, callerId);
    } catch (error) {
      if (mine.tries < 2 && !mine.endAsked) return place(mine, options.purchasedCallerId);
      finish(mine, "dropped");
      return Promise.reject(error);
    }
    mine.call = call;
    watch(mine, call);
    // The SDK can leave a call in `None` without a word.
    setTimeout(() => {
      if (mine.call === call && call.state === "None" && mine.tries < 2 && !mine.endAsked && !mine.over) {
        hangUp(call);
        mine.placed = place(mine, options.purchasedCallerId);
        mine.placed.catch(() => {});
        changed();
      }
    }, STUCK_MS);
    return Promise.resolve(call);
  }

  /** @param {Leg} mine @param {Call} call */
  function watch(mine, call) {
    const look = () => {
      // Also one that was given up for another: nobody here could see or end it.
      if (mine.over || mine.call !== call) return endAgain(call);
      if (RUNG.has(call.state)) mine.rang = true;
      if (call.state === "Connected") connected(mine, call);
      else if (call.state === "Connecting" || call.state === "Ringing" || call.state === "EarlyMedia") mine.phase = "connecting";
      else if (call.state === "Disconnecting") mine.phase = "ending";
      else if (call.state === "Disconnected") return disconnected(mine, call);
      changed();
    };
    call.on("stateChanged", look);
    watchLine(mine, call);
    look();
  }

  /** @param {Leg} mine @param {Call} call */
  function connected(mine, call) {
    mine.phase = "connected";
    if (mine.connected) return;
    mine.connected = true;
    tie(mine, call).catch(() => {});
  }

  /** @param {Leg | Callback} mine @param {Call} call */
  function watchLine(mine, call) {
    if (!options.diagnostics) return;
    try {
      const { network } = call.feature(options.diagnostics);
      network.on("diagnosticChanged", (/** @type {{diagnostic: string, value: unknown}} */ change) => {
        if (change.diagnostic !== "networkReconnect" || mine.call !== call || mine.over) return;
        if (change.value === 3 && mine.phase === "connected") mine.phase = "reconnecting";
        else if (change.value === 1 && mine.phase === "reconnecting") mine.phase = "connected";
        changed();
      });
    } catch {
      // An SDK without this feature: the panel does not tell that the line is being restored.
    }
  }

  /** @param {Leg} mine @param {Call} call */
  function disconnected(mine, call) {
    const { code, subCode = 0 } = call.callEndReason ?? { code: -1 };
    // 4501 is said of a call that was hung up here as it connected and of one that failed: only the first was Disconnecting.
    const cancelled = subCode === 0 || (subCode === 4501 && mine.phase === "ending");
    const local = (code === 0 && cancelled) || (code === 487 && (cancelled || subCode === 540487));
    if (!mine.rang && !local && !mine.endAsked && mine.tries < 2 && !unloading && !disposed) {
      mine.placed = place(mine, options.purchasedCallerId);
      mine.placed.catch(() => {});
      changed();
      return;
    }
    finish(mine, endedBy(mine, call));
  }

  /** @param {Leg | Callback} mine @param {Call} call @returns {"agent" | "dropped"} */
  function endedBy(mine, call) {
    const { code, subCode = 0 } = call.callEndReason ?? { code: -1 };
    // Six documented ends share code 0: what was asked for here counts first, and 0/0 only of a call that stood.
    const hungUp = code === 0 && subCode === 0 && mine.connected && !leaving && !unloading && !disposed;
    return mine.endAsked || hungUp ? "agent" : "dropped";
  }

  /** @param {Leg} mine @param {"agent" | "dropped"} reason */
  function finish(mine, reason) {
    if (mine.over) return;
    mine.over = true;
    mine.phase = "ended";
    mine.ended = reason;
    if (mine.certain) callbackEnded = null;
    mine.lentUntil = Math.max(mine.lentUntil, Date.now() + LENT_AFTER_CALL_MS);
    mine.finish(true);
    reportEnd(mine, reason).catch(() => {});
    changed();
  }

  /** End call: every emergency call of this desktop; where there is none, the newest ordinary one with a short number. */
  function end() {
    const all = inProgress();
    const emergencies = all.filter((each) => each instanceof Callback || each.certain);
    const asked = emergencies.length ? emergencies : all.slice(-1);
    for (const each of asked) {
      each.endAsked = true;
      if (each instanceof Leg) each.phase = "ending";
      if (each.call) hangUp(each.call);
      else if (each instanceof Leg) finish(each, "agent");
    }
    setTimeout(giveUp, HANG_UP_WITHIN_MS, asked);
    changed();
  }

  /**
   * The SDK can leave a call that was hung up without its end: it is over all the same. One that stands can be ended again.
   * @param {(Leg | Callback)[]} asked
   */
  function giveUp(asked) {
    for (const each of asked) {
      if (each.over || STANDS.has(each.call?.state ?? "")) continue;
      if (each instanceof Leg) finish(each, "agent");
      else callbackOver(each);
    }
    changed();
  }

  /** @param {Call} call one that was given up and connects all the same */
  function endAgain(call) {
    if (call.state === "Connected") hangUp(call);
  }

  /** @param {Call} call */
  function hangUp(call) {
    try {
      call.hangUp().catch(() => {});
    } catch {
      // It has ended already.
    }
  }

  // Reporting ------------------------------------------------------------------------------------------------------

  /**
   * Report a dial until it is accepted as it should be, for at most ten minutes.
   * @param {Leg} mine @returns {Promise<string | undefined>} the caller id to show, from the first answer
   */
  async function report(mine) {
    const first = settled();
    mine.report = "sent";
    const repeat = async () => {
      let fresh = false;
      for (let count = 1; ageOf(mine) < REPORT_FOR_MS; count += 1) {
        const known = returns;
        const answer = await sendDial(mine, { fresh });
        const again = await taken(mine, answer, fresh);
        const renewed = answer?.status === 401 && again !== null;
        // Where nothing came back, a fresh token is still what is asked for: the host's last one may be the old one again.
        if (answer) fresh = renewed;
        if (!renewed) first.resolve(again === null ? e164(mine.lent) : undefined);
        if (again === null) return;
        const wait = again || REPORT_AGAIN_S[Math.min(count, REPORT_AGAIN_S.length) - 1];
        if (!renewed && (await pauseOrOnline(wait, known))) count = 0;
      }
    };
    repeat().catch(() => first.resolve(undefined)).finally(() => mine.tell(true));
    return /** @type {Promise<string | undefined>} */ (first.promise);
  }

  /**
   * How long ago the dial was, in milliseconds. `performance.now` stands while a desktop sleeps (macOS, Linux), so the time
   * of day counts too once the call is over; while it stands, a clock that is put right must not silence it.
   * @param {Leg} mine @returns {number}
   */
  function ageOf(mine) {
    const measured = performance.now() - mine.clickedAt;
    return mine.over ? Math.max(measured, Date.now() - Date.parse(mine.dialledAt)) : measured;
  }

  /** @param {Leg} mine @returns {boolean} whether a page that goes away has to tell of it: later the server would take it for a new one */
  function isOwed(mine) {
    return mine.report !== "accepted" && mine.report !== "refused" && (!mine.over || ageOf(mine) < REPORT_FOR_MS);
  }

  /** @param {Leg} mine @param {{fresh?: boolean, keepalive?: boolean, last?: boolean}} how */
  function sendDial(mine, how) {
    return send("POST", "emergency-calls", dialBody(mine), how);
  }

  /** @param {Leg} mine */
  function dialBody(mine) {
    return {
      call_id: mine.callId,
      ...(options.agentId ? { agent_id: options.agentId } : {}),
      dialled: mine.dialled,
      dialled_at: mine.dialledAt,
      dialled_ago_ms: Math.round(ageOf(mine)),
      ...(options.country ? { country: options.country } : {}),
      ...(options.locale ? { locale: options.locale } : {}),
      ...(options.desktopId ? { desktop_id: options.desktopId } : {}),
      ...(options.acsUserId ? { acs_user_id: options.acsUserId } : {}),
      caller_id_ours: callerIdIsOurs,
    };
  }

  /**
   * Take in an answer to the report.
   * @param {Leg} mine @param {Response | null} answer @param {boolean} fresh whether the token was a fresh one
   * @returns {Promise<number | null>} seconds to wait before it is repeated (0: as usual); null: not again
   */
  async function taken(mine, answer, fresh) {
    const wait = Math.min(Number(answer?.headers.get("retry-after")) || 0, 60);
    if (isPassing(answer)) {
      if (mine.report !== "degraded") mine.report = "unreachable";
      changed();
      return wait;
    }
    if (!answer.ok) {
      // Nothing is refused before a fresh token was: the old one may only have run out.
      if (answer.status === 401 && !fresh) return 0;
      mine.report = "refused";
      // Not an emergency where the server stands: an ordinary call, which the panel shows as one.
      if (answer.status === 422) {
        mine.certain = false;
        // The page after a reload would wait for a responder.
        forget(mine.callId);
      }
      changed();
      return null;
    }
    const body = await answer.json().catch(() => null);
    if (body === null) {
      mine.report = "unreachable";
      changed();
      return wait;
    }
    mine.agentId = body.agent_id ?? null;
    mine.panel = body.panel ?? null;
    // Only a number that is said to be on the responder's display: the fallback number, of an outage or an empty pool,
    // is nobody's caller id.
    mine.lent = !body.degraded && body.panel?.say?.number_shown ? body.panel.say.callback_number : null;
    mine.certain = true;
    mine.test = body.test ?? mine.test;
    mine.lentUntil = expiryOf(answer, mine.panel) ?? mine.lentUntil;
    mine.report = body.degraded ? "degraded" : "accepted";
    if (!body.degraded) mine.accept(true);
    changed();
    return body.degraded ? wait : null;
  }

  /** @param {Leg} mine @param {Call} call */
  async function tie(mine, call) {
    let serverCallId = "";
    for (const wait of SERVER_ID_AGAIN_MS) {
      await pause(wait);
      // Rejects until the service has given the call its id.
      serverCallId = await call.info.getServerCallId().catch(() => "");
      if (serverCallId || mine.over) break;
    }
    if (!serverCallId) return;
    await mine.accepted;
    let fresh = false;
    let renewed = false;
    for (const wait of [0, ...REPORT_AGAIN_S]) {
      await pause(renewed ? 0 : wait * 1000);
      const answer = await send("PATCH", `emergency-calls/${mine.callId}`, { server_call_id: serverCallId }, { fresh });
      renewed = answer?.status === 401 && !fresh;
      if (answer) fresh = renewed;
      if (!renewed && !isPassing(answer)) return;
    }
  }

  /**
   * Report an end until it is taken. A drop waits for the report of its dial: for a dial that comes after its end the server
   * holds no presence.
   * @param {{callId: string, told?: Promise<unknown>}} mine @param {"agent" | "dropped"} reason
   */
  async function reportEnd(mine, reason) {
    owedEnds.set(mine.callId, reason);
    if (reason === "dropped" && !unloading) await mine.told;
    const since = performance.now();
    let known = returns;
    let fresh = false;
    for (let count = 0; performance.now() - since < END_FOR_MS; count += 1) {
      if (count && (await pauseOrOnline(END_AGAIN_S[Math.min(count, END_AGAIN_S.length) - 1], known))) count = 0;
      known = returns;
      const answer = await sendEnd(mine.callId, reason, { fresh, last: unloading });
      if (answer) fresh = answer.status === 401;
      if (isPassing(answer) || fresh) continue;
      forget(mine.callId);
      return changed();
    }
  }

  /**
   * @param {number} seconds @param {number} known `returns` as the try before began: `online` does not tell again of a
   *   network that came back during it
   * @returns {Promise<boolean>} over sooner where the network comes back: true, and the pauses begin with the shortest
   *   again, since one that has just come back does not always carry the first try
   */
  function pauseOrOnline(seconds, known) {
    if (known !== returns) return Promise.resolve(true);
    return new Promise((resolve) => {
      const over = () => {
        clearTimeout(timer);
        removeEventListener("online", over);
        resolve(known !== returns);
      };
      const timer = setTimeout(over, seconds * 1000);
      addEventListener("online", over);
    });
  }

  /** @param {string} callId @param {"agent" | "dropped"} reason @param {{fresh?: boolean, last?: boolean}} how */
  function sendEnd(callId, reason, how) {
    return send("POST", `emergency-calls/${callId}/end`, { reason }, { ...how, keepalive: true });
  }

  /**
   * @param {string} method @param {string} path @param {object} body
   * @param {{fresh?: boolean, keepalive?: boolean, last?: boolean}} [how] `fresh`: the last token was old; `last`: the page
   *   goes away, and waits for nothing
   * @returns {Promise<Response | null>} null: nothing came back in time that counts; a 401 does only where the token that
   *   was asked for had come
   */
  async function send(method, path, body, { fresh = false, keepalive = false, last = false } = {}) {
    try {
      const inTime = last ? false : await askToken(fresh);
      const answer = await fetch(`${api}/${path}`, {
        method,
        keepalive,
        body: JSON.stringify(body),
        headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
        cache: "no-store",
        ...(last ? {} : { signal: AbortSignal.timeout(REPORT_TRY_MS) }),
      });
      return answer.status === 401 && !inTime ? null : answer;
    } catch {
      return null;
    }
  }

  /**
   * Ask for a token. One that comes late is kept for a later try; meanwhile the last one may still do.
   * @param {boolean} fresh @returns {Promise<boolean>} whether it came within two seconds; also where none is ever asked for
   */
  async function askToken(fresh) {
    const { getToken } = options;
    if (!getToken) return true;
    const mine = ++tokensAsked;
    const coming = (async () => getToken({ fresh }))().then((value) => {
      // None, as before a sign-in: the last one, or a cookie, may still do.
      if (!value) return false;
      // What was asked for before says nothing newer, unless it was to be fresh: a host's ordinary token may be an old one.
      if (fresh || mine > tokenGiven) [tokenGiven, token] = [Math.max(tokenGiven, mine), String(value)];
      return true;
    });
    return Promise.race([coming, pause(TOKEN_WITHIN_MS).then(() => false)]).catch(() => false);
  }

  // Callbacks ------------------------------------------------------------------------------------------------------

  /** @param {{incomingCall: IncomingCall}} event */
  function rings(event) {
    const incoming = event.incomingCall;
    if (!mayBeTheResponder(incoming)) return;
    ringing.add(incoming);
    incoming.on("callEnded", () => {
      ringing.delete(incoming);
      changed();
    });
    changed();
  }

  /** @param {IncomingCall} incoming @returns {boolean} by our mark, or a telephone while one is awaited */
  function mayBeTheResponder(incoming) {
    return isMarked(incoming) || (isAwaited() && incoming.callerInfo?.identifier?.kind === "phoneNumber");
  }

  /** @returns {IncomingCall | null} the one to answer: a responder's callback, whatever else rings */
  function foremost() {
    return [...ringing].find(isMarked) ?? [...ringing][0] ?? null;
  }

  /** @param {IncomingCall} incoming @returns {boolean} */
  function isMarked(incoming) {
    return markOf(incoming) !== undefined;
  }

  /** @param {IncomingCall} incoming */
  function markOf(incoming) {
    const headers = incoming.customContext?.voipHeaders ?? [];
    return headers.find((header) => header.key.toLowerCase() === CALLBACK_HEADER);
  }

  /**
   * The call id under which the server knows an answered callback: the mark's value.
   * @param {IncomingCall} incoming @returns {string | null} null where there is none, or none of ours: any caller may
   *   send a header, and it becomes part of an address
   */
  function callIdOf(incoming) {
    const value = markOf(incoming)?.value ?? "";
    return UUID.test(value) ? value : null;
  }

  /**
   * Answer a responder's callback, past a customer's call: that one is put on hold and never ended.
   * @param {IncomingCall | null} [incoming] @returns {Promise<Call | null>}
   */
  async function answer(incoming = foremost()) {
    if (!incoming) return null;
    const call = answered.get(incoming) ?? accepted(incoming);
    answered.set(incoming, call);
    // One that could not be answered may be tried again while it rings.
    call.catch(() => answered.delete(incoming));
    return call;
  }

  /** @param {IncomingCall} incoming @returns {Promise<Call>} */
  async function accepted(incoming) {
    // It may have been awaited when it began to ring, and be answered a moment after that.
    const responders = ringing.has(incoming) || mayBeTheResponder(incoming);
    const emergencies = new Set(inProgress().filter(mayBeEmergency).map((each) => each.call));
    const customers = callAgent.calls.filter((call) => !emergencies.has(call) && call.state === "Connected");
    const held = Promise.allSettled(customers.map(async (call) => call.hold()));
    await Promise.race([held, pause(HOLD_WAIT_MS)]);
    const call = await incoming.accept();
    ringing.delete(incoming);
    if (responders) follow(new Callback(call, callIdOf(incoming)));
    return call;
  }

  /** @param {Leg | Callback} each @returns {boolean} a number that is not known here may be one until the server refuses it */
  function mayBeEmergency(each) {
    return each instanceof Callback || each.certain || each.report !== "refused";
  }

  /** @param {Callback} mine */
  function follow(mine) {
    const { call, callId } = mine;
    callbacks.add(mine);
    if (callId) keep({ callId, done: mine.done });
    const look = () => {
      if (mine.over) return endAgain(call);
      if (call.state === "Connected") [mine.connected, mine.phase] = [true, "connected"];
      if (call.state === "Disconnected") callbackOver(mine);
      changed();
    };
    call.on("stateChanged", look);
    watchLine(mine, call);
    look();
  }

  /** @param {Callback} mine */
  function callbackOver(mine) {
    mine.over = true;
    callbacks.delete(mine);
    mine.finish(true);
    // To the service an agent who hung up and one who was cut off look the same: only this page knows which it was.
    callbackEnded = endedBy(mine, mine.call);
    if (mine.callId) reportEnd({ callId: mine.callId }, callbackEnded).catch(() => {});
  }

  // Leaving and coming back ----------------------------------------------------------------------------------------

  /** @param {BeforeUnloadEvent} event */
  function beforeUnload(event) {
    if (!inProgress().length) return;
    event.preventDefault();
    // Some pages hang up here, as the SDK's maker advises: that is no end of the agent's, and the page may live on. The
    // browser's question stops timers for as long as it stands, so the time counts from the first one after it.
    leaving += 1;
    setTimeout(() => setTimeout(() => (leaving -= 1), LEAVING_MS));
  }

  /** @param {PageTransitionEvent} event */
  function pageHide(event) {
    // A page that is kept to be come back to may be evicted without a word, but until then its calls stand.
    unloading = !event.persisted;
    for (const each of unloading ? inProgress() : []) {
      if (each.callId) owedEnds.set(each.callId, each.endAsked ? "agent" : "dropped");
    }
    // What is under way ends with the page. First the dials: for one that comes after its end no presence is held.
    for (const each of legs.filter(isOwed)) sendDial(each, { keepalive: true, last: true });
    // Also of calls that are over: the next page cannot know who ended them, and says `dropped`, which `agent` outranks.
    for (const [callId, reason] of owedEnds) sendEnd(callId, reason, { last: true });
  }

  /** @returns {(Leg | Callback)[]} */
  function inProgress() {
    return [...legs.filter((each) => !each.over), ...callbacks];
  }

  /**
   * Keep the id, and nothing else, so that a tab that died can say so when it comes back.
   * @param {{callId: string, done: Promise<unknown>}} mine
   */
  function keep(mine) {
    try {
      // Of a redial both: the end of the call that dropped may still be owed.
      sessionStorage.setItem(UNENDED, [...unended(), mine.callId].slice(-MOST_UNENDED).join(" "));
      // A duplicated tab copies the storage: the lock tells it that the call lives in another one.
      navigator.locks?.request(`${UNENDED}:${mine.callId}`, () => mine.done).catch(() => {});
    } catch {
      // In a frame of another site storage may be barred.
    }
  }

  /** @param {string} callId */
  function forget(callId) {
    owedEnds.delete(callId);
    try {
      const left = unended().filter((each) => each !== callId);
      if (left.length) sessionStorage.setItem(UNENDED, left.join(" "));
      else sessionStorage.removeItem(UNENDED);
    } catch {
      // As in `keep`.
    }
  }

  /** @returns {string[]} the calls whose end was not taken yet, oldest first */
  function unended() {
    try {
      return (sessionStorage.getItem(UNENDED) ?? "").split(" ").filter((each) => UUID.test(each));
    } catch {
      return [];
    }
  }

  async function endWhatIsLeft() {
    await Promise.all(unended().map(endIfLeft));
  }

  /** @param {string} callId */
  async function endIfLeft(callId) {
    const lives = await navigator.locks?.query().then((all) => all.held?.some((lock) => lock.name === `${UNENDED}:${callId}`), () => false);
    if (lives) forget(callId);
    else await reportEnd({ callId }, "dropped");
  }

  // The desktop ----------------------------------------------------------------------------------------------------

  async function reportDesktop() {
    if (!options.desktopId || !options.agentId || disposed || document.visibilityState === "hidden") return;
    desktopReportedAt = Date.now();
    const permission = await navigator.permissions?.query({ name: "geolocation" }).then((found) => found.state, () => "unknown");
    // Never asks: the panel does that, once, in a click.
    const [location, known] = await Promise.all([permission === "granted" ? position() : null, desktop()]);
    await send("PUT", `agents/${encodeURIComponent(options.agentId)}/desktop`, {
      desktop_id: options.desktopId,
      location_permission: permission,
      ...known,
      ...(location ? { location } : {}),
    });
  }

  /**
   * What a report of the desktop says beside its position. The panel's says it too: each report takes the place of the last.
   * @returns {Promise<{country?: string, devices?: {microphones: number, speakers: number}}>}
   */
  async function desktop() {
    const { deviceManager, country } = options;
    const lists = Promise.all([
      deviceManager?.getMicrophones().catch(() => []),
      deviceManager?.getSpeakers().catch(() => []),
    ]);
    const [microphones, speakers] = (await Promise.race([lists, pause(DEVICES_WITHIN_MS)])) ?? [];
    return {
      ...(country ? { country } : {}),
      ...(microphones && speakers ? { devices: { microphones: microphones.length, speakers: speakers.length } } : {}),
    };
  }

  /** @returns {Promise<object | null>} */
  function position() {
    return new Promise((resolve) => {
      // Without its time, which is by this desktop's clock: that may be slow by hours, and the server takes its own.
      const found = (/** @type {GeolocationPosition} */ { coords }) =>
        resolve({ latitude: coords.latitude, longitude: coords.longitude, accuracy_m: coords.accuracy });
      // The browser's own timeout does not run while somebody is asked for the permission.
      setTimeout(resolve, POSITION_WITHIN_MS, null);
      navigator.geolocation.getCurrentPosition(found, () => resolve(null), { timeout: POSITION_WITHIN_MS, maximumAge: 60_000 });
    });
  }

  /** A page that was hidden over a report makes up for it. */
  function visible() {
    if (Date.now() - desktopReportedAt >= DESKTOP_AGAIN_MS) reportDesktop().catch(() => {});
  }

  function online() {
    returns += 1;
    reportDesktop().catch(() => {});
  }

  /** Let go of the page; a leg in progress is still followed to its end, and reported. */
  function dispose() {
    disposed = true;
    clearInterval(desktopTimer);
    callAgent.off("incomingCall", rings);
    Promise.all(inProgress().map((each) => each.done)).then(() => undo.abort());
  }

  callAgent.on("incomingCall", rings);
  addEventListener("beforeunload", beforeUnload, { signal: undo.signal });
  addEventListener("pagehide", pageHide, { signal: undo.signal });
  addEventListener("online", online, { signal: undo.signal });
  document.addEventListener("visibilitychange", visible, { signal: undo.signal });
  const desktopTimer = setInterval(() => void reportDesktop(), DESKTOP_AGAIN_MS);
  endWhatIsLeft().catch(() => {});
  reportDesktop().catch(() => {});
  // Fetched ahead: a token that is asked for at the dial may come late.
  askToken(false).catch(() => {});

  return {
    /** @param {string} number @returns {boolean} whether the server may take it for an emergency */
    isEmergency: (number) => recognised(number, options.country).possible,
    dial,
    end,
    answer,
    dispose,
    desktop,
    /** @param {(state: DialerState) => void} listener @returns {() => void} takes it off again */
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    get state() {
      return state();
    },
  };
}

/**
 * Until when a number is lent, in milliseconds of this desktop's clock, which may be wrong.
 * @param {Response} answer @param {any} panel that of the answer @returns {number | null} null where it does not say
 */
function expiryOf(answer, panel) {
  const ahead = (Date.parse(answer.headers.get("date") ?? "") || Date.now()) - Date.now();
  return Date.parse(panel?.expires_at) - ahead || null;
}

/** @param {Response | null} answer @returns {answer is null} whether the same may be answered otherwise at the next try */
function isPassing(answer) {
  return answer === null || answer.status >= 500 || answer.status === 429 || answer.status === 408;
}

/** @param {unknown} number @returns {string | undefined} */
function e164(number) {
  return typeof number === "string" && /^\+[1-9]\d{6,14}$/.test(number) ? number : undefined;
}
