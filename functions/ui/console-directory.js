// Agents and sites: search, one form for an entry, import and export.
import { el, keyed, onlyNewest, setText } from "./dom.js";
import { faultPlace, request, tellFault, unturned } from "./console-api.js";
import { faultTable, filesCard, sendFile, setupCard } from "./console-files.js";
import { recordForm } from "./console-forms.js";

const SEARCH_AFTER_MS = 250;
const PAGE_OF = 50;
const LOOK_AT_IMPORT_MS = 1000;
// The import that was begun on this page: it goes on, and shows how far it is, whatever section is open.
let importUnderWay = null;
let showImport = null;

const AGENT_FIELDS = [
  { name: "agent_id", kind: "text", required: true },
  { name: "name", kind: "text" },
  { name: "emergency_contacts", kind: "area", hint: "contacts_hint", keepsEmpty: true },
  { name: "entra_object_id", kind: "text" },
  { name: "dynamics_user_id", kind: "text" },
  { name: "acs_user_ids", kind: "lines", hint: "one_per_line" },
  { name: "country", kind: "text", hint: "country_hint" },
  { name: "locale", kind: "text", hint: "locale_hint" },
  { name: "address", kind: "area" },
  { name: "site", kind: "text", hint: "site_hint" },
  { name: "time_zone", kind: "text", hint: "time_zone_hint" },
  { name: "alternate_numbers", kind: "lines", hint: "numbers_hint" },
  { name: "name", of: "outbound_profile", kind: "text" },
  { name: "work_item_limit", of: "outbound_profile", kind: "number", hint: "limit_hint" },
  { name: "caller_id", of: "outbound_profile", kind: "text" },
];
const SITE_FIELDS = [
  { name: "site_id", kind: "text", required: true },
  { name: "name", kind: "text", required: true },
  { name: "address", kind: "area" },
  { name: "country", kind: "text", hint: "country_hint" },
  { name: "time_zone", kind: "text", hint: "time_zone_hint" },
  { name: "networks", kind: "lines", hint: "networks_hint" },
  { name: "emergency_contacts", kind: "lines", hint: "one_per_line" },
  { name: "security_desk", kind: "lines", hint: "desk_hint" },
];

const labelling = (t, kind) => (field) => t(field.of ? `${field.of}_${field.name}` : `${kind}_${field.name}`);

/**
 * Opens records in `detail`, by the form that `form` describes: `open(id)`, null for a new one. `changed` is called when
 * one was saved or removed.
 */
function opening(detail, { t, admin, edited }, form, changed) {
  const opens = onlyNewest();

  async function open(id) {
    const newest = opens();
    const told = (differs) => {
      if (!made.isConnected) return;
      // Typing keeps the form: another one, asked for before, is not put in its place.
      if (differs) opens();
      edited(differs);
    };
    const done = (saved) => {
      if (saved === null && made.isConnected) {
        // What had the focus goes.
        detail.replaceChildren(el("p", { role: "status", class: "status" }, t("removed")));
        detail.closest("main").querySelector("h2").focus();
      }
      changed();
    };
    const made = await recordForm({ ...form, id, title: id ?? form.title, t, writable: admin, edited: told, done });
    if (!newest()) return;
    detail.replaceChildren(made);
    made.querySelector("h3").focus();
  }

  return { open, stop: opens.end };
}

/** The directory, by the start of an id, a name or a word of a name: a page of it costs the same at any size. */
export function agentsSection(main, context) {
  const { t, admin, leaving } = context;
  let cursor = null;
  let timer = null;
  const asks = onlyNewest();
  const found = new Map();
  const search = el("input", { type: "search", id: "agents-search", autocomplete: "off", oninput: later });
  const list = el("ul", { class: "choices", "aria-label": t("agents") });
  const status = el("p", { role: "status", class: "status" });
  const more = el("button", { type: "button", hidden: true, onclick: () => look(false) }, t("more"));
  const detail = el("div", {});
  const fault = faultPlace(t);
  const form = { title: t("new_agent"), path: "manage/agents", idField: "agent_id", fields: AGENT_FIELDS, label: labelling(t, "agent") };
  const { open, stop } = opening(detail, context, form, () => look(true));
  const importing = importCard(context, () => look(true));
  main.append(
    el("h2", { tabindex: "-1" }, t("agents")),
    el("div", { class: "row" }, el("div", { class: "field grow" }, el("label", { for: "agents-search" }, t("search_agents")), search), admin ? el("button", { type: "button", onclick: () => leaving(() => open(null)) }, t("new_agent")) : null),
    fault.place,
    el("div", { class: "split" }, el("div", {}, list, more, status), detail),
    importing.card,
  );

  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => look(true), SEARCH_AFTER_MS);
  }

  async function look(anew) {
    const newest = asks();
    const query = new URLSearchParams({ starts_with: search.value.trim(), limit: String(PAGE_OF), ...(anew || !cursor ? {} : { cursor }) });
    const answer = await request("GET", `manage/agents?${query}`);
    if (!newest()) return;
    fault.tell(answer);
    if (!answer.ok) return;
    const [shown, asked] = [found.size, document.activeElement === more];
    if (anew) found.clear();
    for (const agent of answer.data.agents) found.set(agent.agent_id, agent);
    cursor = answer.data.cursor ?? null;
    more.hidden = cursor === null;
    keyed(list, [...found.values()], (agent) => agent.agent_id, makeChoice, updateChoice);
    // The button that was pressed goes with the last page.
    if (asked && more.hidden) (list.children[shown] ?? list.lastElementChild)?.firstElementChild.focus();
    setText(status, found.size ? t(cursor ? "first_agents" : "count_agents", { count: found.size }) : t("no_agents"));
  }

  function makeChoice(agent) {
    return el("li", {}, el("button", { type: "button", class: "choice", onclick: () => leaving(() => open(agent.agent_id)) }, el("strong", {}), el("span", {})));
  }

  function updateChoice(item, agent) {
    const [name, more_] = item.firstElementChild.children;
    setText(name, unturned(agent.name ?? agent.agent_id));
    const told = agent.contacts ? t("contacts_count", { count: agent.contacts }) : t("contacts_none");
    setText(more_, [agent.agent_id, agent.country, agent.site, told].filter(Boolean).join(" · "));
  }

  look(true);
  return () => {
    clearTimeout(timer);
    asks.end();
    stop();
    importing.stop();
  };
}

