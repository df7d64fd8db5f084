// <emergency-panel api agent-id lang>: the communication panel as an element.
//
// Properties: `getToken` (a function that gives an access token), `dialer` (of createEmergencyDialer), `softphone`
// ({ call, control(name, detail), devices, deviceManager, subscribe(listener) }; `calls` where there may be several). Events: `control`, whose default whoever
// handles it prevents, and `modechange`.
// Parts: alert, end, devices. Custom properties: --ep-*.
import tokens from "./tokens.css" with { type: "css" };
import style from "./panel-element.css" with { type: "css" };
import { PANEL_WORDS, apart, clockTime, grouped, languageOf, localeOf, metres, speaking } from "./i18n.js";
import { el, icon, keyed, onlyNewest, setText } from "./dom.js";
import { GUARDED, callOf, isRash, rings, tellsOfLeg, viewOf } from "./panel-state.js";
import { StateSource } from "./state-source.js";
import { browserDevices, sdkDevices } from "./devices.js";

// What the panel does by itself, or tells the page around of: nothing else has to take it.
const OWN = new Set(["device_settings", "end_hold", "save", "refresh"]);
const BAR = new Set(["device_settings", "end_call"]);
const ICON_OF = { end_call: "end", answer: "answer", call_again: "answer", device_settings: "devices" };
const TONES = { normal: "calm", checking: "calm", ringing: "danger", emergency: "danger" };
const REFRESH_TIMES_MS = 15000;
// The server takes a report, and the position in it, for live for fifteen minutes; a position may be a minute older.
const REPORT_AGAIN_MS = 600000;
const POSITION_WITHIN_MS = 10000;
const IDENTIFY_AGAIN_MS = 5000;
const SIGNED_IN_AGAIN_MS = 60000;
const ACCESS_WITHIN_MS = 5000;
// As long as the server holds presence after a drop, by default.
const HOLD_MS = 600000;
const DEFAULT_NUMBER = "911";
const NOTES_OF_SERVER = new Set(["server_away", "refused", "unlisted"]);
// The storage is the page's around, too.
const DESKTOP_KEY = "emergency-panel-desktop";
const DESKTOP_KEY_BEFORE = "desktop";
// Where the dialer keeps the calls whose end was not taken yet.
const UNENDED_KEY = "ec";
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
// A live region that holds its words already says them again only after it was empty.
const SAY_AGAIN_MS = 100;

export class EmergencyPanel extends HTMLElement {
  static observedAttributes = ["api", "agent-id", "lang"];

