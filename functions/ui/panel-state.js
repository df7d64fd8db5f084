// What the panel shows, from what the server said and what this desktop knows. Pure: the only place with rules.

export const USUAL_CONTROLS = ["answer", "decline", "dial", "keypad", "mute", "hold", "transfer", "conference", "device_settings", "end_call"];
const DEVICES_AND_END = ["device_settings", "end_call"];
const INERT_AFTER_CHANGE_MS = 600;
export const GUARDED = new Set(["end_call", "decline", "end_hold", "call_again"]);

/**
 * Whether a press was made for what stood there before: the second of a double click on Dial must not hang up on 911. Its
 * own time counts, because a desktop that is busy with the first click hands the second one on when that is long done.
 */
export const isRash = (/** @type {Event} */ press, /** @type {number} */ changedAt) =>
  /** @type {UIEvent} */ (press).detail > 1 || press.timeStamp - changedAt < INERT_AFTER_CHANGE_MS;

/**
 * What this desktop knows of its own calls.
 * @typedef {object} Local
 * @property {boolean} softphone whether one is connected
 * @property {boolean} emergency an emergency leg of ours is in progress
 * @property {boolean | null} test whether that leg is a test call; null where nobody here knows
 * @property {boolean} reconnecting its line is being restored
 * @property {"none" | "marked" | "perhaps"} incoming an emergency callback rings here, or a call that may be one
 * @property {boolean} callback a responder's callback was answered here and is in progress
 * @property {boolean} callbackOver one has ended, and no server has said since that none rings
 * @property {"agent" | "dropped" | null} ended who ended the last emergency leg or callback here; a drop for ten minutes
 * @property {number | null} endedAt when it ended, in milliseconds by this desktop's clock, as `Server.since` is
 * @property {number | null} endTakenAt from when on the server knows of that end; null while it still counts the call
 * @property {string | null} dial the digits that were placed
 * @property {string} report what became of the report, in the dialer's words
 *
 * What the server said.
 * @typedef {object} Server
 * @property {"checking" | "fresh" | "stale" | "refused" | "unlisted"} status
 * @property {any} panel the newest that is known, also of a server that is away
 * @property {number | null} since when it was last asked for; null of a panel of an earlier time
 */

/** A softphone's call as the panel reads it: the calling SDK's own words for state and direction are taken too. */
export function callOf(/** @type {any} */ { id, state, emergency, direction }) {
  const plain = String(state).toLowerCase();
  return { id, state: plain === "disconnected" ? "ended" : plain, emergency, direction: String(direction ?? "").toLowerCase() };
}

/** Whether a softphone's call rings here. */
export const rings = (/** @type {{state: string, direction?: string}} */ call) => call.state === "ringing" && call.direction === "incoming";

/** Whether a server's panel tells of a call in progress, or of one beside which a callback rings. */
export const tellsOfLeg = (/** @type {any} */ panel) =>
  panel?.mode === "emergency" || (panel?.mode === "ringing" && (panel.controls ?? []).includes("end_call"));

/** The newest panel of the two: a poll's, or the answer to the dial while no poll has come; `now`: in milliseconds. */
export function viewOf(/** @type {Server} */ server, /** @type {Local} */ local, /** @type {number} */ now) {
  const panel = server.panel;
  // A callback that was answered here rings no more, though the server has not been told yet, or is away since.
  const answered = panel?.mode === "ringing" && (local.callback || (local.callbackOver && server.status !== "fresh"));
  const legTold = tellsOfLeg(panel);
  const over = !local.emergency && (isOver(server, local) || (answered && !legTold));
  // A ring that was told after the end is another call, also where the server still counts a leg.
  const rung = panel?.mode === "ringing" && !answered && (!over || server.since >= (local.endedAt ?? Infinity));
  // A call without our mark may be the responder's only while one is talked to or waited for; else it is a customer's.
  const holds = (panel?.controls ?? []).includes("end_hold") && !over;
  const awaited = local.emergency || holds || (over ? local.ended === "dropped" : (panel?.mode ?? "normal") !== "normal");
  const ringing = local.incoming === "marked" || (local.incoming === "perhaps" && awaited) || rung;
  const legInProgress = local.emergency || (legTold && !over);
  const mode = ringing ? "ringing" : legInProgress ? "emergency" : panel ? "normal" : server.status === "checking" ? "checking" : "normal";
  const dropped = over && local.ended === "dropped" && mode === "normal";
  // Where no call can be placed, there is no way to call again either.
  const mayCallAgain = dropped && panel?.placeable !== "no";
  const held = dropped || (mode === "normal" && (panel?.controls ?? []).includes("end_hold"));
  const bannerKey = bannerOf(mode, held, panel, local);
  const lent = isLent(server, local, mode, now) ? panel : null;
  return {
    mode,
    held,
    // A server that was never heard: nobody here knows whether there is an emergency.
    known: panel !== null || mode !== "normal",
    test: bannerKey === "test_in_progress",
    drill: bannerKey === "drill_in_progress",
    server: server.status,
    controls: controlsOf(mode, legInProgress, over && mode === "normal" ? null : panel, mayCallAgain),
    formActions: mode === "normal" ? (over ? null : panel?.form_actions) ?? ["save", "refresh"] : [],
    bannerKey,
    bannerText: bannerKey !== null && bannerKey === panel?.banner_key ? panel.banner : bannerKey === "banner" ? panel.banner : null,
    notes: notesOf(mode, held, server, local, panel),
    say: lent?.say ?? null,
    callbackNumber: lent?.say?.callback_number ?? lent?.callback_number ?? null,
    expiresAt: lent?.expires_at ?? null,
    heldByUs: panel?.presence === "do_not_disturb",
    dial: panel?.dial ?? local.dial,
    placeable: panel?.placeable ?? "unknown",
    fallback: lent?.fallback ?? false,
    ifItDrops: mode === "emergency" && Boolean(lent?.callback_number) && panel?.placeable !== "no",
  };
}