/** Import with a dry run first: what is imported is what was checked. */
function importCard({ t, admin }, imported) {
  const file = admin ? { id: "import-file", label: t("import_file"), accept: ".csv,text/csv" } : null;
  const given = { label: t("export"), path: "manage/agents/export", name: "agents.csv" };
  const { card, says, result, offer, asks } = filesCard(t, t("import_export"), { file, given, check });
  let timer = null;
  let stopped = false;

  async function check(bytes) {
    const answer = await sendFile("manage/agents/import?dry_run=1", bytes, "text/csv");
    return () => (answer.ok ? showChecked(answer, bytes) : tellFault(says, answer, t));
  }

  function showChecked({ data: checked, language }, bytes) {
    const { rows, new: fresh, changed, unchanged, faults, faults_total: total, digest } = checked;
    setText(says, t("checked", { rows, fresh, changed, unchanged, faults: total }));
    const table = (found, caption, title) => {
      const words = found.map((fault) => [String(fault.line), fault.column ?? "", fault.reason]);
      return faultTable(t, caption, ["line", "column", "reason"], words, language, title);
    };
    if (total) result.replaceChildren(table(faults, t("faults_shown", { shown: faults.length, total })));
    else offer(t("import_now", { rows }), (newest) => run(bytes, digest, newest));
    const { doubts = [], doubts_total: doubtful = 0 } = checked;
    if (doubtful) result.append(table(doubts, t("doubts_shown", { shown: doubts.length, total: doubtful }), t("doubts")));
  }

  async function run(bytes, digest, newest) {
    const answer = await sendFile(`manage/agents/import?digest=${encodeURIComponent(digest)}`, bytes, "text/csv");
    if (!answer.ok) return newest() && tellFault(says, answer, t);
    importUnderWay = answer.data.operation_id;
    showImport?.();
  }

  function show() {
    const bar = el("progress", { max: "1", "aria-label": t("import") });
    // Beside the live region: a count that grows each second is not read out each second.
    const count = el("p", { class: "status" });
    result.replaceChildren(bar, count);
    follow(importUnderWay, { bar, count }, asks());
  }

  /** To its end, also where a file that was chosen meanwhile is what the card shows. */
  async function follow(operation, { bar, count }, newest) {
    const answer = await request("GET", `manage/agents/import/${encodeURIComponent(operation)}`);
    if (stopped || operation !== importUnderWay) return;
    if (answer.status === 404) importUnderWay = null;
    if (answer.status !== 0 && answer.status < 500 && !answer.ok) return newest() && tellFault(says, answer, t);
    if (answer.ok) {
      const { state, done, rows } = answer.data;
      bar.max = Math.max(rows, 1);
      bar.value = done;
      const running = state === "running";
      setText(count, running ? t("import_running", { done, rows }) : "");
      if (newest() && !running) setText(says, t(`import_${state}`, { done, rows }));
      if (!running) {
        importUnderWay = null;
        return imported();
      }
    }
    timer = setTimeout(() => follow(operation, { bar, count }, newest), LOOK_AT_IMPORT_MS);
  }

  showImport = show;
  if (importUnderWay) show();
  const stop = () => {
    stopped = true;
    if (showImport === show) showImport = null;
    clearTimeout(timer);
  };
  return { card, stop };
}

/** Sites: who is told and which desk rings follow from where a desktop is. */
export function sitesSection(main, context) {
  const { t, admin, leaving } = context;
  const asks = onlyNewest();
  const list = el("ul", { class: "choices", "aria-label": t("sites") });
  const status = el("p", { role: "status", class: "status" });
  const detail = el("div", {});
  const fault = faultPlace(t);
  const form = { title: t("new_site"), path: "manage/sites", idField: "site_id", fields: SITE_FIELDS, label: labelling(t, "site") };
  const { open, stop } = opening(detail, context, form, look);
  main.append(
    el("h2", { tabindex: "-1" }, t("sites")),
    el("p", { class: "row" }, admin ? el("button", { type: "button", onclick: () => leaving(() => open(null)) }, t("new_site")) : null),
    fault.place,
    el("div", { class: "split" }, el("div", {}, list, status), detail),
    // The file has templates too, which are an administrator's alone.
    ...(admin ? [setupCard(t, look)] : []),
  );

  async function look() {
    const newest = asks();
    const answer = await request("GET", "manage/sites");
    if (!newest()) return;
    fault.tell(answer);
    if (!answer.ok) return;
    const { sites } = answer.data;
    keyed(
      list,
      sites,
      (site) => site.site_id,
      (site) => el("li", {}, el("button", { type: "button", class: "choice", onclick: () => leaving(() => open(site.site_id)) }, el("strong", {}), el("span", {}))),
      (item, site) => {
        setText(item.firstElementChild.children[0], site.name ?? site.site_id);
        setText(item.firstElementChild.children[1], [site.site_id, site.country, site.address].filter(Boolean).join(" · "));
      },
    );
    setText(status, sites.length ? t("count_sites", { count: sites.length }) : t("no_sites"));
  }

  look();
  return () => {
    asks.end();
    stop();
  };
}