  #getToken = null;
  #lastToken = "";
  #dialer = null;
  #softphone = null;
  #leave = [];
  #source = null;
  #agentId = null;
  #agentsBefore = new Set();
  #mine = null;
  #languageOwed = false;
  #t = speaking(PANEL_WORDS, "en");
  #locale = "en";
  #view = null;
  #changedAt = 0;
  #ticking = null;
  #reporting = null;
  #identifying = null;
  #parts = {};
  #desktop = { known: null, confirmed: false };
  #wakeLock = null;
  #browserDevices = null;
  #unwatchDevices = () => {};
  #identifies = onlyNewest();
  #identifiedAt = -Infinity;
  #lookedAt = -Infinity;
  #looks = onlyNewest();
  #confirms = onlyNewest();

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [tokens, style];
  }

  // Properties -----------------------------------------------------------------------------------------------------

  get dialer() {
    return this.#dialer;
  }

  set dialer(dialer) {
    this.#dialer = dialer;
    this.#follow();
  }

  get softphone() {
    return this.#softphone;
  }

  set softphone(softphone) {
    this.#softphone = softphone;
    this.#follow();
  }

  /** The mode that is shown: checking, normal, ringing or emergency. */
  get mode() {
    return this.#view?.mode ?? "checking";
  }

  /** What is going on, in the reader's words: the heading. */
  get headline() {
    return this.#parts.heading?.textContent ?? "";
  }

  /** What is shown, as `modechange` tells it; null before anything is. */
  get shown() {
    const view = this.#view;
    return view && { mode: view.mode, held: view.held, controls: [...view.controls], form_actions: [...view.formActions] };
  }

  /** Ask again who this is and what is shown: there is a token now, or another one. */
  refresh() {
    const asked = this.#agentId && !this.getAttribute("agent-id") ? this.#identifyNext() : this.#identify();
    asked.then(() => this.#source?.now());
  }

  /** Somebody signed in, maybe after all was asked in vain: ask again what was refused. */
  signedIn() {
    if (this.#source && (!this.#agentId || this.#source.state.status === "refused")) this.refresh();
  }

  // Life -----------------------------------------------------------------------------------------------------------

  get getToken() {
    return this.#getToken;
  }

  set getToken(given) {
    this.#getToken = given;
    // Of somebody else, maybe: the next agent of a shared desk brings a function of their own.
    this.#lastToken = "";
  }

  connectedCallback() {
    this.#speak();
    this.#build();
    this.#source = new StateSource({
      api: this.#api(),
      agentId: () => this.#agentId,
      token: (fresh) => this.#token(fresh),
      busy: () => this.#local().emergency || this.#local().incoming !== "none",
      onChange: () => this.#answered(),
    });
    this.#follow();
    this.#identify().then(() => this.#source?.now());
    this.#ticking = setInterval(() => this.#render(), REFRESH_TIMES_MS);
    this.#reporting = setInterval(() => document.visibilityState === "visible" && this.#lookAtDesktop(), REPORT_AGAIN_MS);
    document.addEventListener("visibilitychange", this.#seen);
    addEventListener("online", this.#lookAtDesktop);
    addEventListener("focus", this.#identifyAgain);
    navigator.connection?.addEventListener("change", this.#lookAtDesktop);
  }

  disconnectedCallback() {
    // What was asked for the agent before tells nothing of the next one, and a token is for one server.
    this.#lastToken = "";
    this.#mine = null;
    for (const begin of [this.#identifies, this.#looks, this.#confirms]) begin();
    clearInterval(this.#ticking);
    clearInterval(this.#reporting);
    clearTimeout(this.#identifying);
    removeEventListener("focus", this.#identifyAgain);
    document.removeEventListener("visibilitychange", this.#seen);
    removeEventListener("online", this.#lookAtDesktop);
    navigator.connection?.removeEventListener("change", this.#lookAtDesktop);
    this.#leave.forEach((leave) => leave());
    this.#leave = [];
    this.#unwatchDevices();
    this.#source?.stop();
    this.#source = null;
    this.#wakeLock?.release().catch(() => {});
    this.#refuseHeadset(false);
    this.#told = "";
  }

  attributeChangedCallback(name, before, now) {
    if (before === now || !this.#source) return;
    if (name === "lang") {
      this.#speak();
      this.#build();
      this.#view = null;
      this.#render();
    } else {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  }

  #speak() {
    const given = this.getAttribute("lang") || this.#mine?.locale || navigator.language;
    const language = languageOf(given);
    this.#locale = localeOf(given);
    this.#t = speaking(PANEL_WORDS, language);
    if (this.shadowRoot) this.shadowRoot.host.setAttribute("data-language", language);
  }

  #api() {
    return (this.getAttribute("api") ?? "").replace(/\/$/, "");
  }

  /** An access token; where none comes in time the last one, which may still do: a page that never gives one stops nothing. */
  async #token(fresh) {
    if (!this.getToken) return "";
    const late = new Promise((resolve, reject) => {
      setTimeout(() => (this.#lastToken ? resolve(this.#lastToken) : reject(new Error("no token in time"))), ACCESS_WITHIN_MS);
    });
    const given = (async () => this.getToken({ fresh }))();
    return (this.#lastToken = (await Promise.race([given, late])) || this.#lastToken);
  }

  async #identify() {
    const newest = this.#identifies();
    this.#agentsBefore.clear();
    this.#agentId = this.getAttribute("agent-id") || null;
    // Not waited for: a browser may take ten seconds to find out where it is.
    if (this.#agentId) {
      this.#learnLanguage();
      return void this.#lookAtDesktop();
    }
    const { answer, mine } = await this.#askWho();
    if (!newest()) return;
    this.#mine = mine;
    this.#agentId = this.#mine?.agent_id ?? null;
    // A server that is away says nothing of anybody's language.
    if (mine) this.#speakTheirs();
    if (this.#agentId) return void this.#lookAtDesktop();
    if (this.#source) {
      const status = unknownBecause(answer, mine);
      this.#source.state = { ...this.#source.state, status };
      this.#render();
      clearTimeout(this.#identifying);
      // A refusal is asked again, too: whoever signs in in another window need not come back to this one.
      this.#identifying = setTimeout(this.#identifyAgain, status === "stale" ? IDENTIFY_AGAIN_MS : SIGNED_IN_AGAIN_MS);
    }
  }

  /** The language of the agent whose panel it is, where the page around names them and no language; nobody else's. */
  async #learnLanguage() {
    this.#languageOwed = false;
    if (this.getAttribute("lang")) return;
    const { answer, mine } = await this.#askWho();
    if (mine?.agent_id && mine.agent_id === this.getAttribute("agent-id")) {
      this.#mine = mine;
      this.#speakTheirs();
    } else this.#languageOwed = unknownBecause(answer, mine) === "stale";
  }

  /** Who is signed in, by the answer of the API; null where it says nothing of it. */
  async #askWho() {
    this.#identifiedAt = performance.now();
    const answer = await this.#ask("GET", "me");
    return { answer, mine: answer?.ok ? await answer.json().catch(() => null) : null };
  }

  #answered() {
    const { status, panel } = this.#source.state;
    // What the server says to ring from here on is another callback.
    if (status === "fresh" && panel?.mode !== "ringing") this.#hadCallback = false;
    this.#render();
    if (status === "fresh" && this.#languageOwed) this.#learnLanguage();
    if (this.#mayBeAnother() && performance.now() - this.#identifiedAt >= IDENTIFY_AGAIN_MS) this.#identifyNext();
  }

  /** Whether somebody else may have signed in at this desk: what is shown is refused, and no page around says whose it is. */
  #mayBeAnother() {
    return this.#source?.state.status === "refused" && this.#agentId !== null && !this.getAttribute("agent-id");
  }

  /** The next agent of a shared desk, where it is another one; no other answer takes anything from the page. */
  async #identifyNext() {
    const newest = this.#identifies();
    const { mine } = await this.#askWho();
    if (!newest() || !mine?.agent_id || mine.agent_id === this.#agentId) return;
    // What to say during a call stays until it is over, whoever signs in meanwhile.
    if (this.#local().emergency) return;
    this.#mine = mine;
    this.#agentsBefore.add(this.#agentId);
    this.#agentsBefore.delete(mine.agent_id);
    this.#agentId = mine.agent_id;
    this.#desktop = { known: null, confirmed: false };
    for (const begin of [this.#looks, this.#confirms]) begin();
    this.#source.forget();
    this.#speakTheirs();
    this.#lookAtDesktop();
    this.#source.now();
  }

  /** In the language of whoever is signed in, where the page around gives none (B11). */
  #speakTheirs() {
    const before = this.#locale;
    this.#speak();
    if (!this.#source || this.#locale === before) return;
    this.#build();
    this.#view = null;
    this.#render();
  }

  /** Who this is was not to be learnt: the server was away, or nobody had signed in; or it is somebody else by now. */
  #identifyAgain = () => {
    if (this.#source && (!this.#agentId || this.#mayBeAnother())) this.refresh();
  };

  /** Ask the API, once more with a fresh token where the first was refused; null where nothing came back. */
  async #ask(method, path, body) {
    const answer = await this.#askOnce(method, path, body, false);
    return answer?.status === 401 && this.getToken ? this.#askOnce(method, path, body, true) : answer;
  }

  async #askOnce(method, path, body, fresh) {
    try {
      const token = await this.#token(fresh);
      return await fetch(`${this.#api()}/${path}`, {
        method,
        headers: { ...(body ? { "content-type": "application/json" } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}) },
        body: body ? JSON.stringify(body) : undefined,
        cache: "no-store",
        signal: AbortSignal.timeout(5000),
      });
    } catch {
      return null;
    }
  }

  // What happens here ----------------------------------------------------------------------------------------------

  #follow() {
    this.#leave.forEach((leave) => leave());
    this.#leave = [];
    if (!this.#source) return;
    const changed = () => this.#happened();
    for (const one of [this.#dialer, this.#softphone]) {
      const leave = one?.subscribe?.(changed);
      if (typeof leave === "function") this.#leave.push(leave);
    }
    this.#happened();
  }

  #happened() {
    const state = this.#dialer?.state;
    // What an agent before dialled at this desk makes nobody that one again.
    if (state?.agentId && state.agentId !== this.#agentId && !this.#agentsBefore.has(state.agentId) && state.report !== "none") this.#agentId = state.agentId;
    const local = this.#local();
    const sign = JSON.stringify([local, state?.report, state?.endOwed]);
    if (sign !== this.#lastLocal) {
      this.#lastLocal = sign;
      // Of several legs an older one may come to be told of again, with the panel of its time.
      if (state?.panel && !this.#taken.has(state.panel)) {
        this.#taken.add(state.panel);
        // Of a call that is over by now it is no news: after a drop it still has the number, else there is nothing to show.
        const stale = state.phase === "ended" && !state.emergency;
        if (!stale) this.#source?.take(state.panel);
        else if (state.ended === "dropped") this.#source?.take(state.panel, "checking");
      }
      this.#source?.now(true);
    }
    this.#render();
  }

  #shown = "";
  #told = "";
  #refusing = false;
  #lastLocal = "";
  #taken = new WeakSet();

  #local() {
    const dialer = this.#dialer?.state;
    const calls = this.#emergencies();
    const inProgress = calls.filter(isInProgress);
    const callback = Boolean(dialer?.callback || inProgress.some(({ direction }) => direction === "incoming"));
    if (callback) this.#hadCallback = true;
    const ended = this.#endedHere(dialer?.ended ?? this.#endOf(calls));
    return {
      softphone: Boolean(this.#dialer || this.#softphone?.control),
      emergency: Boolean(dialer?.emergency || inProgress.length),
      test: dialer?.emergency && !dialer.callback ? Boolean(dialer.test) : null,
      reconnecting: dialer?.phase === "reconnecting" || inProgress.some(({ state }) => state === "reconnecting"),
      incoming: dialer?.incoming ? (dialer.incoming.marked ? "marked" : "perhaps") : calls.some(rings) ? "marked" : "none",
      callback,
      callbackOver: this.#hadCallback && !callback,
      ended,
      endedAt: this.#endedAt === null ? null : this.#endedSince,
      endTakenAt: this.#endTaken(dialer),
      dial: dialer?.dial ?? null,
      report: dialer?.report ?? "none",
    };
  }

  /** The softphone's emergency calls, newest last; one that ended too. */
  #emergencies() {
    const { calls, call } = this.#softphone ?? {};
    return (calls ?? (call ? [call] : [])).filter(({ emergency }) => emergency).map(callOf);
  }

  #endedHere(ended) {
    if (!ended) return (this.#endedAt = null);
    if (this.#endedAt === null) [this.#endedAt, this.#endedSince] = [performance.now(), Date.now()];
    // After the hold it is over for good: a server that is away must not make an emergency of it again.
    return performance.now() - this.#endedAt < HOLD_MS ? ended : "agent";
  }

  /**
   * From when on the server knows of that end, for good. The dialer tells when that was taken; who tells it of the end of
   * a softphone's call is not known here: it knows once it tells of no call any more.
   */
  #endTaken(dialer) {
    if (this.#endedAt === null) return (this.#endTakenAt = null);
    const { status, panel, since } = this.#source.state;
    const toldOfNone = status === "fresh" && since >= this.#endedSince && !tellsOfLeg(panel);
    const taken = dialer?.ended ? !dialer.endOwed : toldOfNone;
    if (taken) this.#endTakenAt ??= dialer?.ended ? Date.now() : this.#endedSince;
    return this.#endTakenAt;
  }

  #endedAt = null;
  #endedSince = 0;
  #endTakenAt = null;
  #hadCallback = false;
  #endAskedOf = [];

  /**
   * Who ended the last of the softphone's emergency calls, once none is left; without an id nobody knows that End call was
   * pressed for this one.
   */
  #endOf(calls) {
    const last = calls.findLast(({ state }) => state === "ended");
    if (!last || calls.some((call) => call.state !== "ended")) return null;
    return last.id && this.#endAskedOf.includes(last.id) ? "agent" : "dropped";
  }

  // Showing --------------------------------------------------------------------------------------------------------

  #build() {
    const t = this.#t;
    const language = this.dataset.language;
    const parts = {
      heading: el("h2", { tabindex: "-1" }),
      alert: el("div", { role: "alert", part: "alert" }),
      notes: el("ul", { class: "notes" }),
      chip: el("p", { class: "chip", hidden: true }, t("do_not_disturb")),
      next: el("div", { class: "next" }),
      say: el("section", { class: "card say", "aria-label": t("say_this"), hidden: true }),
      drops: el("p", { hidden: true }),
      status: el("p", { role: "status", class: "status" }),
      where: el("section", { class: "card", "aria-label": t("where_you_are"), hidden: true }),
      dialling: el("form", { class: "dialling", hidden: true, onsubmit: (event) => (event.preventDefault(), this.#act("dial", event)) }),
      others: el("div", { class: "others", role: "group", "aria-label": t("call_controls") }),
      actions: el("div", { class: "actions", role: "group", "aria-label": t("form_actions") }),
      bar: el("div", { class: "bar" }),
      devices: el("dialog", { part: "devices", "aria-label": t("device_settings") }),
    };
    parts.number = el("input", { type: "tel", autocomplete: "off", inputmode: "tel" });
    parts.dialling.append(el("label", {}, t("number_to_dial"), parts.number));
    this.#parts = parts;
    const { heading, alert, notes, chip, next, say, drops, status, where, dialling, others, actions, bar, devices } = parts;
    const panel = el("div", { class: "panel", lang: language }, heading, alert, notes, chip, next, say, drops, dialling, others, actions, where, bar, devices, status);
    this.#parts.panel = panel;
    this.#shown = "";
    this.shadowRoot.replaceChildren(panel);
    devices.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#closeDevices();
    });
  }

  #render() {
    if (!this.#source || !this.#parts.panel) return;
    const server = this.#source.state;
    const before = this.#view;
    const view = viewOf(server, this.#local(), this.#now());
    this.#view = view;
    // A poll that changes nothing changes nothing in the page either.
    const sign = JSON.stringify([view, this.#local(), this.#desktop]);
    if (sign === this.#shown) return this.#renderTimes();
    this.#shown = sign;
    if (before?.mode !== view.mode || before?.held !== view.held) this.#becameAnother(view);
    const t = this.#t;
    const { panel, heading, notes, chip, next, others, actions, bar } = this.#parts;
    panel.dataset.mode = view.mode;
    panel.dataset.tone = view.bannerKey === "cannot_be_placed" ? "danger" : view.held || view.test || view.drill ? "warn" : TONES[view.mode];
    setText(heading, t(headlineOf(view)));
    this.#renderAlert(view);
    keyed(notes, view.notes, (key) => key, (key) => el("li", {}, icon("info"), el("span", {}, t(key))));
    notes.hidden = view.notes.length === 0;
    chip.hidden = !view.heldByUs;
    const held = this.#focused();
    const first = view.controls.filter((name) => name === "call_again" || name === "end_hold");
    const ringing = view.mode === "ringing" ? ["answer"] : [];
    const inBar = view.controls.filter((name) => BAR.has(name) || ringing.includes(name));
    this.#buttons(next, first);
    this.#buttons(bar, inBar);
    this.#buttons(others, view.controls.filter((name) => !first.includes(name) && !inBar.includes(name)));
    this.#buttons(actions, view.formActions);
    for (const group of [next, others, actions]) group.hidden = group.children.length === 0;
    this.#renderDialling(view);
    this.#renderSay(view);
    this.#renderWhere(view);
    this.#renderTimes();
    if (held && !held.checkVisibility()) heading.focus();
    this.#tellNotes(before?.notes ?? [], view.notes);
    this.#tell(view);
  }

  /** What was said before is of another state; but not what *End call* said to whoever ended this one with it. */
  #becameAnother(view) {
    this.#changedAt = performance.now();
    if (!this.#saidAtEnd || view.mode !== "normal") this.#announce("");
    // By that change alone.
    this.#saidAtEnd = false;
  }

  #focused() {
    const focused = this.shadowRoot.activeElement;
    return focused && focused !== this.#parts.heading ? focused : null;
  }

  #renderAlert(view) {
    const { alert } = this.#parts;
    const key = view.bannerKey ?? "";
    // The region is there before it is filled: what appears together with its text is not read out everywhere.
    const sign = key === "banner" ? view.bannerText : key;
    if (alert.dataset.shown === sign) return;
    alert.dataset.shown = sign;
    alert.className = key ? "alert" : "";
    const own = key && key !== "banner" && key in PANEL_WORDS.en ? this.#t(key) : null;
    alert.replaceChildren(...(key ? [icon("alert"), el("span", {}, own ?? view.bannerText ?? "")] : []));
  }

  #buttons(group, names) {
    keyed(
      group,
      names,
      (name) => name,
      (name) => {
        const part = { end_call: "end", device_settings: "devices-button" }[name] ?? null;
        const button = el("button", { type: "button", part, onclick: (event) => this.#act(name, event) }, ICON_OF[name] ? icon(ICON_OF[name]) : null, el("span", { lang: this.dataset.language }));
        return button;
      },
      (button, name) => {
        setText(button.lastElementChild, this.#t(name, { number: this.#view.dial ?? DEFAULT_NUMBER }));
        button.toggleAttribute("aria-disabled", this.#isIdle(name));
        if (this.#isIdle(name)) button.setAttribute("aria-disabled", "true");
        if (name === "device_settings") button.setAttribute("aria-expanded", String(this.#parts.devices.open));
      },
    );
  }

  /** Whether a button of the usual set has nothing behind it: they are a softphone's, and none is connected. */
  #isIdle(name) {
    if (this.#view.mode !== "normal" || this.#local().softphone) return false;
    return name !== "call_again" && !OWN.has(name);
  }

  #renderDialling(view) {
    const { dialling } = this.#parts;
    dialling.hidden = view.mode !== "normal" || !this.#local().softphone;
  }

  #renderSay(view) {
    const { say, drops } = this.#parts;
    const t = this.#t;
    const sign = JSON.stringify([view.say, view.ifItDrops, view.fallback, view.mode === "checking"]);
    say.hidden = !view.say;
    if (say.dataset.shown !== sign) {
      say.dataset.shown = sign;
      say.replaceChildren(...(view.say ? this.#sayParts(view.say) : []));
    }
    drops.hidden = !view.ifItDrops;
    if (view.ifItDrops && view.expiresAt) {
      const values = { number: view.dial ?? DEFAULT_NUMBER, callback: grouped(view.callbackNumber).replaceAll(" ", "\u00a0"), time: clockTime(Date.parse(view.expiresAt), this.#locale) };
      setText(drops, t(view.fallback ? "if_it_drops_fallback" : "if_it_drops", values));
    } else setText(drops, "");
  }

  /** Until when the number is the agent's; of the fallback number, that it never is. */
  #numberParts() {
    const { fallback, expiresAt } = this.#view;
    return el("span", { class: "how" }, fallback ? this.#t("say_fallback") : el("time", { datetime: expiresAt ?? "" }));
  }

  #sayParts(say) {
    const t = this.#t;
    const position = say.latitude !== null && say.latitude !== undefined ? this.#position(say) : null;
    const where = say.address ?? position;
    // An address that is another source's: how the position is known says nothing of it.
    const others = say.address && say.address_source && say.address_source !== say.source ? `address_${say.address_source}` : null;
    const whose = others ? [el("span", { class: "how" }, t(others)), position ? el("span", { class: "how" }, el("bdi", {}, position)) : null] : [];
    const how = el("span", { class: "how", "data-at": say.confirmed_at ?? say.at ?? "", "data-source": say.source ?? "" });
    const number = say.callback_number
      ? [el("dt", {}, t("say_callback")), el("dd", {}, el("bdi", { class: "number", lang: "en" }, grouped(say.callback_number)), " ", this.#numberParts())]
      : [];
    return [
      el("h3", {}, t("say_this")),
      el("dl", {}, el("dt", {}, t("say_where")), el("dd", {}, where ? el("bdi", {}, where) : t("say_unknown"), ...whose, where ? how : null), ...number),
      where ? el("p", {}, t("say_it")) : null,
      say.number_shown === false ? el("p", {}, t("another_number")) : null,
      say.relay_first ? el("p", {}, t("say_relay")) : null,
      el("p", {}, t("say_stay")),
    ].filter(Boolean);
  }

  #position(say) {
    const plain = new Intl.NumberFormat(this.#locale, { maximumFractionDigits: 5 });
    const values = { latitude: plain.format(say.latitude), longitude: plain.format(say.longitude) };
    // Not known: the position may be far off, and is not to be read out as exact.
    const accuracy = say.accuracy_m ?? null;
    return accuracy === null ? this.#t("position", values) : this.#t("accuracy", { ...values, metres: metres(accuracy, this.#locale) });
  }

  /** By the server's clock, in milliseconds. */
  #now() {
    return Date.now() + (this.#source?.ahead ?? 0);
  }

  /** Ages and times, which change by themselves and must not be read out each time. */
  #renderTimes() {
    const { say } = this.#parts;
    const view = this.#view;
    if (!view?.say || !say) return;
    const now = this.#now();
    const how = say.querySelector("[data-source]");
    if (how) {
      const source = ["live", "confirmed", "registered", "reported"].includes(how.dataset.source) ? how.dataset.source : null;
      // Clocks differ: nothing was confirmed in the future.
      const age = how.dataset.at ? apart(Math.min(Date.parse(how.dataset.at), now), now, this.#locale) : "";
      setText(how, source ? this.#t(`source_${source}`, { age }).replace(/ ([.;])/, "$1") : "");
    }
    const time = say.querySelector("time");
    if (time && view.expiresAt) {
      const at = Date.parse(view.expiresAt);
      const words = this.#t("valid_until", { time: clockTime(at, this.#locale) });
      setText(time, at > now ? `${words} (${apart(at, now, this.#locale)})` : words);
    }
  }

  /** Notes as they come and go, for those who cannot see the list, which is no live region. */
  #tellNotes(before, now) {
    if (now.join() === before.join()) return;
    const [away, wasAway] = [now, before].map((notes) => notes.some((key) => NOTES_OF_SERVER.has(key)));
    // All that stand: one that comes must not cut short another that is still being read.
    const words = wasAway && !away ? ["server_back", ...now] : now;
    this.#announce(words.map((key) => this.#t(key)).join(" "));
  }

  /** What changed, for the page around. */
  #tell(view) {
    const detail = this.shown;
    const sign = JSON.stringify([this.headline, detail]);
    if (sign === this.#told) return;
    this.#told = sign;
    this.#keepAwake();
    this.#refuseHeadset(view.mode !== "normal" && view.mode !== "checking");
    this.dispatchEvent(new CustomEvent("modechange", { detail, bubbles: true, composed: true }));
  }

  #say(key, values) {
    this.#announce(this.#t(key, values));
  }

  #announcing = null;
  #saidAtEnd = false;

  /** Words for everybody: the same ones once more are read out once more. */
  #announce(words) {
    const { status } = this.#parts;
    this.#saidAtEnd = false;
    clearTimeout(this.#announcing);
    if (words && status.textContent === words) {
      status.textContent = "";
      this.#announcing = setTimeout(() => setText(status, words), SAY_AGAIN_MS);
    } else setText(status, words);
  }

  #seen = () => {
    this.#keepAwake();
    // A page that was hidden over a report makes up for it.
    if (document.visibilityState === "visible" && Date.now() - this.#lookedAt >= REPORT_AGAIN_MS) this.#lookAtDesktop();
  };

  #keepAwake = async () => {
    const needed = this.#view?.mode === "emergency" || this.#view?.mode === "ringing";
    try {
      if (!needed) {
        await this.#wakeLock?.release();
        this.#wakeLock = null;
      } else if (document.visibilityState === "visible" && (!this.#wakeLock || this.#wakeLock.released)) {
        this.#wakeLock = await navigator.wakeLock?.request("screen");
      }
    } catch {
      // Barred by the page around, or by a low battery: the screen may go dark, the call goes on.
    }
  };

  /** Headset buttons for hold, mute and the like do nothing during an emergency. */
  #refuseHeadset(refused) {
    // Handlers are one for the whole page: those of the page around are let alone while there is nothing to refuse.
    if (refused === this.#refusing) return;
    this.#refusing = refused;
    const session = navigator.mediaSession;
    for (const action of ["togglemicrophone", "play", "pause", "stop"]) {
      try {
        session?.setActionHandler(action, refused ? () => this.#say("not_now") : null);
      } catch {
        // An action that this browser does not know.
      }
    }
  }

  // Acting ---------------------------------------------------------------------------------------------------------

  #act(name, press) {
    const view = this.#view;
    if (GUARDED.has(name) && isRash(press, this.#changedAt)) return;
    if (this.#isIdle(name)) return this.#say("no_softphone");
    const number = name === "dial" ? this.#parts.number.value.trim() : name === "call_again" ? view.dial ?? DEFAULT_NUMBER : undefined;
    if (name === "dial" && !number) return this.#parts.number.focus();
    const ended = name === "end_call" ? this.#emergencies().filter(isInProgress) : [];
    // A press for a customer's call afterwards tells nothing of the emergency.
    if (ended.length) this.#endAskedOf = ended.map(({ id }) => id);
    // First the call: everything else may fail.
    const taken = this.#dialer ? this.#throughDialer(name, number, view) : Boolean(this.#softphone?.control);
    if (name === "dial") this.#parts.number.value = "";
    const detail = number === undefined ? { name } : { name, number };
    const wanted = this.dispatchEvent(new CustomEvent("control", { detail, bubbles: true, composed: true, cancelable: true }));
    if (wanted && !this.#dialer) this.#softphone?.control?.(name, detail);
    if (name === "device_settings") this.#toggleDevices();
    if (name === "end_hold") this.#endHold();
    if (name === "end_call") this.#endCall(view);
    // In any other mode it is said that there is no call here to end.
    if (wanted && !taken && !OWN.has(name) && (name !== "end_call" || view.mode === "normal")) this.#say("no_softphone");
  }

  /** Gives whether the dialer or the softphone took it, or the panel has said why not. */
  #throughDialer(name, number, view) {
    if (name === "dial" || name === "call_again") this.#dialer.dial(number).catch(() => this.#notPlaced(number));
    else if (name === "end_call" && this.#dialer.state?.inProgress) this.#dialer.end();
    // In any other mode what rings is a customer's call: the softphone's.
    else if (name === "answer" && view.mode === "ringing" && this.#dialer.state?.incoming) Promise.resolve(this.#dialer.answer()).catch(() => this.#say("answer_failed"));
    else if (this.#softphone?.control) this.#softphone.control(name, { name });
    // The server knows of a ring that has not come here, or not yet.
    else if (name === "answer" && view.mode === "ringing") this.#say("answer_failed");
    else return false;
    return true;
  }

  /** Of an emergency the dialer's state tells what became of it; of any other call nobody else would. */
  #notPlaced(number) {
    const { emergency, ended } = this.#dialer?.state ?? {};
    if (this.#dialer?.isEmergency(number) && (emergency || ended)) return;
    this.#say("dial_failed");
    // Unless another one is being typed meanwhile.
    this.#parts.number.value ||= number;
  }

  #endCall(view) {
    const { emergency, ended } = this.#local();
    if (emergency || view.mode === "normal") return;
    // After a reload: the server still counts a leg of which this window has no call.
    let callId = null;
    try {
      callId = (sessionStorage.getItem(UNENDED_KEY) ?? "").split(" ").findLast((each) => UUID.test(each)) ?? null;
    } catch {
      // Barred in a frame of another site.
    }
    // The dialer tells who ended a call of this window.
    if (callId && ended === null) this.#ask("POST", `emergency-calls/${callId}/end`, { reason: "agent" }).then(() => this.#source?.now(true));
    if (this.#softphone?.control) return;
    this.#say("no_call_here", { number: view.dial ?? DEFAULT_NUMBER });
    this.#saidAtEnd = true;
  }

  async #endHold() {
    const answer = await this.#ask("POST", `agents/${encodeURIComponent(this.#agentId)}/release`);
    if (!answer?.ok) this.#say("hold_not_ended");
    this.#source?.now(true);
  }

  // Devices --------------------------------------------------------------------------------------------------------

  #port() {
    if (this.#softphone?.devices) return this.#softphone.devices;
    const manager = this.#softphone?.deviceManager;
    if (manager) return sdkDevices(manager);
    return (this.#browserDevices ??= browserDevices());
  }

  #toggleDevices() {
    if (this.#parts.devices.open) this.#closeDevices();
    else this.#openDevices();
  }

  async #openDevices() {
    const { devices, bar } = this.#parts;
    const t = this.#t;
    const port = this.#port();
    const close = el("button", { type: "button", onclick: () => this.#closeDevices() }, t("close"));
    const choice = (kind) => {
      const chosen = onlyNewest();
      return el("select", { onchange: (event) => this.#select(port, kind, event.target, chosen()) });
    };
    const [microphone, speaker] = [choice("microphone"), choice("speaker")];
    devices.replaceChildren(
      el("h3", {}, t("device_settings")),
      el("label", {}, t("microphone"), microphone),
      el("label", {}, t("speaker"), speaker),
      el("p", { class: "hint" }, t("headset")),
      close,
    );
    // Not modal: End call stays within reach.
    devices.show();
    bar.querySelector('[data-key="device_settings"]')?.setAttribute("aria-expanded", "true");
    microphone.focus();
    const lists = onlyNewest();
    const fill = async () => {
      const newest = lists();
      const { microphones, speakers, selected } = await port.list().catch(() => ({ microphones: [], speakers: [], selected: {} }));
      if (!newest()) return;
      this.#options(microphone, microphones, selected?.microphone);
      this.#options(speaker, speakers, selected?.speaker);
    };
    this.#unwatchDevices = port.watch?.(fill) ?? (() => {});
    await fill();
  }

  #options(select, devices, selected) {
    const found = devices.map(({ id, name }) => el("option", { value: id, selected: id === selected }, name));
    select.replaceChildren(...(found.length ? found : [el("option", { value: "" }, this.#t("no_devices"))]));
  }

  async #select(port, kind, select, newest) {
    try {
      await port.select(kind, select.value);
      if (newest()) this.#say("device_changed", { device: select.selectedOptions[0]?.textContent ?? "" });
    } catch {
      if (newest()) this.#say("device_failed");
    }
  }

  #closeDevices() {
    const { devices, bar } = this.#parts;
    this.#unwatchDevices();
    devices.close();
    devices.replaceChildren();
    const button = bar.querySelector('[data-key="device_settings"]');
    button?.setAttribute("aria-expanded", "false");
    button?.focus();
  }

  // Where the desktop is -------------------------------------------------------------------------------------------

  #desktopId() {
    const given = this.getAttribute("desktop-id");
    if (given) return given;
    try {
      // Under a bare name there may be anything of the page around.
      const kept = [DESKTOP_KEY, DESKTOP_KEY_BEFORE].map((key) => localStorage.getItem(key) ?? "");
      const id = kept.find((each) => UUID.test(each)) ?? crypto.randomUUID();
      localStorage.setItem(DESKTOP_KEY, id);
      return id;
    } catch {
      return null;
    }
  }

  /** At sign-in, when the network changes, and every 10 minutes while somebody looks: what this desktop sees of itself. */
  #lookAtDesktop = async () => {
    if (!this.#agentId || !this.#source) return;
    this.#lookedAt = Date.now();
    const newest = this.#looks();
    const kept = await this.#reportDesktop({}, await this.#knownPosition());
    if (!newest()) return;
    this.#desktop = { known: kept, confirmed: kept?.confirmed === true };
    this.#render();
  };

  async #reportDesktop(more, position) {
    const desktop = this.#desktopId();
    if (!desktop) return null;
    const permission = await navigator.permissions?.query({ name: "geolocation" }).then((found) => found.state, () => "unknown");
    // Each report takes the place of the last, which may be the dialer's.
    const known = await this.#dialer?.desktop?.().catch(() => null);
    const location = position || more.location ? { ...position, ...more.location } : null;
    const answer = await this.#ask("PUT", `agents/${encodeURIComponent(this.#agentId)}/desktop`, {
      desktop_id: desktop,
      location_permission: permission ?? "unknown",
      ...known,
      ...more,
      ...(location ? { location } : {}),
    });
    return answer?.ok ? answer.json().catch(() => null) : null;
  }

  #renderWhere(view) {
    const { where } = this.#parts;
    const known = this.#desktop.known;
    const shown = view.mode === "normal" && !view.held && known !== null && !this.#desktop.confirmed;
    where.hidden = !shown;
    if (!shown) return where.replaceChildren();
    const t = this.#t;
    const before = known.confirmed_location?.address ?? known.location?.address ?? "";
    // What is being typed stays as it is, whatever a report says meanwhile.
    if (where.childElementCount && (where.dataset.before === before || where.contains(this.shadowRoot.activeElement))) return;
    where.dataset.before = before;
    const address = el("input", { type: "text", autocomplete: "off", maxlength: "500" });
    address.value = before;
    where.replaceChildren(
      el("h3", {}, t("where_you_are")),
      el("p", {}, t(before ? "where_ask" : "where_enter")),
      el("form", { class: "dialling", onsubmit: (event) => (event.preventDefault(), this.#confirm(address)) }, el("label", {}, t("where_address"), address), el("button", { type: "submit" }, t("where_confirm"))),
    );
  }

  async #confirm(address) {
    const text = address.value.trim();
    if (!text) return address.focus();
    const newest = this.#confirms();
    // The browser may take ten seconds to find out where it is.
    this.#say("state_checking");
    const kept = await this.#reportDesktop({ confirmed: true, location: { address: text } }, await this.#askPosition());
    if (!newest()) return;
    // A look that is under way may have been before it.
    if (kept) this.#looks();
    if (kept) this.#desktop = { known: kept, confirmed: kept.confirmed === true };
    this.#say(kept?.confirmed ? "where_confirmed" : "where_failed");
    this.#render();
  }

  /** Where the desktop is, as far as the browser has been allowed to say already. */
  async #knownPosition() {
    const permission = await navigator.permissions?.query({ name: "geolocation" }).then((found) => found.state, () => null);
    return permission === "granted" ? this.#askPosition() : null;
  }

  /** The browser asks once, here, in a click; never during an emergency. */
  #askPosition() {
    return new Promise((resolve) => {
      if (!navigator.geolocation) return resolve(null);
      // Without its time, which is by this desktop's clock: that may be slow by hours, and the server takes its own.
      const found = ({ coords }) => resolve({ latitude: coords.latitude, longitude: coords.longitude, accuracy_m: coords.accuracy });
      // The browser's own timeout does not run while it asks for the permission, which nobody may answer.
      setTimeout(resolve, POSITION_WITHIN_MS, null);
      navigator.geolocation.getCurrentPosition(found, () => resolve(null), { timeout: POSITION_WITHIN_MS, maximumAge: 60000 });
    });
  }
}

/** Why it is not known who this is, by the answer to that question and what it held: the status of the server. */
function unknownBecause(answer, mine) {
  if (mine) return "unlisted";
  return answer && !answer.ok && answer.status < 500 ? "refused" : "stale";
}

/** Whether a softphone's call is one that End call ends. */
const isInProgress = (call) => call.state !== "ended" && !rings(call);

/** The key of the heading: the state in a few words. */
function headlineOf(view) {
  if (view.held) return "state_held";
  if (view.test) return "state_test";
  if (view.drill) return "state_drill";
  return view.known ? `state_${view.mode}` : "state_unknown";
}

if (!customElements.get("emergency-panel")) customElements.define("emergency-panel", EmergencyPanel);
