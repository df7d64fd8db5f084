// The responder's side. Talk lines are what a call taker asks first, in the order of the national guide cards.
import { el, keyed, setText } from "./dom.js";

const LINES = [
  "911. What is the address of your emergency?",
  "What is the number you are calling from?",
  "Tell me exactly what happened.",
  "Stay on the line. I am sending help now.",
];
const LOOK_MS = 700;
const at = (id) => document.getElementById(id);

async function act(name, body = {}) {
  const answer = await fetch(`do/${name}`, { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) setText(at("said"), name === "ring" ? "No number is lent: dial 911 at the desk first." : "That did not work.");
  else setText(at("said"), "");
  return answer.ok ? answer.json() : null;
}

function openDesk() {
  at("desk").replaceChildren(el("iframe", { src: "desk", title: "The agent’s desk", allow: "microphone; speaker-selection; screen-wake-lock; autoplay; geolocation" }));
  setText(at("tab"), "Close the agent’s tab");
}

at("tab").addEventListener("click", () => {
  if (!at("desk").querySelector("iframe")) return openDesk();
  at("desk").replaceChildren(el("p", { class: "gone" }, "The tab is closed."));
  setText(at("tab"), "Open the agent’s tab");
});
at("ring").addEventListener("click", () => act("ring", { withheld: at("withheld").checked }));
at("online").addEventListener("change", (event) => act("online", { online: event.target.checked }));

function makeLine(line) {
  const talk = el("blockquote", {}, LINES[0]);
  let spoken = 0;
  return el(
    "div",
    { class: "call" },
    el("p", {}, el("strong", {}, `${line.dialled}: `), el("span", { class: "state" })),
    talk,
    el(
      "p",
      { class: "row" },
      el("button", { type: "button", class: "take", onclick: () => act("connect", { line: line.line_id }) }, "Answer the call"),
      el("button", { type: "button", onclick: () => setText(talk, LINES[++spoken % LINES.length]) }, "Say the next line"),
      el("button", { type: "button", class: "danger", onclick: () => act("drop", { line: line.line_id }) }, "Drop the call"),
    ),
  );
}

function makeCallback(callback) {
  return el(
    "div",
    { class: "call" },
    el("p", {}, el("strong", {}, "Your call back: "), el("span", { class: "state" })),
    el("p", { class: "row" }, el("button", { type: "button", class: "danger", onclick: () => act("end-callback", { call: callback.call }) }, "Hang up")),
  );
}

function callbackState(callback) {
  if (callback.agent_in) return "the agent has answered";
  if (callback.people.length > 1) return `somebody else has answered (${callback.people.slice(1).join(", ")})`;
  return callback.ringing.length ? "it rings" : "connecting";
}

function fact(name, value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

function show(state) {
  const open = state.lines.filter((line) => line.state !== "Disconnected");
  at("waiting").hidden = open.length > 0;
  keyed(at("lines"), open, (line) => line.line_id, makeLine, (element, line) => {
    setText(element.querySelector(".state"), line.state === "Ringing" ? "an emergency call rings" : "connected");
    element.querySelector(".take").hidden = line.state !== "Ringing";
  });
  keyed(at("callbacks"), state.callbacks, (call) => call.call, makeCallback, (element, call) => setText(element.querySelector(".state"), callbackState(call)));
  const facts = JSON.stringify([state.presence, state.panel.mode, state.panel.callback_number, state.panel.expires_at]);
  if (at("facts").dataset.shown !== facts) {
    at("facts").dataset.shown = facts;
    const until = state.panel.expires_at ? new Date(state.panel.expires_at).toLocaleTimeString() : "";
    at("facts").replaceChildren(
      ...fact("Presence", (state.presence ?? "unknown").replaceAll("_", " ")),
      ...fact("Panel", state.panel.mode ?? "unknown"),
      ...fact("Number lent", state.panel.callback_number ? `${state.panel.callback_number} until ${until}` : "none"),
    );
  }
  keyed(at("emails"), state.emails, (mail) => mail.number, (mail) =>
    el("li", {}, el("details", {}, el("summary", {}, `${mail.subject} (${mail.to} recipients)`), el("pre", {}, mail.text))));
}

async function look() {
  try {
    const state = await (await fetch("do/state", { method: "POST" })).json();
    show(state);
  } catch {
    setText(at("said"), "The simulator has ended.");
  }
  setTimeout(look, LOOK_MS);
}

openDesk();
look();
