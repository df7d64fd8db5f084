// Forms over one record of the API: read with its entity tag, checked, saved, removed, and compared when it moved.
import { el, icon } from "./dom.js";
import { faultBox, faultWords, onceAtATime, request, tellFault, twoStep } from "./console-api.js";

const SPLITS = { lines: "\n", text: null };

/**
 * A form for a record. `fields`: `{ name, kind: "text" | "lines" | "area" | "number", hint?, required?, of? }`, where `of`
 * names the object that the field is part of. `done(id)` is called after a change, null when the record is gone.
 */
export async function recordForm({ title, path, idField, fields, id, t, done, writable, label, edited }) {
  const box = el("section", { class: "card form", "aria-label": title });
  const known = id === null ? { ok: true, data: {}, etag: null } : await request("GET", `${path}/${encodeURIComponent(id)}`);
  if (!known.ok) {
    box.append(el("h3", { tabindex: "-1" }, title), el("div", { role: "alert" }, faultBox(known, t)));
    return box;
  }
  let etag = known.etag;
  const inputs = new Map();
  const summary = el("div", { class: "fault", tabindex: "-1", role: "alert", hidden: true });
  const status = el("p", { role: "status", class: "status" });
  const rows = fields.map((field) => {
    const input = inputOf(field, known.data);
    const key = keyOfField(field);
    input.id = `${idField}-${key}`;
    input.required = field.required === true;
    if (field.name === idField && id !== null) input.readOnly = true;
    if (!writable) input.readOnly = true;
    inputs.set(key, input);
    const hint = field.hint ? el("span", { class: "hint", id: `${input.id}-hint` }, t(field.hint)) : null;
    const error = el("span", { class: "error", id: `${input.id}-error`, hidden: true });
    if (hint) input.setAttribute("aria-describedby", hint.id);
    return el("div", { class: "field" }, el("label", { for: input.id }, label(field)), hint, error, input);
  });

  const collect = () => {
    const record = {};
    for (const field of fields) {
      const value = valueOf(field, inputs.get(keyOfField(field)).value);
      if (field.of) {
        if (value !== null) record[field.of] = { ...record[field.of], [field.name]: value };
      } else record[field.name] = value;
    }
    for (const name of new Set(fields.map((field) => field.of).filter(Boolean))) record[name] ??= null;
    return record;
  };

  /** What the last attempt said is about what stood there then. */
  const clear = () => {
    for (const input of inputs.values()) {
      input.removeAttribute("aria-invalid");
      box.querySelector(`[id="${input.id}-error"]`).hidden = true;
      const hint = box.querySelector(`[id="${input.id}-hint"]`);
      if (hint) input.setAttribute("aria-describedby", hint.id);
      else input.removeAttribute("aria-describedby");
    }
    status.textContent = "";
  };

  /** `reason`: words, or words and elements. What is no field's fault, such as a server that is away, has no `key` and stands in the summary alone. */
  const complain = (faults) => {
    const links = faults.map(({ key, reason }) => {
      const input = inputs.get(key);
      if (!input) return el("li", {}, reason);
      const error = box.querySelector(`[id="${input.id}-error"]`);
      error.textContent = reason;
      error.hidden = false;
      input.setAttribute("aria-invalid", "true");
      const hint = box.querySelector(`[id="${input.id}-hint"]`);
      input.setAttribute("aria-describedby", [error.id, hint?.id].filter(Boolean).join(" "));
      return el("li", {}, el("button", { type: "button", class: "link", onclick: () => input.focus() }, `${label(fields.find((each) => keyOfField(each) === key))}: ${reason}`));
    });
    summary.replaceChildren(icon("alert"), el("div", {}, el("p", {}, t("please_mend")), el("ul", {}, ...links)));
    summary.hidden = false;
    summary.focus();
  };

  const moved = async (mine) => {
    const theirs = await request("GET", `${path}/${encodeURIComponent(id ?? mine[idField])}`);
    const gone = theirs.status === 404 && !theirs.missing;
    // From here on it is a new one.
    if (gone) etag = null;
    if (!theirs.ok) return complain([{ key: null, reason: gone ? t("removed_meanwhile") : faultWords(theirs, t) }]);
    // Nobody changed what was never read here: it is another one, under the id that was typed.
    const words = etag === null ? t("exists_already") : t("changed_meanwhile");
    etag = theirs.etag;
    const rowsOf = fields
      .map((field) => [label(field), inputs.get(keyOfField(field)).value, textOf(field, theirs.data)])
      .filter(([, own, other]) => own !== other)
      .map(([name, own, other]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, own), el("td", {}, other)));
    const take = () => {
      for (const field of fields) inputs.get(keyOfField(field)).value = textOf(field, theirs.data);
      summary.hidden = true;
      edited(false);
      heading.focus();
    };
    const head = el("tr", {}, el("th", { scope: "col" }, t("field")), el("th", { scope: "col" }, t("mine")), el("th", { scope: "col" }, t("theirs")));
    summary.replaceChildren(
      icon("alert"),
      el("div", {}, el("p", {}, words), el("table", {}, el("thead", {}, head), el("tbody", {}, ...rowsOf)), el("p", { class: "row" }, el("button", { type: "button", onclick: take }, t("take_theirs")), t("save_keeps_mine"))),
    );
    summary.hidden = false;
    summary.focus();
  };

  const save = onceAtATime(async () => {
    clear();
    const record = collect();
    const faults = fields.filter((field) => field.required && !inputs.get(keyOfField(field)).value.trim()).map((field) => ({ key: keyOfField(field), reason: t("is_needed") }));
    if (faults.length) return complain(faults);
    const headers = etag ? { "if-match": etag } : { "if-none-match": "*" };
    const answer = await request("PUT", `${path}/${encodeURIComponent(record[idField])}`, { body: record, headers });
    if (answer.status === 412) return moved(record);
    if (!answer.ok) {
      const named = answer.problem?.field ?? "";
      return complain([{ key: keyedBy(named, fields), reason: named ? detailOf(answer.problem, named) : faultWords(answer, t) }]);
    }
    etag = answer.etag;
    // What was read and saved is of this id; another one is another entry.
    inputs.get(idField).readOnly = true;
    summary.hidden = true;
    // What was typed while it was being saved is not saved.
    const differs = JSON.stringify(collect()) !== JSON.stringify(record);
    if (!differs) status.textContent = t("saved");
    edited(differs);
    done(record[idField]);
  });

  const remove = async () => {
    const answer = await request("DELETE", `${path}/${encodeURIComponent(id)}`, { headers: etag ? { "if-match": etag } : {} });
    if (answer.status === 412) return moved(collect());
    if (!answer.ok) return tellFault(status, answer, t);
    edited(false);
    done(null);
  };

  const typed = () => {
    status.textContent = "";
    edited(true);
  };

  const heading = el("h3", { tabindex: "-1" }, title);
  const form = el("form", { novalidate: true, oninput: () => typed(), onsubmit: (event) => (event.preventDefault(), save()) }, summary, ...rows, writable
    ? el("p", { class: "row" }, el("button", { type: "submit", class: "primary" }, t("save")), id !== null ? twoStep(t("remove"), t("remove_sure"), remove) : null)
    : el("p", {}, t("read_only")));
  box.append(heading, form, status);
  return box;
}

