// The administrators' console: who is signed in, and one section at a time.
import { el, icon } from "./dom.js";
import { CONSOLE_WORDS, pressedOnce, request, signInLink, speak } from "./console-api.js";
import { languageOf, localeOf, speaking } from "./i18n.js";
import { liveSection } from "./console-live.js";
import { agentsSection, sitesSection } from "./console-directory.js";
import { templatesSection } from "./console-templates.js";
import { drillsSection, numbersSection, readinessSection } from "./console-watch.js";

const SECTIONS = {
  live: liveSection,
  agents: agentsSection,
  sites: sitesSection,
  templates: templatesSection,
  readiness: readinessSection,
  numbers: numbersSection,
  drills: drillsSection,
};
const LANGUAGE_NAMES = { en: "English", es: "Español", fr: "Français", it: "Italiano" };
const ADMIN = "EmergencyCalling.Admin";
// Every route behind them is an administrator's alone.
const OF_ADMINS = ["templates", "drills"];
const OFFICE = [ADMIN, "EmergencyCalling.Supervisor"];

const query = new URLSearchParams(location.search);
let language = languageOf(query.get("locale") ?? navigator.language);
let t = speaking(CONSOLE_WORDS, language);
let me = null;
// The answer to who is signed in; null until it is there.
let identified = null;
let stop = () => {};
let unsaved = false;
let shownHash = "";

speak(language);
pressedOnce(document);

/** The page is there while it is asked who is signed in; what depends on that follows. */
async function identify() {
  build();
  identified = await request("GET", "me");
  me = identified.ok ? identified.data : null;
  const chose = document.activeElement?.id === "language";
  build();
  if (chose) document.getElementById("language").focus();
}

/** Where the server does not say who it is, everything is offered: each route decides for itself. */
const isAdmin = () => me === null || (me.roles ?? []).some((role) => role === ADMIN || role === "Admin");
const isOffice = () => me === null || isAdmin() || (me.roles ?? []).some((role) => OFFICE.includes(role) || role === "Supervisor");

const offered = () => Object.keys(SECTIONS).filter((name) => isAdmin() || !OF_ADMINS.includes(name));

function build() {
  document.documentElement.lang = language;
  document.title = t("title");
  const languages = el(
    "select",
    { id: "language", onchange: (event) => speakInstead(event.target) },
    ...Object.entries(LANGUAGE_NAMES).map(([code, name]) => el("option", { value: code, selected: code === language, lang: code }, name)),
  );
  const links = offered().map((name) => el("li", {}, el("a", { href: `#${name}` }, t(name))));
  const who = identified?.status === 401 ? signInLink(t("sign_in")) : me ? el("span", {}, me.name ?? me.agent_id ?? "") : null;
  document.body.replaceChildren(
    el("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), document.querySelector("main h2")?.focus()) }, t("skip")),
    el("header", {}, el("h1", {}, t("title")), el("div", { class: "row" }, who, el("label", { for: "language" }, t("language")), languages)),
    el("nav", { "aria-label": t("sections") }, identified && el("ul", {}, ...links)),
    el("main", { id: "main" }, el("p", { role: "status" }, t("identifying"))),
  );
  show();
}

function speakInstead(select) {
  const wanted = select.value;
  select.value = language;
  leaving(() => {
    language = wanted;
    t = speaking(CONSOLE_WORDS, language);
    speak(language);
    build();
    // The page is another one; who chose stays at the choice.
    document.getElementById("language").focus();
  });
}

/** The reader's own locale of the language that is shown, for dates: en-GB and en-US write them differently. */
function ownLocale() {
  const locales = [query.get("locale"), ...navigator.languages].map(localeOf);
  return locales.find((each) => each.startsWith(`${language}-`)) ?? language;
}

/** Go on; where something is not saved yet, say so first, and go on at a button. */
function leaving(next) {
  if (!unsaved) return next();
  document.querySelector(".unsaved")?.remove();
  const go = () => {
    unsaved = false;
    bar.remove();
    next();
  };
  const ask = el("div", {}, el("p", {}, t("unsaved")), el("p", { class: "row" }, el("button", { type: "button", onclick: go }, t("leave_unsaved"))));
  const bar = el("div", { class: "fault unsaved", tabindex: "-1" }, icon("alert"), ask);
  document.querySelector("main").prepend(bar);
  bar.focus();
}

/** What is on the page differs from what is kept, or does not any more. */
function edited(differs) {
  unsaved = differs;
  if (!differs) document.querySelector(".unsaved")?.remove();
}

function show(focus = false) {
  if (identified === null) return;
  const name = offered().find((each) => location.hash === `#${each}`) ?? "live";
  stop();
  edited(false);
  shownHash = location.hash;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const main = document.querySelector("main");
  main.replaceChildren();
  document.title = `${t(name)} – ${t("title")}`;
  stop = SECTIONS[name](main, { t, language, locale: ownLocale(), admin: isAdmin(), office: isOffice(), leaving, edited });
  if (focus) main.querySelector("h2")?.focus();
}

addEventListener("hashchange", () => {
  const wanted = location.hash;
  if (!unsaved) return show(true);
  history.replaceState(null, "", shownHash || location.pathname + location.search);
  leaving(() => (location.hash = wanted));
});
addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
identify();
