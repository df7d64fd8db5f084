// The live board: every emergency with a leg, a ring or a hold.
import { el, icon, keyed, onlyNewest, setText } from "./dom.js";
import { UNANSWERED, clockOf, faultPlace, momentOf, request, tellFault, twoStep, unknownSince, unturned } from "./console-api.js";

const WHILE_SOMETHING_STANDS_MS = 2000;
const OTHERWISE_MS = 15000;
// Thousands of cards would hold the page up for most of a minute, at every look.
const MAX_CARDS = 500;
const RESUMED_WITHIN_MS = 1000;
const BEEPS = [880, 660, 880];
const NOTICE_ICONS = { delivered: "ok", accepted: "sent", failed: "alert", refused: "alert" };

// Of this tab, not of one visit to the section: an arrival is announced once, and sound stays allowed. Of each emergency
// how it stood: one lease may hold a test and a real call, and a call again after a drop.
const announcedHere = new Map();
let soundHere = null;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What an emergency is. */
const kindOf = (row) => (row.test ? "test" : row.drill ? "drill" : "real");

/** How it stands: as what it is while it has a leg or a ring, else held. The mode of a drill is normal throughout. */
const standingOf = (row) => (row.mode === "normal" && !row.drill ? "held" : kindOf(row));

/** Whether it is new, or stands again where it was held or another kind before. */
function hasArrived(row) {
  const before = announcedHere.get(row.emergency);
  return before === undefined || (standingOf(row) !== before && standingOf(row) !== "held");
}

