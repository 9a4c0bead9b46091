// Bytes as nobody's library would send them.

import { once } from "node:events";
import net from "node:net";
import { within } from "./harness.js";

/** A TCP connection to the HTTP door, and what has come back. */
export class Raw {
  static async connect(server, { port = server.ports.http } = {}) {
    const raw = new Raw();
    raw.host = `${server.address}:${port}`;
    raw.socket = net.connect({ port, host: server.address, allowHalfOpen: true, noDelay: true });
    raw.received = Buffer.alloc(0);
    raw.isClosed = false;
    raw.waiting = [];
    raw.socket.on("data", (bytes) => raw.changed((raw.received = Buffer.concat([raw.received, bytes]))));
    raw.socket.on("error", () => {});
    raw.socket.on("end", () => raw.changed((raw.isClosed = true)));
    raw.socket.on("close", () => raw.changed((raw.isClosed = true)));
    await within(once(raw.socket, "connect"), "a TCP connection");
    return raw;
  }

  changed() {
    for (const look of this.waiting.splice(0)) look();
  }

  async until(isSo, what) {
    while (!isSo()) await within(new Promise((resolve) => this.waiting.push(resolve)), () => `${what}; received: ${this.received.subarray(0, 500)}`);
  }

  /** Writes, and waits until the system has taken it or nobody wants it any more. */
  write(bytes) {
    return new Promise((resolve) => {
      if (this.socket.destroyed) return resolve(false);
      this.socket.once("close", () => resolve(false));
      this.socket.write(bytes, (error) => resolve(!error));
    });
  }

  request(method, target, headers = {}, body = "") {
    const fields = { Host: this.host, ...headers };
    const lines = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [value].flat().map((each) => `${name}: ${each}\r\n`)));
    return this.write(Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`), Buffer.from(body)]));
  }

  /** Waits for a whole answer and takes it. */
  async answer() {
    const headEnd = () => this.received.indexOf("\r\n\r\n");
    await this.until(() => headEnd() >= 0 || this.isClosed, "the head of an answer");
    if (headEnd() < 0) return { status: 0, headers: {}, body: "" };
    const [first, ...lines] = this.received.subarray(0, headEnd()).toString().split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
    const start = headEnd() + 4;
    const status = Number(first.split(" ")[1]);
    const length = status === 101 || status === 204 || status === 304 ? 0 : Number(headers["content-length"] ?? Infinity);
    await this.until(() => this.isClosed || this.received.length >= start + length, "the body of an answer");
    const end = Math.min(this.received.length, start + length);
    const body = this.received.subarray(start, end).toString();
    this.received = this.received.subarray(end);
    return { status, headers, body };
  }

  closed() {
    return this.until(() => this.isClosed, "the connection is closed");
  }

  /** Goes as a peer does whose process is killed. */
  reset() {
    this.socket.resetAndDestroy();
  }

  end() {
    this.socket.destroy();
  }
}

/** One request on a connection of its own. */
export async function ask(server, method, target, headers = {}, body = "") {
  const raw = await Raw.connect(server);
  const length = body === "" && method === "GET" ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
  await raw.request(method, target, { Connection: "close", ...length, ...headers }, body);
  const answer = await raw.answer();
  raw.end();
  return answer;
}

export const UPGRADE = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==" };

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** A frame with everything as one likes it. `length` may say anything about the payload. */
export function frame(opcode, payload = "", { fin = true, rsv = 0, masked = true, length } = {}) {
  const bytes = Buffer.from(payload);
  const says = BigInt(length ?? bytes.length);
  const mask = masked ? 0x80 : 0;
  const head = Buffer.alloc(10);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | (OPCODES[opcode] ?? opcode);
  let size = 2;
  if (says < 126n) head[1] = mask | Number(says);
  else if (says < 65536n) {
    head[1] = mask | 126;
    head.writeUInt16BE(Number(says), 2);
    size = 4;
  } else {
    head[1] = mask | 127;
    head.writeBigUInt64BE(says, 2);
    size = 10;
  }
  const key = masked ? Buffer.from([0x12, 0x34, 0x56, 0x78]) : Buffer.alloc(0);
  const body = masked ? bytes.map((byte, at) => byte ^ key[at % 4]) : bytes;
  return Buffer.concat([head.subarray(0, size), key, body]);
}

/** The frames in what a server has sent. */
export function framesIn(bytes) {
  const frames = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes[at] & 0x0f;
    let length = bytes[at + 1] & 0x7f;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    if (at + length > bytes.length) break;
    frames.push({ opcode, payload: bytes.subarray(at, at + length) });
    at += length;
  }
  return frames;
}

/** A WebSocket in bytes, past its handshake. */
export async function rawWebSocket(server, target = "/ws", headers = {}) {
  const raw = await Raw.connect(server);
  await raw.request("GET", target, { ...UPGRADE, ...headers });
  raw.handshake = await raw.answer();
  return raw;
}

/** The code that a WebSocket was closed with, when it is. */
export async function closeCode(raw) {
  const close = () => framesIn(raw.received).find(({ opcode }) => opcode === OPCODES.close);
  await raw.until(() => close() || raw.isClosed, "a close frame");
  const found = close();
  raw.end();
  return found?.payload.length >= 2 ? found.payload.readUInt16BE(0) : undefined;
}
