// Engine.IO by hand: sessions over requests and frames over WebSocket, as they are on the wire.

import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { Inbox, PATIENCE_MS, within } from "./harness.js";

export const SEPARATOR = "\x1e";

/**
 * `it` for tests against the conformance example, which lets go of whoever takes more than 200 ms to answer a ping. A
 * machine that is busy with other tests may; so a test has failed when it has failed three times.
 */
export const punctual = (it) => (name, body) =>
  it(name, async (t) => {
    for (let left = 2; ; left--) {
      try {
        return await body(t);
      } catch (error) {
        if (left === 0) throw error;
        t.diagnostic(`${name}: once more, after ${error.message}`);
      }
    }
  });

/** A request and all of its answer. */
export async function request(url, options = {}) {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** A session over requests. */
export class Polling {
  /** Its handshake, which must succeed. */
  static async open(url, query = "EIO=4&transport=polling") {
    const { status, text } = await request(`${url}?${query}`);
    assert.equal(status, 200, text);
    assert.equal(text[0], "0", text);
    const session = new Polling();
    session.handshake = JSON.parse(text.slice(1));
    session.sid = session.handshake.sid;
    session.kept = [];
    session.url = `${url}?EIO=4&transport=polling&sid=${session.sid}`;
    session.socketUrl = `${url.replace("http", "ws")}?EIO=4&transport=websocket&sid=${session.sid}`;
    return session;
  }

  poll() {
    return request(this.url);
  }

  post(...packets) {
    return request(this.url, { method: "POST", body: packets.join(SEPARATOR), headers: { "content-type": "text/plain;charset=UTF-8" } });
  }

  /** The packets of one poll. */
  async packets() {
    const { status, text } = await this.poll();
    assert.equal(status, 200, text);
    return text.split(SEPARATOR);
  }

  /** Polls, and answers heartbeats, until a packet is wanted; what came before it is dropped, what comes after it kept. */
  async until(isWanted) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.kept.findIndex(isWanted);
      if (at >= 0) return this.kept.splice(0, at + 1).at(-1);
      assert(Date.now() < end, `nothing of what came is wanted: ${this.kept}`);
      const packets = await this.packets();
      if (packets.includes("2")) await this.post("3");
      this.kept.push(...packets.filter((packet) => packet !== "2"));
    }
  }

  async isGone() {
    const { status, text } = await this.poll();
    assert.equal(status, 400, `the session should be gone, but: ${text}`);
  }
}

/** A WebSocket, frame by frame: text as strings, binary as buffers. */
export class Frames {
  static async open(url, options = {}) {
    const frames = new Frames();
    frames.inbox = new Inbox("WebSocket");
    frames.socket = new WebSocket(url.replace(/^http/, "ws"), options);
    frames.socket.on("message", (data, isBinary) => frames.receive(isBinary ? data : String(data)));
    frames.socket.on("error", () => {});
    frames.closed = new Promise((resolve) => {
      frames.socket.on("close", (code) => {
        frames.inbox.close();
        resolve(code);
      });
    });
    await within(Promise.race([once(frames.socket, "open"), frames.closed]), "the WebSocket opens or is refused");
    return frames;
  }

  /** Heartbeats are answered and not shown, unless somebody wants to see them. */
  receive(frame) {
    if (frame === "2" && this.answersPings) this.send("3");
    else this.inbox.push(frame);
  }

  send(...frames) {
    for (const frame of frames) this.socket.send(frame);
  }

  next(isWanted, what) {
    return this.inbox.take(isWanted, what);
  }

  /** What comes next, which must be exactly this. */
  async expect(...wanted) {
    for (const frame of wanted) assert.deepEqual(await this.next(), frame);
  }

  isClosed() {
    return within(this.closed, () => `the WebSocket is closed; it has ${this.inbox.shown()}`);
  }

  close() {
    this.socket.terminate();
  }
}