/** Show the board in `main`; gives a function that stops it. */
export function liveSection(main, { t, locale, office }) {
  const asks = onlyNewest();
  let timer = null;
  let etag = null;
  let rows = [];
  let seenAt = null;
  const alarm = el("div", { role: "alert", class: "arrival" });
  const status = el("p", { role: "status", class: "status" });
  const cut = el("p", { role: "status", class: "status" });
  const asOf = el("p", { role: "status", class: "status" });
  const list = el("ul", { class: "cards", "aria-label": t("live") });
  const fault = faultPlace(t);
  const heading = el("h2", { tabindex: "-1" }, t("live"));
  const sound = el("button", { type: "button", onclick: allowSound }, t("allow_sound"));
  const soundSays = el("span", {}, t("sound_off"));
  main.append(heading, el("p", { class: "row" }, sound, soundSays), alarm, fault.place, cut, asOf, list, status);

  async function allowSound() {
    soundHere ??= new AudioContext();
    listenToSound();
    await soundHere.resume().catch(() => {});
    if (showSound()) beep();
  }

  /** A browser may suspend the sound of a page at any time, as when the machine sleeps or a telephone call takes it. */
  function listenToSound() {
    if (soundHere) soundHere.onstatechange = showSound;
  }

  /** Gives whether an arrival can be heard. */
  function showSound() {
    const on = soundHere?.state === "running";
    setText(soundSays, on ? t("sound_on") : t("sound_off"));
    sound.hidden = on;
    return on;
  }

  async function beep() {
    const audio = soundHere;
    // One that was never allowed stays silent. The browser settles a resume only once it allows it, which may be never.
    if (audio && audio.state !== "running") await Promise.race([audio.resume().catch(() => {}), pause(RESUMED_WITHIN_MS)]);
    if (audio?.state !== "running") return;
    BEEPS.forEach((frequency, index) => {
      const tone = new OscillatorNode(audio, { frequency });
      const volume = new GainNode(audio, { gain: 0.2 });
      tone.connect(volume).connect(audio.destination);
      tone.start(audio.currentTime + index * 0.25);
      tone.stop(audio.currentTime + index * 0.25 + 0.18);
    });
  }

  async function look() {
    const newest = asks();
    const given = await request("GET", "manage/emergencies", { headers: etag ? { "if-none-match": etag } : {} });
    if (!newest()) return;
    // What is no list tells of nobody: least of all that there is no emergency.
    const answer = given.ok && !Array.isArray(given.data) ? UNANSWERED : given;
    fault.tell(answer);
    const seen = answer.status === 304 || answer.ok;
    if (seen) {
      seenAt = Date.now();
      if (answer.ok) {
        etag = answer.etag;
        rows = answer.data;
        show();
      }
      setText(cut, leftOut(answer.cutAt));
    }
    date(seen);
    timer = setTimeout(look, isUrgent(answer.status) ? WHILE_SOMETHING_STANDS_MS : OTHERWISE_MS);
  }

  /** Whether something stands, or may stand: until the first list has come, nobody knows. */
  function isUrgent(status) {
    const away = status === 0 || status >= 500;
    return status !== 404 && (rows.length > 0 || (away && seenAt === null));
  }

  /** How many there are now; where that cannot be known, since when, and of when the cards are. */
  function date(seen) {
    setText(status, seen ? counted() : unknownSince(seenAt, { t, locale }));
    setText(asOf, seen || rows.length === 0 ? "" : t("cards_as_of", { at: clockOf(seenAt, locale) }));
    list.classList.toggle("old", !seen);
  }

  /** What the cards do not show. */
  function leftOut(cutAt) {
    const beyond = rows.length > MAX_CARDS ? [t("board_newest", { shown: MAX_CARDS, count: rows.length })] : [];
    return [...beyond, ...(cutAt ? [t("board_cut", { count: cutAt })] : [])].join(" ");
  }

  function show() {
    const newest = rows.slice(0, MAX_CARDS);
    const arrived = newest.filter(hasArrived);
    const there = new Map(rows.map((row) => [row.emergency, row]));
    for (const row of newest) announcedHere.set(row.emergency, standingOf(row));
    // A redial after a call that was over is an arrival, also under the same lease.
    for (const emergency of announcedHere.keys()) if (!there.has(emergency)) announcedHere.delete(emergency);
    if (arrived.length) {
      alarm.replaceChildren(icon("alert"), el("span", {}, ...arrived.map(toldOf)));
      beep();
    } else forgetOver(there);
    const held = list.contains(document.activeElement) ? document.activeElement : null;
    keyed(list, newest, (row) => row.emergency, makeRow, updateRow);
    // What had the focus is gone with its emergency, or has nothing to end any more.
    if (held && !held.checkVisibility()) heading.focus();
  }

  /** What the alarm tells of one that has arrived. */
  function toldOf(row) {
    const kind = kindOf(row);
    const words = t(kind === "real" ? "arrival" : `arrival_${kind}`, { name: unturned(row.name ?? row.agent_id), site: unturned(row.site ?? t("site_unknown")) });
    return el("span", { "data-emergency": row.emergency, "data-kind": kind }, `${words} `);
  }

  /** What is over, or is another kind by now, is taken off the alarm: what goes from a live region is not read out. */
  function forgetOver(there) {
    for (const each of alarm.querySelectorAll("[data-emergency]")) {
      const row = there.get(each.dataset.emergency);
      if (!row || kindOf(row) !== each.dataset.kind) each.remove();
    }
    if (!alarm.querySelector("[data-emergency]")) alarm.replaceChildren();
  }

  /** A test or a drill is none of the emergencies. */
  function counted() {
    const played = rows.filter((row) => row.test || row.drill).length;
    const real = rows.length - played;
    const words = [real ? t("count_emergencies", { count: real }) : t("no_emergencies"), ...(played ? [t("count_played", { count: played })] : [])];
    return words.join(" · ");
  }

  function makeRow(row) {
    const facts = el("dl", { class: "facts" });
    const notices = el("ul", { class: "notices" });
    const actions = el("p", { class: "row" });
    const own = el("p", { role: "status", class: "status" });
    const act = (body) => async () => {
      const path = `agents/${encodeURIComponent(row.agent_id)}/release?emergency=${encodeURIComponent(row.emergency)}`;
      const answer = await request("POST", path, body ? { body } : {});
      if (answer.ok) setText(own, t("done"));
      else tellFault(own, answer, t);
      clearTimeout(timer);
      look();
    };
    const release = twoStep(t("release_hold"), t("release_sure"), act(null));
    release.dataset.of = "hold";
    const end = twoStep(t("end_leg"), t("end_leg_sure"), act({ legs: true }));
    end.dataset.of = "leg";
    if (office) actions.append(release, end);
    return el("li", { class: "card" }, el("h3", {}, el("bdi", { class: "who" }), " ", el("span", { class: "tag" })), facts, el("h4", {}, t("notices")), notices, actions, own);
  }

  function updateRow(element, row) {
    setText(element.querySelector(".who"), unturned(row.name ?? row.agent_id));
    const tag = row.drill ? t("drill") : row.test ? t("test") : "";
    setText(element.querySelector(".tag"), tag);
    element.querySelector(".tag").hidden = tag === "";
    const facts = [
      ["since", momentOf(row.since, locale)],
      ["site", row.site ?? t("site_unknown")],
      ["mode", t(row.drill ? "mode_drill" : `mode_${row.mode}`)],
      ["presence", row.presence ? t(`presence_${row.presence}`) : "—"],
      ["callback_number", `${row.callback_number ?? "—"}${row.shared ? ` (${t("shared")})` : ""}`],
      ["until", momentOf(row.expires_at, locale)],
      ...(row.hold_until ? [["held_until", momentOf(row.hold_until, locale)]] : []),
    ];
    keyed(element.querySelector(".facts"), facts, ([key]) => key, ([key]) => el("div", {}, el("dt", {}, t(key)), el("dd", {})), (pair, [, value]) => setText(pair.lastElementChild, value));
    keyed(
      element.querySelector(".notices"),
      row.notices ?? [],
      (notice) => notice.recipient,
      (notice) => el("li", {}, el("span", {}, notice.recipient), ": ", el("strong", {})),
      (item, notice) => {
        setText(item.lastElementChild, t(`notice_${notice.state}`));
        if (item.dataset.state === notice.state) return;
        item.dataset.state = notice.state;
        item.querySelector("svg")?.remove();
        item.prepend(icon(NOTICE_ICONS[notice.state] ?? "info"));
      },
    );
    const hold = element.querySelector('[data-of="hold"]');
    if (hold) hold.hidden = !row.hold_until;
    const leg = element.querySelector('[data-of="leg"]');
    if (leg) leg.hidden = row.mode === "normal";
  }

  /** A browser runs a hidden tab's timers once a minute. */
  function seen() {
    if (document.visibilityState !== "visible") return;
    clearTimeout(timer);
    look();
  }

  document.addEventListener("visibilitychange", seen);
  listenToSound();
  showSound();
  look();
  return () => {
    asks.end();
    document.removeEventListener("visibilitychange", seen);
    if (soundHere) soundHere.onstatechange = null;
    clearTimeout(timer);
  };
}