const keyOfField = (field) => (field.of ? `${field.of}_${field.name}` : field.name);

function keyedBy(named, fields) {
  const plain = named.replace(/\[\d+\]$/, "").replace(".", "_");
  return fields.map(keyOfField).find((key) => key === plain) ?? null;
}

function detailOf(problem, named) {
  const index = /\[(\d+)\]$/.exec(named);
  return index ? `${Number(index[1]) + 1}: ${problem.detail}` : problem.detail;
}

function inputOf(field, record) {
  const value = textOf(field, record);
  if (field.kind === "lines" || field.kind === "area") return el("textarea", { rows: "3", spellcheck: "false" }, value);
  // A browser gives a number field that it cannot read as an empty one.
  const input = el("input", { type: "text", inputmode: field.kind === "number" ? "numeric" : null, autocomplete: "off", spellcheck: "false" });
  input.value = value;
  return input;
}

function textOf(field, record) {
  const value = field.of ? record[field.of]?.[field.name] : record[field.name];
  if (Array.isArray(value)) return value.join(SPLITS[field.kind] ?? "; ");
  return value === null || value === undefined ? "" : String(value);
}

function valueOf(field, text) {
  if (field.kind === "lines") return text.split("\n").map((line) => line.trim()).filter(Boolean);
  const trimmed = text.trim();
  // What is no number goes as it is: the server says so, and of which field.
  if (field.kind === "number" && /^-?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (field.keepsEmpty) return trimmed;
  return trimmed === "" ? null : trimmed;
}
