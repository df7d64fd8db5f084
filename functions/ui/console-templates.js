// The Emergency Call Notification Template: three plain texts, what is wrong with them in place, and how it will look.
import { el, icon, onlyNewest, setText } from "./dom.js";
import { faultPlace, onceAtATime, request, tellFault, twoStep } from "./console-api.js";

const PREVIEW_AFTER_MS = 400;
const KINDS = ["call", "callback", "closing"];
const LOCALES = ["en", "es", "fr", "it"];
const PARTS = [["subject", 2], ["text", 14], ["html", 14]];

export function templatesSection(main, { t, admin, language, leaving, edited }) {
  let shown = { kind: "call", locale: language };
  let etag = null;
  let timer = null;
  // What is loaded, what is previewed, and which template the page shows: an answer counts for the newest of each.
  const [loads, previews, templates] = [onlyNewest(), onlyNewest(), onlyNewest()];
  let stands = templates();
  // Anew for each template: one whose answer is late keeps no other from being saved.
  let saves = onceAtATime(save);
  let ready = false;
  let rendered = "";
  const kind = choice("template-kind", KINDS, (value) => t(`kind_${value}`), "call");
  const locale = choice("template-locale", LOCALES, (value) => t(`language_${value}`), language);
  const areas = Object.fromEntries(PARTS.map(([part, rows]) => [part, el("textarea", { id: `template-${part}`, rows: String(rows), spellcheck: "false", readOnly: true, oninput: typed })]));
  const lints = Object.fromEntries(PARTS.map(([part]) => [part, el("ul", { class: "lint", id: `template-${part}-lint`, hidden: true, "aria-label": t("lint_of", { part: t(`part_${part}`) }) })]));
  const lint = el("ul", { class: "lint", hidden: true, "aria-label": t("lint") });
  const lintSays = el("p", { role: "status", class: "status" });
  const status = el("p", { role: "status", class: "status" });
  const fault = faultPlace(t);
  const frame = el("iframe", { src: "preview", title: t("preview"), sandbox: "allow-scripts", class: "preview" });
  const subject = el("p", { class: "subject" });
  const plain = el("pre", { tabindex: "0", role: "region", "aria-label": t("preview_text") });
  const hear = (event) => {
    if (event.source !== frame.contentWindow) return;
    ready = true;
    post();
  };
  addEventListener("message", hear);
  const moved = el("div", { role: "alert", tabindex: "-1" });

  main.append(
    el("h2", { tabindex: "-1" }, t("templates")),
    el("p", {}, t("template_title")),
    el("div", { class: "row" }, field("template-kind", t("kind"), kind), field("template-locale", t("language"), locale)),
    fault.place,
    el(
      "div",
      { class: "split even" },
      el(
        "div",
        {},
        ...PARTS.map(([part]) => field(`template-${part}`, t(`part_${part}`), lints[part], areas[part])),
        lintSays,
        lint,
        moved,
        admin ? el("p", { class: "row" }, el("button", { type: "button", class: "primary", onclick: () => saves() }, t("save")), twoStep(t("built_in"), t("built_in_sure"), reset)) : null,
        status,
      ),
      el("div", { class: "card" }, el("h3", {}, t("preview")), subject, frame, el("h4", {}, t("preview_text")), plain),
    ),
  );

  function field(id, label, ...inputs) {
    return el("div", { class: "field" }, el("label", { for: id }, label), ...inputs);
  }

  function choice(id, values, label, chosen) {
    return el("select", { id, onchange: another }, ...values.map((value) => el("option", { value, selected: value === chosen }, label(value))));
  }

  /** Another kind or language: what is shown and what would be saved are always of the same. */
  function another({ target }) {
    const wanted = { kind: kind.value, locale: locale.value };
    choose(shown);
    leaving(() => {
      choose(wanted);
      load(wanted);
      target.focus();
    });
  }

  function choose(of) {
    [kind.value, locale.value] = [of.kind, of.locale];
  }

  /** Work on the template that is shown: another one, asked for before, is not put in its place. */
  function stay() {
    choose(shown);
    return loads();
  }

  function typed() {
    stay();
    setText(status, "");
    edited(true);
    later();
  }

  const path = (more = "", of = shown) => `manage/notification-template${more}?kind=${of.kind}&locale=${of.locale}`;
  const body = () => Object.fromEntries(PARTS.map(([part]) => [part, areas[part].value]));

  /** Show a template; gives whether it is shown now. */
  async function load(wanted = shown) {
    const newest = loads();
    const answer = await request("GET", path("", wanted));
    if (!newest()) return false;
    fault.tell(answer);
    if (!answer.ok) {
      choose(shown);
      return false;
    }
    shown = wanted;
    stands = templates();
    saves = onceAtATime(save);
    edited(false);
    etag = answer.etag;
    moved.replaceChildren();
    for (const [part] of PARTS) {
      areas[part].value = answer.data[part] ?? "";
      areas[part].readOnly = !admin;
    }
    setText(status, "");
    preview();
    return true;
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(preview, PREVIEW_AFTER_MS);
  }

  async function preview() {
    const newest = previews();
    const answer = await request("POST", path("/preview"), { body: body() });
    if (!newest()) return;
    showLint(answer.data?.lint ?? answer.problem?.lint ?? [], answer.language);
    if (!answer.ok) return tellFault(lintSays, answer, t);
    rendered = answer.data.html ?? "";
    setText(subject, answer.data.subject ?? "");
    setText(plain, answer.data.text ?? "");
    post();
  }

  function post() {
    // The sandbox gives that page no origin to name.
    if (ready) frame.contentWindow?.postMessage({ html: rendered }, "*");
  }

  function showLint(faults, language) {
    setText(lintSays, faults.length ? t("lint_count", { count: faults.length }) : t("lint_none"));
    const go = (part, line) => () => {
      const area = areas[part] ?? areas.text;
      const lines = area.value.split("\n");
      const start = lines.slice(0, Math.max(line - 1, 0)).join("\n").length + (line > 1 ? 1 : 0);
      area.focus();
      area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    };
    const told = ({ part, line, message }) =>
      el("li", {}, icon("alert"), el("span", {}, line ? `${t("line")} ${line}: ` : "", el("span", { lang: language }, message)), areas[part] ? el("button", { type: "button", onclick: go(part, line ?? 1) }, t("go_to_line")) : null);
    for (const [part] of PARTS) fill(lints[part], faults.filter((each) => each.part === part).map(told), areas[part]);
    fill(lint, faults.filter((each) => !areas[each.part]).map(told));
  }

  /** In its place: at the text that it is about, of which it is also the description. */
  function fill(list, items, area) {
    list.replaceChildren(...items);
    list.hidden = items.length === 0;
    if (!area) return;
    area.toggleAttribute("aria-invalid", items.length > 0);
    if (items.length) area.setAttribute("aria-invalid", "true");
    if (items.length) area.setAttribute("aria-describedby", list.id);
    else area.removeAttribute("aria-describedby");
  }

  async function save() {
    const [still, sent] = [stands, body()];
    stay();
    const answer = await request("PUT", path(), { body: sent, headers: etag ? { "if-match": etag } : {} });
    if (!still()) return;
    if (answer.status === 412) return overtaken();
    // What was typed while it was being saved is not saved.
    const asSent = JSON.stringify(body()) === JSON.stringify(sent);
    if (answer.ok) etag = answer.etag;
    if (answer.ok) edited(!asSent);
    moved.replaceChildren();
    const faults = answer.data?.lint;
    if (Array.isArray(faults) && !answer.ok && asSent) showLint(faults, answer.language);
    if (answer.ok) setText(status, asSent ? t("saved") : "");
    else if (answer.status === 422) setText(status, t("template_refused"));
    else tellFault(status, answer, t);
  }

  /** Somebody else saved one meanwhile: theirs can be taken; another Save keeps what is here. */
  async function overtaken() {
    const still = stands;
    const theirs = await request("GET", path());
    if (!still()) return;
    if (!theirs.ok) return tellFault(status, theirs, t);
    etag = theirs.etag;
    setText(status, "");
    const parts = PARTS.filter(([part]) => theirs.data[part] !== areas[part].value).map(([part]) => el("details", {}, el("summary", {}, `${t("theirs")}: ${t(`part_${part}`)}`), el("pre", { tabindex: "0" }, theirs.data[part])));
    moved.replaceChildren(el("div", { class: "fault" }, icon("alert"), el("div", {}, el("p", {}, t("changed_meanwhile")), ...parts, el("p", { class: "row" }, el("button", { type: "button", onclick: take }, t("take_theirs")), t("save_keeps_mine")))));
    moved.focus();
  }

  async function take() {
    if (await load()) areas.subject.focus();
  }

  async function reset() {
    const still = stands;
    const newest = stay();
    const answer = await request("DELETE", path(), { headers: etag ? { "if-match": etag } : {} });
    if (!still()) return;
    if (answer.status === 412) return overtaken();
    if (!answer.ok) return tellFault(status, answer, t);
    // What was typed meanwhile stays.
    if (!newest() || (await load())) setText(status, t("built_in_again"));
  }

  load();
  return () => {
    clearTimeout(timer);
    for (const each of [loads, previews, templates]) each.end();
    removeEventListener("message", hear);
  };
}
