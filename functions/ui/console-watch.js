// What would go wrong today, the pool of numbers, and drills.
import { el, icon, keyed, onlyNewest, setText } from "./dom.js";
import { faultPlace, momentOf, onceAtATime, request, tellFault, unknownSince, unturned } from "./console-api.js";

const DRILL_LOOK_MS = 1000;
const NUMBERS_LOOK_MS = 15000;
const CHECK_ICONS = { ok: "ok", warning: "alert", problem: "alert" };

/** Problems first; each says what, why, and what to do. */
export function readinessSection(main, { t, locale }) {
  const asks = onlyNewest();
  const overall = el("p", { role: "status", class: "status" });
  const list = el("ul", { class: "checks", "aria-label": t("readiness") });
  const fault = faultPlace(t);
  const agent = el("input", { id: "readiness-agent", autocomplete: "off" });
  const form = el(
    "form",
    { class: "row", onsubmit: (event) => (event.preventDefault(), look()) },
    el("div", { class: "field grow" }, el("label", { for: "readiness-agent" }, t("readiness_agent")), agent),
    el("button", { type: "submit" }, t("check")),
  );
  main.append(el("h2", { tabindex: "-1" }, t("readiness")), form, fault.place, overall, list);

  async function look() {
    const newest = asks();
    const id = agent.value.trim();
    const answer = await request("GET", id ? `manage/agents/${encodeURIComponent(id)}/readiness` : "manage/readiness");
    if (!newest()) return;
    fault.tell(answer);
    if (!answer.ok) {
      // What stood there is of somebody else than who was asked for.
      setText(overall, "");
      return list.replaceChildren();
    }
    const { state, at, checks } = answer.data;
    setText(overall, t("readiness_at", { state: t(`state_${state}`), at: momentOf(at, locale) }));
    keyed(list, checks, (check) => `${check.subject} ${check.id} ${check.state}`, makeCheck, (item, check) => updateCheck(item, check, answer.language));
  }

  /** `deployment`, or a kind and whose: `agent:{id}`. */
  function subjectOf(subject) {
    const [kind, ...id] = subject.split(":");
    return t(`subject_${kind}`, { id: unturned(id.join(":")) });
  }

  function makeCheck(check) {
    return el(
      "li",
      { class: "check" },
      el("p", {}, icon(CHECK_ICONS[check.state] ?? "info"), " ", el("strong", { class: "state" }), " ", `${t(`check_${check.id}`)} · ${subjectOf(check.subject)} `, el("code", { class: "hint" }, check.id)),
      el("p", { class: "reason" }),
      el("p", { class: "remedy" }, t("remedy", {}), el("span", {})),
    );
  }

  function updateCheck(item, check, language) {
    item.dataset.state = check.state;
    setText(item.querySelector(".state"), t(`state_${check.state}`));
    const [reason, remedy] = [item.querySelector(".reason"), item.querySelector(".remedy")];
    setText(reason, check.reason ?? "");
    setText(remedy.lastElementChild, check.remedy ?? "");
    reason.lang = remedy.lastElementChild.lang = language;
    remedy.hidden = !check.remedy;
  }

  look();
  return asks.end;
}

export function numbersSection(main, { t, locale }) {
  let timer = null;
  let seenAt = null;
  const asks = onlyNewest();
  const counts = el("p", { role: "status", class: "status" });
  const head = el("tr", {}, ...["number", "country", "state", "expired_at"].map((key) => el("th", { scope: "col" }, t(key))));
  const body = el("tbody", {});
  const fault = faultPlace(t);
  const table = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("numbers") }, el("table", {}, el("thead", {}, head), body));
  main.append(el("h2", { tabindex: "-1" }, t("numbers")), fault.place, counts, table);

  async function look() {
    const newest = asks();
    const answer = await request("GET", "manage/callback-numbers");
    if (!newest()) return;
    fault.tell(answer);
    table.hidden = !answer.ok;
    if (answer.ok) {
      seenAt = Date.now();
      show(answer.data.numbers);
    } else setText(counts, unknownSince(seenAt, { t, locale }));
    timer = setTimeout(look, NUMBERS_LOOK_MS);
  }

  function show(numbers) {
    const states = Map.groupBy(numbers, (each) => each.state);
    setText(counts, [...states].map(([state, each]) => `${t(`number_${state}`)}: ${each.length}`).join(" · ") || t("no_numbers"));
    keyed(
      body,
      numbers,
      (each) => each.number,
      (each) => el("tr", {}, el("th", { scope: "row" }, each.number), el("td", {}), el("td", {}), el("td", {})),
      (row, each) => {
        [each.country ?? "—", t(`number_${each.state}`), momentOf(each.expired_at, locale)].forEach((text, index) => setText(row.children[index + 1], text));
        row.dataset.state = each.state;
      },
    );
  }

  look();
  return () => {
    asks.end();
    clearTimeout(timer);
  };
}

