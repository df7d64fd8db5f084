// The panel as a page of its own: for a frame in a contact centre's desktop, or alone.
import { EmergencyPanel } from "./emergency-panel.js";
import { browserDevices } from "./devices.js";
import { callOf, rings } from "./panel-state.js";
import { PANEL_WORDS, languageOf, speaking } from "./i18n.js";

const CONNECT = "emergency-panel/connect";
const VERSION = 1;
const MAX_TEXT = 4096;
// One that names many groups is longer than any other text.
const MAX_TOKEN = 16384;
// Less than the panel waits for one: a page around that never gives any leaves it its cookie.
const TOKEN_WITHIN_MS = 4000;
const RENEW_BEFORE_MS = 300000;
const CONNECT_WITHIN_MS = 1500;
const SELECT_WITHIN_MS = 3000;

const query = new URLSearchParams(location.search);
const page = document.getElementById("panel");
const element = new EmergencyPanel();

function setLanguage(locale) {
  showLanguage(locale);
  // Last: an element on the page says its state in the title at once.
  element.setAttribute("lang", locale);
}

function showLanguage(locale) {
  document.documentElement.lang = languageOf(locale);
  const title = speaking(PANEL_WORDS, document.documentElement.lang)("title");
  document.title = element.headline ? `${element.headline} – ${title}` : title;
}

/** The page around this one, over the port that it gave: its token, its call, its devices. */
class HostPage {
  /** Emergency calls, newest last: those in progress, those that ring, and the last one that ended. */
  calls = [];
  #port;
  #listeners = new Set();
  #known = { microphones: [], speakers: [], selected: {} };
  #watchers = new Set();
  #token = null;
  #waiting = new Set();

  constructor(port) {
    this.#port = port;
    port.addEventListener("message", (event) => this.#hear(event.data));
    port.start();
    port.postMessage({ type: "ready", v: VERSION });
  }

  #hear(message) {
    if (typeof message !== "object" || message === null) return;
    if (message.type === "token" && isText(message.value, MAX_TOKEN)) this.#take(message);
    else if (message.type === "call") {
      const { id, state, emergency, direction } = message;
      this.#hearOfCall(isText(state) ? callOf({ id: isText(id) ? id : null, state, emergency: emergency === true, direction }) : null);
      this.#listeners.forEach((listener) => listener());
    } else if (message.type === "devices") {
      this.#known = { microphones: devicesOf(message.microphones), speakers: devicesOf(message.speakers), selected: message.selected ?? {} };
      this.#watchers.forEach((watcher) => watcher());
    } else if (message.type === "locale" && isText(message.value ?? message.locale)) setLanguage(message.value ?? message.locale);
  }

  #take({ value, expiresAt }) {
    this.#token = { value, expiresAt: Number(new Date(expiresAt)) || Infinity };
    const late = this.#waiting.size === 0;
    this.#waiting.forEach((resolve) => resolve(value));
    this.#waiting.clear();
    // Whoever signs in takes longer than anything waits: what was refused meanwhile would not be asked for again.
    if (late) element.signedIn();
  }

  /** `call`: as it is now; null: there is none any more. */
  #hearOfCall(call) {
    const before = call && this.#before(call);
    const others = call ? this.calls.filter((each) => each !== before) : [];
    if (!call?.emergency) this.calls = others;
    else if (call.state !== "ended") this.calls = [...others, call];
    else this.calls = [...others.filter(({ state }) => state !== "ended"), call];
  }

  /**
   * What `call` was before: the one of its id. The SDK's ids change during a call, so an emergency with an unknown one is taken
   * for the one that stood or rang in its direction; only what rings is a call of its own beside it.
   */
  #before(call) {
    const same = this.calls.findLast(({ id, direction }) => id === call.id && (id !== null || direction === call.direction));
    if (same || rings(call) || !call.emergency) return same;
    return this.calls.findLast(({ state, direction }) => state !== "ended" && (!call.direction || direction === call.direction));
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  control(name, detail) {
    this.#port.postMessage({ type: "control", ...detail, name });
  }

  post(message) {
    this.#port.postMessage(message);
  }

  token({ fresh = false } = {}) {
    if (!fresh && this.#token && this.#token.expiresAt - Date.now() > RENEW_BEFORE_MS) return this.#token.value;
    this.#port.postMessage({ type: "token-needed" });
    const { promise, resolve } = Promise.withResolvers();
    this.#waiting.add(resolve);
    setTimeout(() => this.#waiting.delete(resolve) && resolve(this.#token?.value ?? ""), TOKEN_WITHIN_MS);
    return promise;
  }

  get devices() {
    return {
      list: async () => this.#known,
      select: (kind, id) => this.#select(kind, id),
      watch: (watcher) => {
        this.#watchers.add(watcher);
        return () => this.#watchers.delete(watcher);
      },
    };
  }

  /** Have a device taken; done once the page around tells that it is in use. */
  async #select(kind, id) {
    this.#port.postMessage({ type: "select-device", kind, id });
    const taken = Promise.withResolvers();
    const look = () => this.#known.selected[kind] === id && taken.resolve();
    const late = setTimeout(() => taken.reject(new Error("not in time")), SELECT_WITHIN_MS);
    this.#watchers.add(look);
    return taken.promise.finally(() => {
      clearTimeout(late);
      this.#watchers.delete(look);
    });
  }
}

const isText = (value, most = MAX_TEXT) => typeof value === "string" && value.length > 0 && value.length <= most;
const devicesOf = (list) =>
  (Array.isArray(list) ? list.slice(0, 100) : []).filter((each) => isText(each?.id)).map(({ id, name }) => ({ id, name: isText(name) ? name : id }));

function listenToHost() {
  if (parent === window) return;
  const connect = (event) => {
    const { type, v } = event.data ?? {};
    if (event.source !== parent || type !== CONNECT || v !== VERSION || !event.ports[0]) return;
    removeEventListener("message", connect);
    const host = new HostPage(event.ports[0]);
    element.getToken = (how) => host.token(how);
    // A page that connects late has missed the first ones.
    if (element.shown) host.post({ type: "mode", ...element.shown });
    element.addEventListener("modechange", ({ detail }) => host.post({ type: "mode", ...detail }));
    // Of the body, which has no margin: the document is never less high than the frame, which would then only grow.
    new ResizeObserver(() => host.post({ type: "height", value: Math.ceil(document.body.getBoundingClientRect().height) })).observe(element);
    element.softphone = host;
    if (element.isConnected) element.refresh();
    else page.append(element);
  };
  addEventListener("message", connect);
}

element.setAttribute("api", new URL("..", location.href).href.replace(/\/$/, ""));
if (query.get("agent")) element.setAttribute("agent-id", query.get("agent"));
if (query.get("desktop")) element.setAttribute("desktop-id", query.get("desktop"));
if (query.get("locale")) setLanguage(query.get("locale"));
else showLanguage(navigator.language);
element.addEventListener("modechange", () => {
  // The language may be that of whoever signed in, which only the element learns.
  showLanguage(element.dataset.language ?? document.documentElement.lang);
});
listenToHost();
// In a frame the token comes from the page around; one that does not speak may still rely on a cookie.
if (parent === window) {
  element.softphone = { devices: browserDevices({ alone: true }) };
  page.append(element);
} else setTimeout(() => element.isConnected || page.append(element), CONNECT_WITHIN_MS);
