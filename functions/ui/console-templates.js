// The Emergency Call Notification Template: three plain texts, what is wrong with them in place, and how it will look.
import { el, icon, setText } from "./dom.js";
import { faultBox, reasonOf, request, twoStep } from "./console-api.js";

const PREVIEW_AFTER_MS = 400;
const KINDS = ["call", "callback", "closing"];
const LOCALES = ["en", "es", "fr", "it"];
const PARTS = [["subject", 2], ["text", 14], ["html", 14]];

export function templatesSection(main, { t, admin, language }) {
  let etag = null;
  let timer = null;
  let asked = 0;
  let ready = false;
  let rendered = "";
  const kind = choice("template-kind", KINDS, (value) => t(`kind_${value}`), "call");
  const locale = choice("template-locale", LOCALES, (value) => t(`language_${value}`), language);
  const areas = Object.fromEntries(PARTS.map(([part, rows]) => [part, el("textarea", { id: `template-${part}`, rows: String(rows), spellcheck: "false", readOnly: !admin, oninput: later })]));
  const lint = el("ul", { class: "lint", "aria-label": t("lint") });
  const lintSays = el("p", { role: "status", class: "status" });
  const status = el("p", { role: "status", class: "status" });
  const fault = el("div", {});
  const frame = el("iframe", { src: "preview", title: t("preview"), sandbox: "allow-scripts", class: "preview" });
  const subject = el("p", { class: "subject" });
  const plain = el("pre", { tabindex: "0", role: "region", "aria-label": t("preview_text") });
  const hear = (event) => {
    if (event.source !== frame.contentWindow) return;
    ready = true;
    post();
  };
  addEventListener("message", hear);

  main.append(
    el("h2", { tabindex: "-1" }, t("templates")),
    el("p", {}, t("template_title")),
    el("div", { class: "row" }, field("template-kind", t("kind"), kind), field("template-locale", t("language"), locale)),
    fault,
    el(
      "div",
      { class: "split even" },
      el(
        "div",
        {},
        ...PARTS.map(([part]) => field(`template-${part}`, t(`part_${part}`), areas[part])),
        lintSays,
        lint,
        admin ? el("p", { class: "row" }, el("button", { type: "button", class: "primary", onclick: save }, t("save")), twoStep(t("built_in"), t("built_in_sure"), reset, t)) : null,
        status,
      ),
      el("div", { class: "card" }, el("h3", {}, t("preview")), subject, frame, el("h4", {}, t("preview_text")), plain),
    ),
  );

  function field(id, label, input) {
    return el("div", { class: "field" }, el("label", { for: id }, label), input);
  }

  function choice(id, values, label, chosen) {
    return el("select", { id, onchange: load }, ...values.map((value) => el("option", { value, selected: value === chosen }, label(value))));
  }

  const path = (more = "") => `manage/notification-template${more}?kind=${kind.value}&locale=${locale.value}`;
  const body = () => Object.fromEntries(PARTS.map(([part]) => [part, areas[part].value]));

  async function load() {
    const answer = await request("GET", path());
    fault.replaceChildren(...(answer.ok ? [] : [faultBox(answer, t)]));
    if (!answer.ok) return;
    etag = answer.etag;
    for (const [part] of PARTS) areas[part].value = answer.data[part] ?? "";
    setText(status, "");
    preview();
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(preview, PREVIEW_AFTER_MS);
  }

  async function preview() {
    const mine = ++asked;
    const answer = await request("POST", path("/preview"), { body: body() });
    if (mine !== asked) return;
    showLint(answer.data?.lint ?? answer.problem?.lint ?? []);
    if (!answer.ok) return setText(lintSays, reasonOf(answer, t));
    rendered = answer.data.html ?? "";
    setText(subject, answer.data.subject ?? "");
    setText(plain, answer.data.text ?? "");
    post();
  }

  function post() {
    // The sandbox gives that page no origin to name.
    if (ready) frame.contentWindow?.postMessage({ html: rendered }, "*");
  }

  function showLint(faults) {
    setText(lintSays, faults.length ? t("lint_count", { count: faults.length }) : t("lint_none"));
    const go = (part, line) => () => {
      const area = areas[part] ?? areas.text;
      const lines = area.value.split("\n");
      const start = lines.slice(0, Math.max(line - 1, 0)).join("\n").length + (line > 1 ? 1 : 0);
      area.focus();
      area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    };
    lint.replaceChildren(
      ...faults.map(({ part, line, message }) =>
        el("li", {}, icon("alert"), el("span", {}, `${part ? t(`part_${part}`) : ""} ${line ?? ""}: ${message}`), part ? el("button", { type: "button", onclick: go(part, line ?? 1) }, t("go_to_line")) : null),
      ),
    );
  }

  async function save() {
    const answer = await request("PUT", path(), { body: body(), headers: etag ? { "if-match": etag } : {} });
    if (answer.ok) etag = answer.etag;
    const faults = answer.data?.lint;
    if (Array.isArray(faults) && !answer.ok) showLint(faults);
    setText(status, answer.ok ? t("saved") : answer.status === 422 ? t("template_refused") : reasonOf(answer, t));
  }

  async function reset() {
    const answer = await request("DELETE", path());
    if (!answer.ok) return setText(status, reasonOf(answer, t));
    await load();
    setText(status, t("built_in_again"));
  }

  load();
  return () => {
    clearTimeout(timer);
    removeEventListener("message", hear);
  };
}
