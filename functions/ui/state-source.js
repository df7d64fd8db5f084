// Asks the server what the panel shows: seldom, with an entity tag, and not at all while nobody looks.
import { onlyNewest } from "./dom.js";

const WITHIN_MS = 3000;
const FAILURES_UNTIL_AWAY = 2;
const AWAY_AGAIN_S = 5;
const AT_FIRST_S = 30;
const JITTER = 0.1;

export class StateSource {
  #options;
  #tag = null;
  #timer = null;
  #asking = null;
  #asks = onlyNewest();
  #failures = 0;
  #fresh = false;
  #undo = new AbortController();
  #channel = null;
  /** How far the server's clock is ahead of this one, in milliseconds. */
  ahead = 0;
  state = { status: "checking", panel: null, since: null };

  /** `options`: api, agentId(), desktopId, token(fresh), busy(): a call is in progress here, onChange(state). */
  constructor(options) {
    this.#options = options;
    const { signal } = this.#undo;
    const now = () => this.now();
    addEventListener("online", now, { signal });
    addEventListener("focus", now, { signal });
    document.addEventListener("visibilitychange", now, { signal });
    try {
      this.#channel = new BroadcastChannel("emergency-panel");
      this.#channel.addEventListener("message", now);
    } catch {
      // Barred in frames of other sites; every tab then asks for itself.
    }
  }

  /** Ask at once: something happened here. `told`: other tabs should look too. */
  now(told = false) {
    if (told) this.#channel?.postMessage("changed");
    clearTimeout(this.#timer);
    if (!this.#asking) this.#ask();
    else this.#again = true;
  }

  #again = false;

  /** Take in a panel that came another way: the answer to a dial, of now (`fresh`) or of an earlier time (`checking`). */
  take(panel, status = "fresh") {
    if (!panel) return;
    // A question that is under way was asked before: its answer would put an older panel in this one's place.
    this.#asks();
    // The tag is of another panel than the one that is shown from here on: a 304 would leave this one standing.
    this.#tag = null;
    this.#become({ status, panel, since: status === "fresh" ? Date.now() : null });
  }

  /** Begin anew: it is somebody else's panel that is asked for from here on. */
  forget() {
    // What is under way was asked for the one before.
    this.#asks();
    this.#asking?.abort();
    this.#tag = null;
    this.#fresh = false;
    this.#failures = 0;
    this.#become({ status: "checking", panel: null, since: null });
  }

  stop() {
    clearTimeout(this.#timer);
    this.#asks.end();
    this.#undo.abort();
    this.#channel?.close();
    this.#asking?.abort();
  }

  async #ask() {
    const agentId = this.#options.agentId();
    if (!agentId || this.#undo.signal.aborted) return;
    this.#asking = new AbortController();
    const newest = this.#asks();
    // What was asked for before a call ended tells nothing of it after that, however late the answer comes.
    const since = Date.now();
    let late = null;
    try {
      const token = await this.#options.token(this.#fresh);
      // From here on: a token may take its own time.
      late = setTimeout(() => this.#asking?.abort(), WITHIN_MS);
      const response = await fetch(`${this.#options.api}/agents/${encodeURIComponent(agentId)}/panel`, {
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(this.#tag ? { "if-none-match": this.#tag } : {}) },
        cache: "no-store",
        signal: this.#asking.signal,
      });
      const panel = response.ok ? await response.json() : null;
      if (newest()) this.#take(response, panel, since);
      else this.#again = true;
    } catch {
      if (newest()) this.#failed();
    } finally {
      clearTimeout(late);
      this.#asking = null;
      if (!this.#undo.signal.aborted) this.#wait();
    }
  }

  #take(response, panel, since) {
    const date = Date.parse(response.headers.get("date") ?? "");
    if (date) this.ahead = Math.abs(date - Date.now()) > 2000 ? date - Date.now() : 0;
    if (response.status === 401 || response.status === 403) {
      const first = !this.#fresh;
      this.#fresh = response.status === 401 && first;
      this.#failures = 0;
      if (this.#fresh) this.#again = true;
      else this.#become({ ...this.state, status: "refused" });
      return;
    }
    this.#fresh = false;
    if (response.status === 304 && this.state.panel) {
      this.#failures = 0;
      this.#become({ ...this.state, status: "fresh", since });
    } else if (response.ok && typeof panel?.mode === "string") {
      this.#failures = 0;
      this.#tag = response.headers.get("etag");
      this.#become({ status: "fresh", panel, since });
    } else {
      this.#failed();
    }
  }

  #failed() {
    this.#failures += 1;
    // Until the first answer there is nothing to keep, and no way to dial: the first failure is enough.
    const enough = this.state.status === "checking" ? 1 : FAILURES_UNTIL_AWAY;
    if (this.#failures >= enough && this.state.status !== "refused") this.#become({ ...this.state, status: "stale" });
  }

  #become(state) {
    this.state = state;
    this.#options.onChange(state);
  }

  #wait() {
    if (this.#again) {
      this.#again = false;
      this.#timer = setTimeout(() => this.#ask(), 0);
      return;
    }
    const panel = this.state.panel;
    const usual = panel?.poll_after_s ?? AT_FIRST_S;
    const busy = this.#options.busy();
    const quiet = document.visibilityState === "hidden" && !busy && usual > 5;
    let pace = this.#failures > 0 ? AWAY_AGAIN_S : busy ? Math.min(2, usual) : usual;
    pace = quiet ? Infinity : pace * (1 - JITTER + 2 * JITTER * Math.random());
    // What to say is gone when the lease is, also from a page that nobody looks at.
    const left = panel?.expires_at ? (Date.parse(panel.expires_at) - Date.now() - this.ahead) / 1000 + 1 : Infinity;
    if (left > 0) pace = Math.min(pace, left);
    if (pace < Infinity) this.#timer = setTimeout(() => this.#ask(), pace * 1000);
  }
}
