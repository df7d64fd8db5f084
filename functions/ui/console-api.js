// Requests of the console, and the words around them.
import conEn from "./console.en.json" with { type: "json" };
import conEs from "./console.es.json" with { type: "json" };
import conFr from "./console.fr.json" with { type: "json" };
import conIt from "./console.it.json" with { type: "json" };
import { el, icon, setText } from "./dom.js";

export const CONSOLE_WORDS = { en: conEn, es: conEs, fr: conFr, it: conIt };
const ANSWER_WITHIN_MS = 15000;
// Nobody has read what the button says now, and means it, sooner. A press counts by its own time: a busy desktop hands it on late.
const SECOND_PRESS_AFTER_MS = 600;
const SIGN_IN = "/.auth/login/aad?post_login_redirect_uri=";
const BASE = new URL("..", location.href).href;

export const UNANSWERED = { status: 0, ok: false, data: null, etag: null, cutAt: null, problem: null, missing: false, language: "en" };

let spoken = "en";

/** The language that is chosen on the page: what the server says is asked for in it, whatever the browser prefers. */
export const speak = (language) => (spoken = language);

/**
 * Ask the API. Gives `{ status, ok, data, etag, cutAt, problem, missing, language }`: status 0 where nothing came back, `missing` where
 * the server has no such route, `cutAt` how many entries it gave where there are more, `language` that
 * of the server's sentences. `raw`: text or bytes, sent as they are; `whole`: what comes back is kept so, as a `Blob`.
 */
export async function request(method, path, { body, raw, type = "application/json", headers = {}, whole = false, withinMs = ANSWER_WITHIN_MS } = {}) {
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  try {
    const response = await fetch(BASE + path, {
      method,
      body: sent,
      headers: { "accept-language": spoken, ...(sent === undefined ? {} : { "content-type": type }), ...headers },
      cache: "no-store",
      signal: AbortSignal.timeout(withinMs),
    });
    const kind = response.headers.get("content-type") ?? "";
    const data = whole && response.ok ? await response.blob() : kind.includes("json") ? await response.json() : await response.text();
    // A 200 of something between, such as the page of a network's own sign-in, is no answer of the server.
    if (response.redirected || (response.status === 200 && !whole && !kind.includes("json"))) return UNANSWERED;
    const problem = kind.includes("problem+json") ? data : null;
    const missing = response.status === 404 && !problem;
    // English is what names no language: a problem's detail, and an older server's sentences.
    const language = response.headers.get("content-language") ?? "en";
    return { status: response.status, ok: response.ok, data, etag: response.headers.get("etag"), cutAt: response.headers.get("cut-at"), problem, missing, language };
  } catch {
    return UNANSWERED;
  }
}

/** Why a request failed, in the reader's words. */
export function reasonOf(answer, t) {
  if (answer.missing) return t("not_available");
  if (answer.status === 0) return t("no_answer");
  if (answer.status === 401) return t("not_signed_in");
  if (answer.status === 403) return t("not_allowed");
  if (answer.status === 404) return t("not_found");
  if (answer.status === 412) return t("changed_meanwhile");
  if (answer.status === 409) return t("conflict");
  if (answer.status >= 500) return t("server_away");
  return answer.problem?.detail ?? t("refused");
}

/** The way to sign in; it comes back to this page. */
export function signInLink(words, attributes = {}) {
  return el("a", { href: SIGN_IN + encodeURIComponent(location.pathname), ...attributes }, words);
}

/** The same as `reasonOf`, with the way to sign in again where that is why: in another tab, so that what is typed here stays. */
export function faultWords(answer, t) {
  return [reasonOf(answer, t), ...(answer.status === 401 ? [" ", signInLink(t("sign_in_again"), { target: "_blank" })] : [])];
}

/** Say in `place` why a request failed; not anew where it stands there already, since it would be read out once more. */
export function tellFault(place, answer, t) {
  const words = el("span", {}, ...faultWords(answer, t));
  if (place.textContent !== words.textContent) place.replaceChildren(words);
}

/** A box that says that something is not as it should be. */
export function faultBox(answer, t) {
  return el("div", { class: "fault" }, icon("alert"), el("div", {}, el("p", {}, ...faultWords(answer, t))));
}

/**
 * A place for what fails, and `tell(answer)`, which shows it there or clears it. It is read out as it comes, and not again
 * at each look that fails the same way.
 */
export function faultPlace(t) {
  const place = el("div", { "aria-live": "assertive" });
  let told = "";
  const tell = (answer) => {
    const reason = answer.ok || answer.status === 304 ? "" : reasonOf(answer, t);
    if (reason === told) return;
    told = reason;
    place.replaceChildren(...(reason ? [faultBox(answer, t)] : []));
  };
  return { place, tell };
}

/**
 * Of the buttons in `root`, a double click and a key that is held down are one press, also where the first one was answered
 * before the second came. What is a double click, the reader's own system says.
 */
export function pressedOnce(root) {
  const again = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };
  root.addEventListener("click", (event) => event.detail > 1 && event.target.closest("button") && again(event), true);
  // Enter in a field presses its form's button.
  root.addEventListener("keydown", (event) => event.repeat && event.key === "Enter" && event.target.closest("button, input") && again(event), true);
}

/** `act`, but not once more while it is under way. */
export function onceAtATime(act) {
  let underWay = null;
  return () => (underWay ??= act().finally(() => (underWay = null)));
}

/** A button that asks once more, in its own place, before it acts: as long as the focus stays there, however slow one is. */
export function twoStep(label, sure, act, className = "danger") {
  const button = el("button", { type: "button" }, label);
  let armedAt = null;
  const disarm = () => {
    armedAt = null;
    setText(button, label);
    button.className = "";
  };
  const run = onceAtATime(async () => {
    button.setAttribute("aria-busy", "true");
    await act();
    button.removeAttribute("aria-busy");
  });
  button.addEventListener("click", (press) => {
    if (armedAt === null) {
      armedAt = performance.now();
      setText(button, sure);
      button.className = className;
      // Safari gives a button that is clicked no focus, and none would be lost.
      button.focus();
    } else if (press.timeStamp - armedAt >= SECOND_PRESS_AFTER_MS) {
      disarm();
      run();
    }
  });
  button.addEventListener("blur", () => armedAt !== null && disarm());
  return button;
}

// What turns the direction of all that stands after it in a line, such as U+202E.
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;

/** Somebody's name without them. */
export const unturned = (name) => name.replace(TURNS, "");

/** What is said in place of what the server no longer says; nothing where it never did. `seenAt`: when it last did, in milliseconds. */
export const unknownSince = (seenAt, { t, locale }) => (seenAt === null ? "" : t("not_known_since", { at: clockOf(seenAt, locale) }));

/** A moment in milliseconds in the reader's own form. */
export const clockOf = (at, locale) => new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" }).format(at);

/** A moment in the reader's own form; an em dash for none. */
export function momentOf(text, locale) {
  const at = Date.parse(text ?? "");
  return Number.isNaN(at) ? "—" : clockOf(at, locale);
}
