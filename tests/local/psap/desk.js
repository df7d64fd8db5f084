// A contact centre's desktop, as short as it can be: the panel, the dialer, and a calling agent. In a real one the calling
// agent is that of the calling SDK; here its calls go to the stand-in for Communication Services.
const LOOK_MS = 300;

class Emitter {
  #listeners = [];
  on(event, listener) {
    this.#listeners.push({ event, listener });
  }
  off(event, listener) {
    this.#listeners = this.#listeners.filter((each) => each.event !== event || each.listener !== listener);
  }
  emit(event, argument) {
    for (const each of this.#listeners) if (each.event === event) each.listener(argument);
  }
}

async function act(name, body = {}) {
  const answer = await fetch(`do/${name}`, { method: "POST", body: JSON.stringify(body), keepalive: true });
  return answer.json();
}

class LocalCall extends Emitter {
  state = "Connecting";
  callEndReason = undefined;
  constructor(serverCallId, hangUp) {
    super();
    this.serverCallId = serverCallId;
    this.info = { getServerCallId: async () => this.serverCallId ?? Promise.reject(new Error("not yet")) };
    this.hangUp = hangUp;
  }
  async hold() {}
  become(state, reason) {
    if (state === this.state) return;
    this.state = state;
    if (reason) this.callEndReason = reason;
    this.emit("stateChanged");
  }
}

class LocalAgent extends Emitter {
  calls = [];
  #lines = new Map();
  #callbacks = new Map();
  constructor() {
    super();
    act("sit-down").then(() => this.#look());
    // Closing the tab hangs up, as the SDK does.
    addEventListener("pagehide", () => {
      this.#lines.forEach((call, line) => act("drop", { line }));
      act("leave-desk");
    });
  }
  startCall([{ phoneNumber }]) {
    const call = new LocalCall(null, async () => call.line && act("hang-up", { line: call.line }));
    this.calls.push(call);
    act("dial", { dialled: phoneNumber }).then((line) => {
      call.line = line.line_id;
      call.serverCallId = line.server_call_id;
      this.#lines.set(line.line_id, call);
    });
    return call;
  }
  async #look() {
    try {
      const state = await act("state");
      for (const line of state.lines) this.#lines.get(line.line_id)?.become(line.state, line.reason);
      for (const [id, call] of this.#lines) if (call.state === "Disconnected") this.#lines.delete(id);
      this.#see(state.callbacks);
    } catch {
      // The simulator has ended.
    }
    setTimeout(() => this.#look(), LOOK_MS);
  }
  #see(callbacks) {
    for (const callback of callbacks) {
      let known = this.#callbacks.get(callback.call);
      if (callback.rings_agent && !known) {
        known = this.#ring(callback.call);
        this.#callbacks.set(callback.call, known);
      }
      if (known && !callback.rings_agent && !callback.agent_in && !known.call) this.#gone(callback.call, known);
      if (known?.call && known.joined && !callback.agent_in) this.#gone(callback.call, known);
      if (known?.call && callback.agent_in) known.joined = true;
    }
    for (const [id, known] of this.#callbacks) if (!callbacks.some((each) => each.call === id)) this.#gone(id, known);
  }
  #gone(id, known) {
    this.#callbacks.delete(id);
    known.incoming.emit("callEnded");
    known.call?.become("Disconnected", { code: 0, subCode: 560000 });
  }
  #ring(id) {
    const incoming = Object.assign(new Emitter(), {
      id,
      callerInfo: { identifier: { kind: "phoneNumber" } },
      customContext: { voipHeaders: [{ key: "Emergency-Callback", value: "1" }] },
      accept: async () => {
        await act("answer", { call: id });
        const call = new LocalCall(id, async () => act("leave", { call: id }));
        call.state = "Connected";
        known.call = call;
        return call;
      },
    });
    const known = { incoming, call: null, joined: false };
    this.emit("incomingCall", { incomingCall: incoming });
    return known;
  }
}

const settings = await (await fetch("settings.json")).json();
await import(`${settings.api}/ui/emergency-panel.js`);
const { createEmergencyDialer } = await import(`${settings.api}/ui/emergency-dialer.js`);

const getToken = () => settings.token;
const dialer = createEmergencyDialer({
  api: settings.api,
  agentId: settings.agent_id,
  country: settings.country,
  getToken,
  callAgent: new LocalAgent(),
});
const panel = document.createElement("emergency-panel");
panel.setAttribute("api", settings.api);
panel.setAttribute("agent-id", settings.agent_id);
panel.setAttribute("lang", navigator.language);
panel.getToken = getToken;
panel.dialer = dialer;
document.body.append(panel);
