// A calling agent that does what a script says, in the calling SDK's own shape; it stands in for the SDK, which needs a
// resource of Azure to place a call. `conformance` in the tests plays the same on the real one.

/**
 * @typedef {import("@azure/communication-calling").CallState} CallState
 * @typedef {import("@azure/communication-calling").CallEndReason} CallEndReason
 * @typedef {[after_ms: number, state: CallState, reason?: CallEndReason]} Step
 * @typedef {{steps: Step[], serverCallIdAfterMs?: number, throws?: boolean, hangUp?: "hangs" | "rejects"}} Script
 *   `hangUp`: one that never completes, after the call began to end, or one that is refused
 */

export const RINGS_AND_CONNECTS = { steps: /** @type {Step[]} */ ([[2, "Connecting"], [20, "Ringing"], [40, "Connected"]]) };

export const INVITATION = "5d0c2f3e-9a41-5b7c-8e6d-0f1a2b3c4d5e";

class Emitter {
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();
  /** @param {string} event @param {Function} listener */
  on(event, listener) {
    this.#listeners.set(event, (this.#listeners.get(event) ?? new Set()).add(listener));
  }
  /** @param {string} event @param {Function} listener */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }
  /** @param {string} event @param {unknown} [argument] */
  emit(event, argument) {
    for (const listener of this.#listeners.get(event) ?? []) listener(argument);
  }
}

export class StandInCall extends Emitter {
  /** @type {CallState} */
  state = "None";
  /** @type {CallEndReason | undefined} */
  callEndReason = undefined;
  holds = 0;
  hangUps = 0;
  network = new Emitter();
  #startedAt = performance.now();
  #script;
  /** @param {Script} script @param {object} [placed] what it was placed with */
  constructor(script, placed = {}) {
    super();
    this.#script = script;
    this.placed = placed;
    this.info = {
      getServerCallId: async () => {
        const after = script.serverCallIdAfterMs ?? 0;
        if (this.state === "None" || this.state === "Connecting" || performance.now() - this.#startedAt < after) {
          throw Object.assign(new Error("not yet"), { code: 404, subCode: 41063 });
        }
        return "server-call-1";
      },
    };
    for (const [after, state, reason] of script.steps) setTimeout(() => this.become(state, reason), after);
  }
  /** @param {CallState} state @param {CallEndReason} [reason] */
  become(state, reason) {
    if (this.state === "Disconnected") return;
    this.state = state;
    if (reason) this.callEndReason = reason;
    this.emit("stateChanged");
  }
  async hangUp() {
    this.hangUps += 1;
    if (this.#script.hangUp === "rejects") throw new Error("not now");
    // Seen on the SDK without a network: from some 150 ms after the start a call that connects is "cancelled".
    const cancelled = this.state === "Connecting" && performance.now() - this.#startedAt > 150;
    this.become("Disconnecting");
    if (this.#script.hangUp === "hangs") return new Promise(() => {});
    await new Promise((resolve) => setTimeout(resolve, 10));
    this.become("Disconnected", { code: 0, subCode: cancelled ? 4501 : 0 });
  }
  async hold() {
    this.holds += 1;
    this.become("LocalHold");
  }
  feature() {
    return { network: this.network };
  }
}

export class StandInAgent extends Emitter {
  /** @type {StandInCall[]} */
  calls = [];
  /** @type {{participants: any[], options: any, at: number}[]} */
  started = [];
  /** @type {Script[]} */
  scripts = [];
  /** @param {...Script} scripts one for each call, the last one from then on */
  constructor(...scripts) {
    super();
    this.scripts = scripts.length ? scripts : [RINGS_AND_CONNECTS];
  }
  /** @param {any[]} participants @param {any} [options] */
  startCall(participants, options) {
    this.started.push({ participants, options, at: performance.now() });
    const script = this.scripts.length > 1 ? this.scripts.shift() : this.scripts[0];
    if (!script || script.throws) throw Object.assign(new Error("refused"), { code: 422, subCode: 44000 });
    const call = new StandInCall(script, { participants, options });
    this.calls.push(call);
    return call;
  }
  /** @param {{marked?: boolean, phone?: boolean, mark?: string, hangUp?: Script["hangUp"]}} [how] */
  ring({ marked = true, phone = true, mark = INVITATION, hangUp } = {}) {
    const incoming = Object.assign(new Emitter(), {
      id: "incoming",
      callerInfo: { identifier: { kind: phone ? "phoneNumber" : "communicationUser" } },
      customContext: { voipHeaders: marked ? [{ key: "Emergency-Callback", value: mark }] : [] },
      accept: async () => {
        const call = new StandInCall({ steps: [[1, "Connected"]], hangUp });
        this.calls.push(call);
        return call;
      },
    });
    this.emit("incomingCall", { incomingCall: incoming });
    return incoming;
  }
}
