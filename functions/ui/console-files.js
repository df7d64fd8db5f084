// Files of the console: one is chosen, checked by the server, brought in when somebody says so, and given.
import { el, onlyNewest, setText } from "./dom.js";
import { request, tellFault } from "./console-api.js";

// As long as the server takes for the whole directory, and the way there.
const WHOLE_FILE_MS = 60000;
const KEEP_ADDRESS_MS = 10000;

/** Ask about a file. `raw`: its bytes, so that the server sees them as the file has them, whatever its encoding. */
export const sendFile = (path, raw, type) => request("POST", path, { raw, type, withinMs: WHOLE_FILE_MS });

/**
 * A card of one kind of file. `file`: `{ id, label, accept }` of the field, null where nothing may be brought in;
 * `given`: `{ label, path, name }` of the export; `check(bytes)` asks about what was chosen, and gives what shows the answer.
 *
 * Gives `{ card, says, result, offer, asks }`: where words and what was found go, `offer(label, act)`, a button that acts
 * once and is told whether that is the newest that was asked here, and what begins such a question.
 */
export function filesCard(t, title, { file, given, check }) {
  const says = el("p", { role: "status", class: "status" });
  const result = el("div", {});
  const asks = onlyNewest();
  // Emptied when it is opened: a file that was mended and is chosen again counts as another one.
  const input = file && el("input", { type: "file", id: file.id, accept: file.accept, onclick: () => (input.value = ""), onchange: choose });

  async function choose() {
    const newest = asks();
    result.replaceChildren();
    if (!input.files[0]) return;
    setText(says, t("checking"));
    const bytes = await input.files[0].arrayBuffer().catch(() => null);
    if (!newest()) return;
    if (bytes === null) return setText(says, t("file_unreadable"));
    const show = await check(bytes);
    if (newest()) show();
  }

  function offer(label, act) {
    const once = () => {
      // The button goes: what is left of it is the field, not the top of the page.
      input.focus();
      result.replaceChildren();
      setText(says, t("import_begins"));
      act(asks());
    };
    result.replaceChildren(el("button", { type: "button", class: "primary", onclick: once }, label));
  }

  async function give() {
    const answer = await request("GET", given.path, { whole: true, withinMs: WHOLE_FILE_MS });
    if (!answer.ok) return tellFault(says, answer, t);
    const address = URL.createObjectURL(answer.data);
    el("a", { href: address, download: given.name }).click();
    setTimeout(() => URL.revokeObjectURL(address), KEEP_ADDRESS_MS);
  }

  const field = file && el("div", { class: "field" }, el("label", { for: file.id }, file.label), input);
  const button = el("p", { class: "row" }, el("button", { type: "button", onclick: give }, given.label));
  const card = el("section", { class: "card", "aria-label": title }, el("h3", {}, title), field, says, result, button);
  return { card, says, result, offer, asks };
}

/** What is wrong with a file: a row of words for each fault, under these heads, the last of which is the server's reason in its language. */
export function faultTable(t, caption, heads, rows, language, title = t("faults")) {
  const head = el("tr", {}, ...heads.map((key) => el("th", { scope: "col" }, t(key))));
  const body = rows.map((words) => el("tr", {}, ...words.slice(0, -1).map((word) => el("td", {}, word)), el("td", { lang: language }, words.at(-1))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, el("table", {}, el("caption", {}, caption), el("thead", {}, head), el("tbody", {}, ...body)));
}

/** Sites and edited templates as one file, for a deployment beside this one; `imported` is called when they are in. */
export function setupCard(t, imported) {
  const file = { id: "setup-file", label: t("setup_file"), accept: ".json,application/json" };
  const given = { label: t("setup_export"), path: "manage/setup/export", name: "setup.json" };
  const { card, says, result, offer } = filesCard(t, t("setup"), { file, given, check });

  const told = ({ sites, templates }) =>
    t("setup_counts", {
      sites_new: sites.new,
      sites_changed: sites.changed,
      sites_unchanged: sites.unchanged,
      templates_new: templates.new,
      templates_changed: templates.changed,
      templates_unchanged: templates.unchanged,
    });

  const asked = (bytes, query) => sendFile(`manage/setup/import${query}`, bytes, "application/json");

  async function check(bytes) {
    const answer = await asked(bytes, "?dry_run=1");
    return () => (answer.ok ? showChecked(answer.data, bytes) : refused(answer));
  }

  function showChecked(outlook, bytes) {
    const differs = [outlook.sites, outlook.templates].some((each) => each.new + each.changed > 0);
    setText(says, differs ? told(outlook) : `${t("setup_same")} ${told(outlook)}`);
    if (differs) offer(t("setup_import"), (newest) => run(bytes, newest));
  }

  async function run(bytes, newest) {
    const answer = await asked(bytes, "");
    if (answer.ok) imported();
    if (!newest()) return;
    if (answer.ok) setText(says, `${t("setup_done")} ${told(answer.data)}`);
    else refused(answer);
  }

  function refused(answer) {
    const faults = answer.problem?.faults ?? [];
    if (!faults.length) return tellFault(says, answer, t);
    setText(says, t("setup_faults", { count: faults.length }));
    result.replaceChildren(faultTable(t, t("faults"), ["place", "reason"], faults.map(({ at, reason }) => [at, reason]), answer.language));
  }

  return card;
}