/**
 * Whether the call that ended here last is over, whatever the server tells: until it knows of that end, what it tells may
 * be of that call. A call that it tells of after that is another one, and stays, also while the server is away.
 */
function isOver(/** @type {Server} */ server, /** @type {Local} */ local) {
  if (local.ended === null) return false;
  if (server.since < (local.endTakenAt ?? Infinity)) return true;
  // After a drop the way to call again is open where the server is away, or was never told of the call.
  return !tellsOfLeg(server.panel) && ((server.status !== "fresh" && local.ended === "dropped") || (isUntold(local) && (server.panel?.mode ?? "normal") === "normal"));
}

/** Whether the server knows nothing of the call, as far as is known here. */
const isUntold = (/** @type {Local} */ local) => local.report === "unreachable" || local.report === "refused";

/**
 * Whether the number of the panel is lent at `now`: until `expires_at`, or for as long as a leg is in progress, by this
 * desktop or by a server that answers. One that is away cannot tell any more that the lease is over.
 */
function isLent(server, local, mode, now) {
  const theirs = local.emergency && (server.panel?.mode ?? "normal") !== "normal";
  const inProgress = theirs || (server.status === "fresh" && mode !== "normal");
  return inProgress || !(Date.parse(server.panel?.expires_at) <= now);
}

function controlsOf(mode, legInProgress, panel, mayCallAgain) {
  if (mode === "ringing") return legInProgress ? ["answer", ...DEVICES_AND_END] : ["answer", "device_settings"];
  if (mode === "emergency") return DEVICES_AND_END;
  if (mode === "checking") return ["device_settings"];
  if (mayCallAgain) return ["call_again", ...USUAL_CONTROLS];
  return panel?.controls ?? USUAL_CONTROLS;
}

/** The key of the one banner; `banner` where a server says words without a key that is known here. */
function bannerOf(mode, held, panel, local) {
  if (mode === "ringing") return local.incoming === "perhaps" && panel?.mode !== "ringing" ? "may_be_responder" : "callback_ringing";
  if (mode === "emergency") {
    // A server that was not told of a real call yet, or not at all, may still speak of the test before it.
    const outdated = local.test === false && panel?.banner_key === "test_in_progress";
    if (panel?.mode === "emergency" && !outdated) return panel.banner_key ?? (panel.banner ? "banner" : "emergency_in_progress");
    return local.test ? "test_in_progress" : "emergency_in_progress";
  }
  // Where no call can be placed, nobody is to be told to call again.
  if (held) return panel?.placeable === "no" ? "cannot_be_placed" : "held_after_drop";
  return panel?.mode === "normal" && panel.banner ? panel.banner_key ?? "banner" : null;
}

/** What is said beside the banner: at most one of the server, one of the line, one of the report. */
function notesOf(mode, held, server, local, panel) {
  const notes = [];
  if (server.status === "stale") notes.push("server_away");
  if (server.status === "refused" || server.status === "unlisted") notes.push(server.status);
  if (local.reconnecting) notes.push("reconnecting");
  const told = panel?.mode === "emergency" || !(local.emergency || (held && local.ended));
  if (!told && isUntold(local)) notes.push("not_told");
  return notes;
}