/** One request plays the whole chain for an agent, marked as a drill everywhere; here its steps as they come. */
export function drillsSection(main, { t, locale, admin }) {
  let timer = null;
  let seenAt = null;
  // What was asked before another drill was begun here tells nothing of that one.
  const asks = onlyNewest();
  const agent = el("input", { id: "drill-agent", autocomplete: "off", required: true });
  const recipients = el("textarea", { id: "drill-recipients", rows: "2", "aria-describedby": "drill-hint" });
  const status = el("p", { role: "status", class: "status verdict" });
  const when = el("p", { class: "hint" });
  const steps = el("ol", { class: "steps", "aria-label": t("steps") });
  const fault = faultPlace(t);
  const run = onceAtATime(start);
  const begin = el("button", { type: "submit", class: "primary" }, t("drill_start"));
  const form = el(
    "form",
    { class: "card form", onsubmit: (event) => (event.preventDefault(), run()) },
    el("div", { class: "field" }, el("label", { for: "drill-agent" }, t("drill_agent")), agent),
    el("div", { class: "field" }, el("label", { for: "drill-recipients" }, t("drill_recipients")), el("span", { class: "hint", id: "drill-hint" }, t("drill_hint")), recipients),
    el("p", { class: "row" }, begin),
  );
  main.append(el("h2", { tabindex: "-1" }, t("drills")), el("p", {}, t("drill_explained")), admin ? form : el("p", {}, t("read_only")), fault.place, status, when, steps);
  if (admin) follow("last", asks());

  async function start() {
    const to = recipients.value.split(/[;\n]/).map((each) => each.trim()).filter(Boolean);
    if (!agent.value.trim()) return agent.focus();
    clearTimeout(timer);
    const newest = asks();
    begin.setAttribute("aria-busy", "true");
    const answer = await request("POST", "manage/drills", { body: { agent_id: agent.value.trim(), ...(to.length ? { recipients: to } : {}) } });
    begin.removeAttribute("aria-busy");
    if (!newest()) return;
    if (answer.ok) {
      begun();
      // Not waited for: it is over when the drill is.
      return void follow(answer.data.drill_id, newest);
    }
    fault.tell({ ok: true });
    refused(answer);
    // Another one's drill runs: its steps are what there is to see.
    if (answer.status === 409) timer = setTimeout(() => follow("last", newest, t("drill_busy")), DRILL_LOOK_MS);
  }

  function say(words, state = "") {
    setText(status, words);
    status.dataset.state = state;
  }

  /** What stands there is of the drill before. */
  function begun() {
    seenAt = Date.now();
    say(t("drill_running"), "running");
    setText(when, "");
    steps.replaceChildren();
  }

  /** Whether it still runs, and how it ended, cannot be known now; `again` is for when the server is back. */
  function lose(answer, again) {
    fault.tell(answer);
    say(unknownSince(seenAt, { t, locale }));
    if (answer.status === 0 || answer.status >= 500) timer = setTimeout(again, DRILL_LOOK_MS);
  }

  function refused(answer) {
    status.dataset.state = "";
    if (answer.status === 409) setText(status, t("drill_busy"));
    else if (answer.status === 404 && !answer.missing) setText(status, t("drill_nobody"));
    else if (answer.status !== 401 && answer.problem?.detail) setText(status, answer.problem.detail);
    else tellFault(status, answer, t);
  }

  /** `running` is said until it is over. */
  async function follow(drill, newest, running = t("drill_running")) {
    const answer = await request("GET", `manage/drills/${encodeURIComponent(drill)}`);
    if (!newest()) return;
    if (!answer.ok) return lose(answer, () => follow(drill, newest, running));
    fault.tell(answer);
    if (answer.status === 204) return say(t("drill_never"));
    seenAt = Date.now();
    show(answer.data, answer.language, running);
    if (answer.data.state === "running") timer = setTimeout(() => follow(answer.data.drill_id ?? drill, newest, running), DRILL_LOOK_MS);
  }

  function show(drill, language, running) {
    keyed(steps, drill.steps, (step) => step.step, makeStep, (item, step) => updateStep(item, step, language));
    say(drill.state === "running" ? running : t(`drill_${drill.state}`), drill.state);
    setText(when, drill.at ? t("drill_at", { at: momentOf(drill.at, locale) }) : "");
  }

  function makeStep(step) {
    return el("li", {}, el("strong", {}, t(`step_${step.step}`)), ": ", el("span", { role: "status" }));
  }

  function updateStep(item, step, language) {
    item.dataset.state = step.state;
    const took = step.ms === null || step.ms === undefined ? "" : ` (${step.ms} ms)`;
    const told = `${t(`step_state_${step.state}`)}${took}${step.reason ? ": " : ""}`;
    const place = item.lastElementChild;
    if (place.textContent !== told + (step.reason ?? "")) place.replaceChildren(told, step.reason ? el("span", { lang: language }, step.reason) : "");
  }

  return () => {
    asks.end();
    clearTimeout(timer);
  };
}
