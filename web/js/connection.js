// The WebSocket: requests with their replies, events, a pulse that notices a dead line, and coming back with growing
// pauses. Knows nothing of rooms or sessions: session.js says hello over it.

const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 30_000;
/** A phone that changes its network leaves a socket that looks alive. This long without a word, and it is asked. */
const PULSE_MS = 20_000;
const PULSE_ANSWER_MS = 8_000;
/** Browsers wait minutes for a handshake that nobody answers. */
const HANDSHAKE_MS = 10_000;

/** The server's no, or `lost` where the connection ended before an answer. */
export class Refusal extends Error {
  /** @param {string} code @param {string} [message] */
  constructor(code, message = "") {
    super(message);
    this.code = code;
  }
}

export class Connection {
  /**
   * @param {string|URL} url
   * @param {{opened: () => void, event: (event: any) => void, phase: (phase: "connecting"|"waiting"|"ended", retryAt: number, why: string) => void}} on
   */
  constructor(url, on) {
    this.url = url;
    this.on = on;
    /** @type {WebSocket|null} */
    this.socket = null;
    /** @type {Map<number, {resolve: (reply: any) => void, reject: (refusal: Refusal) => void}>} */
    this.asked = new Map();
    this.lastId = 0;
    this.failures = 0;
    /** What the server said when it closed: see `bye` in the protocol. @type {any} */
    this.bye = null;
    this.timer = 0;
    this.pulse = 0;
    addEventListener("online", () => this.lookedAt());
    document.addEventListener("visibilitychange", () => this.lookedAt());
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Connects at once, if it isn't connected. */
  now() {
    if (this.socket) return;
    clearTimeout(this.timer);
    this.bye = null;
    this.on.phase("connecting", 0, "");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.pulse = setTimeout(() => this.drop(), HANDSHAKE_MS);
    socket.onopen = () => {
      this.beat();
      this.on.opened();
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.socket) this.receive(data);
    };
    socket.onclose = () => {
      if (socket === this.socket) this.lost();
    };
  }

  /** Everything is as it should be: the next loss starts with a short pause again. */
  settled() {
    this.failures = 0;
  }

  /**
   * Sends an op; the promise is its reply.
   * @param {string} op @param {object} [fields] @returns {Promise<any>}
   */
  request(op, fields = {}) {
    if (!this.isOpen) return Promise.reject(new Refusal("lost"));
    this.lastId += 1;
    const id = this.lastId;
    this.socket.send(JSON.stringify({ op, ...fields, id }));
    return new Promise((resolve, reject) => this.asked.set(id, { resolve, reject }));
  }

  receive(data) {
    this.beat();
    let object;
    try {
      object = JSON.parse(data);
    } catch {
      return;
    }
    if (object.re === undefined) {
      if (object.ev === "bye") this.bye = object;
      else this.on.event(object);
      return;
    }
    const asked = this.asked.get(object.re);
    this.asked.delete(object.re);
    if (object.error) asked?.reject(new Refusal(object.error.code, object.error.message));
    else asked?.resolve(object);
  }

  lost() {
    this.socket = null;
    clearTimeout(this.pulse);
    const unanswered = [...this.asked.values()];
    this.asked.clear();
    for (const { reject } of unanswered) reject(new Refusal("lost"));
    if (this.bye && this.bye.resume === false) {
      this.on.phase("ended", 0, this.bye.why);
      return;
    }
    const pause = this.bye?.retry_ms ?? this.pause();
    this.failures += 1;
    this.timer = setTimeout(() => this.now(), pause);
    this.on.phase("waiting", Date.now() + pause, this.bye?.why ?? "");
  }

  /** Twice as long each time, and never quite the same as everybody else's. */
  pause() {
    const longest = Math.min(PAUSE_FIRST_MS * 2 ** this.failures, PAUSE_MAX_MS);
    return longest / 2 + (Math.random() * longest) / 2;
  }

  /** There was a sign of life; the next one is due within the pulse. */
  beat() {
    clearTimeout(this.pulse);
    this.pulse = setTimeout(() => this.check(PULSE_ANSWER_MS), PULSE_MS);
  }

  /** Asks for a sign of life. Any word from the server puts the timer back; silence is a loss. */
  check(patience) {
    clearTimeout(this.pulse);
    this.request("ping").catch(() => {});
    this.pulse = setTimeout(() => this.drop(), patience);
  }

  /** Gives the socket up without waiting for it to close, which on a dead line can take minutes. */
  drop() {
    const { socket } = this;
    this.socket = null;
    socket?.close();
    this.lost();
  }

  /** Somebody has come back to the page: find out quickly whether the line has lived that long. */
  lookedAt() {
    if (document.hidden) return;
    if (this.isOpen) this.check(3_000);
    else if (this.bye?.resume !== false) this.now();
  }
}
