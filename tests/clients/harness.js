// What the tests stand on: the real server as people start it, and clients that await what they should see.
//
// Nothing here sleeps: everything that should happen is awaited, with a deadline that only a broken server reaches.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
export const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
/** How long anything may take. Machines that test are slow at times. */
export const PATIENCE_MS = 20_000;

// --- Waiting ---

/** Waits for a promise, but not for ever. */
export async function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`this did not happen within ${ms} ms: ${typeof what === "function" ? what() : what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is yes, and returns it. For what nobody tells us, such as files of `/proc`. */
export async function eventually(what, ask, ms = PATIENCE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`this did not happen within ${ms} ms: ${what}`);
    await pause(20);
  }
}

/** For rules that are about time itself: a silence that must last, a peer that is slow on purpose. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What has come to somebody, in order. Taking waits until it is there. */
export class Inbox {
  constructor(name) {
    this.name = name;
    this.items = [];
    this.waiting = [];
    this.isClosed = false;
  }

  push(item) {
    this.items.push(item);
    this.wake();
  }

  close() {
    this.isClosed = true;
    this.wake();
  }

  wake() {
    for (const look of this.waiting.splice(0)) look();
  }

  /** Takes the first that is wanted, and everything before it. */
  async take(isWanted = () => true, what = String(isWanted)) {
    for (;;) {
      const at = this.items.findIndex(isWanted);
      if (at >= 0) return this.items.splice(0, at + 1).at(-1);
      if (this.isClosed) throw new Error(`${this.name} ended without ${what}; it had ${this.shown()}`);
      await within(new Promise((resolve) => this.waiting.push(resolve)), () => `${this.name} gets ${what}; it has ${this.shown()}`);
    }
  }

  /** Everything up to the first that is wanted, with it. */
  async takeUpTo(isWanted) {
    const before = () => this.items.findIndex(isWanted);
    while (before() < 0) {
      assert(!this.isClosed, `${this.name} ended; it had ${this.shown()}`);
      await within(new Promise((resolve) => this.waiting.push(resolve)), () => `${this.name} gets ${isWanted}; it has ${this.shown()}`);
    }
    return this.items.splice(0, before() + 1);
  }

  async ended() {
    while (!this.isClosed) await within(new Promise((resolve) => this.waiting.push(resolve)), () => `${this.name} ends; it has ${this.shown()}`);
    return this.items;
  }

  shown() {
    const text = this.items.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n  ");
    return text.length > 2_000 ? `${text.slice(0, 2_000)} ...` : text || "nothing";
  }
}

// --- The server ---

/** Stands where a test's context would, for what all tests of a file or of a suite share: it ends after the last. */
export function together() {
  const ends = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return { after: (end) => ends.push(end) };
}

/**
 * Starts a server that ends with the test.
 * @param {import("node:test").TestContext} t
 * @param {{config?: string, flags?: string[]}} [options] `config` may name listeners; else there is one of each kind.
 */
export async function serve(t, options = {}) {
  const server = new Server(options);
  t.after(() => server.dispose());
  await server.start();
  return server;
}

/** A folder with data and a configuration, and the server that runs there, if one does. */
export class Server {
  constructor({ config = "", flags = [] } = {}) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "madang-clients-"));
    this.config = config;
    this.flags = flags;
    this.address = ownAddress();
    /** Chosen by the system at the first start, and the same after it. */
    this.ports = { tcp: 0, http: 0 };
  }

  async start() {
    fs.writeFileSync(path.join(this.folder, "madang.toml"), this.config.replaceAll("ADDRESS", this.address));
    const doors = ["tcp", "http"].flatMap((door) => [`--${door}`, `${this.address}:${this.ports[door]}`]);
    const own = this.config.includes("[[listen]]") ? [] : [...doors, "--no-udp"];
    const args = ["--config", "madang.toml", "--data", "data", ...own, ...this.flags];
    await this.run(process.env.MADANG ?? path.join(TARGET, "debug/madang"), args);
    return this;
  }

  /** Runs a program that announces itself, and reads where it listens. */
  async run(program, args) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "PORT" && !name.startsWith("MADANG")));
    this.process = spawn(program, args, { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] });
    this.log = "";
    this.process.stderr.on("data", (bytes) => (this.log += bytes));
    this.exited = new Promise((resolve) => {
      this.process.on("error", (error) => {
        this.log += error;
        resolve("not started");
      });
      this.process.on("close", (code, signal) => resolve(signal ?? code));
    });
    const lines = new Inbox("standard output");
    readline.createInterface({ input: this.process.stdout }).on("line", (line) => lines.push(line)).on("close", () => lines.close());
    const announced = await lines.takeUpTo((line) => line === "ready").catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
    for (const [, door, port] of announced.map((line) => /^listening (\w+) \S+:(\d+)/.exec(line)).filter(Boolean)) {
      this.ports[door] = Number(port);
    }
  }

  get pid() {
    return this.process.pid;
  }

  /** Of the HTTP door, without a slash at its end. */
  get url() {
    return `http://${this.address}:${this.ports.http}`;
  }

  /** An orderly end. */
  async stop() {
    this.process.kill("SIGTERM");
    const code = await within(this.exited, "the server ends after SIGTERM");
    assert.equal(code, 0, `an orderly end; it said ${this.log}`);
  }

  /** An end as a power cut makes it. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.exited;
  }

  async dispose() {
    this.process?.kill("SIGKILL");
    await this.exited;
    fs.rmSync(this.folder, { recursive: true, force: true });
    assert.doesNotMatch(this.log ?? "", /panicked/, "the server must not panic");
  }

  get isRunning() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Resident memory in bytes. */
  resident() {
    const status = fs.readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
  }

  /** Open descriptors. */
  descriptors() {
    return fs.readdirSync(`/proc/${this.pid}/fd`).length;
  }

  tcp(name = "tcp") {
    return TcpClient.connect(name, this.address, this.ports.tcp);
  }

  json(name = "json") {
    return JsonClient.open(name, this.url);
  }

  /** A request, its status and the object in its body. */
  async api(target, { method = "GET", headers = {}, body } = {}) {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(this.url + target, { method, headers: { ...json, ...headers }, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS) });
    return { status: response.status, body: await response.json() };
  }

  say(room, from, text) {
    return this.api(`/api/rooms/${encodeURIComponent(room)}/messages`, { method: "POST", body: { from, text } });
  }
}

/** The example that the public suites run against. */
export async function conformance(t) {
  const server = new Server();
  t.after(() => server.dispose());
  server.address = "127.0.0.1";
  const port = await freePort();
  await server.run(process.env.MADANG_CONFORMANCE ?? path.join(TARGET, "debug/examples/conformance"), ["--port", String(port)]);
  server.ports.http = port;
  return server;
}

/**
 * An address of loopback that no other test uses, so that a server finds its port free when it comes back there:
 * connections of others take their ports at 127.0.0.1. Only Linux has all of 127.0.0.0/8.
 */
function ownAddress() {
  const byte = () => 1 + Math.floor(Math.random() * 254);
  return process.platform === "linux" ? `127.${byte()}.${byte()}.${byte()}` : "127.0.0.1";
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// --- Clients ---

/** Lines over TCP, as with nc; after `/json`, objects. */
export class TcpClient {
  static async connect(name, address, port) {
    const client = new TcpClient();
    client.socket = net.connect(port, address);
    client.inbox = new Inbox(name);
    await within(once(client.socket, "connect"), `${name} connects`);
    readline.createInterface({ input: client.socket }).on("line", (line) => client.inbox.push(line));
    client.socket.on("error", () => {});
    client.socket.on("close", () => client.inbox.close());
    return client;
  }

  write(line) {
    this.socket.write(`${line}\n`);
  }

  /** Waits for a line with this in it. */
  line(part) {
    return this.inbox.take((line) => line.includes(part), part);
  }

  /** Asks in JSON, and waits for the reply. */
  async ask(op, fields = {}) {
    this.lastId = (this.lastId ?? 0) + 1;
    const id = this.lastId;
    this.write(JSON.stringify({ op, ...fields, id }));
    const line = await this.inbox.take((line) => line.startsWith("{") && JSON.parse(line).re === id, `the reply to ${op}`);
    return JSON.parse(line);
  }

  /** The texts of what was said, up to and with `last`. */
  async texts(last) {
    const lines = await this.inbox.takeUpTo((line) => line.startsWith("{") && JSON.parse(line).text === last);
    return saidIn(lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)));
  }

  close() {
    this.socket.destroy();
  }
}

/** Objects over a plain WebSocket. */
export class JsonClient {
  static async open(name, url, target = "/ws") {
    const client = new JsonClient();
    client.socket = new WebSocket(url.replace("http", "ws") + target);
    client.inbox = new Inbox(name);
    client.replies = new Map();
    client.lastId = 0;
    client.socket.on("message", (data, isBinary) => client.receive(isBinary ? { binary: data } : JSON.parse(data)));
    client.socket.on("error", () => {});
    client.closed = new Promise((resolve) => {
      client.socket.on("close", (code, reason) => {
        client.inbox.close();
        resolve({ code, reason: String(reason) });
      });
    });
    await within(once(client.socket, "open"), `${name} opens`);
    return client;
  }

  receive(object) {
    const answered = this.replies.get(object.re);
    if (!answered) return this.inbox.push(object);
    this.replies.delete(object.re);
    answered(object);
  }

  send(text) {
    this.socket.send(typeof text === "string" ? text : JSON.stringify(text));
  }

  ask(op, fields = {}) {
    this.lastId += 1;
    const id = this.lastId;
    const reply = new Promise((resolve) => this.replies.set(id, resolve));
    this.send({ op, ...fields, id });
    return within(reply, `the reply to ${op} ${JSON.stringify(fields)}`);
  }

  /** Waits for an event that has these fields. */
  event(fields) {
    return this.inbox.take(has(fields), JSON.stringify(fields));
  }

  async texts(last) {
    return saidIn(await this.inbox.takeUpTo(has({ text: last })));
  }

  close() {
    this.socket.close();
    return within(this.closed, "the socket closes");
  }

  cut() {
    this.socket.terminate();
  }
}

/** Does an object have these fields? */
export const has = (fields) => (object) => Object.entries(fields).every(([name, value]) => object?.[name] === value);

const saidIn = (events) => events.filter((event) => event.ev === "said").map((event) => event.text);

/** "m1" to "m<count>", or from elsewhere. */
export const numbered = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => `m${from + at}`);

/** Waits for one event of a Node or socket.io emitter, and returns its first argument. */
export function heard(emitter, name) {
  return within(new Promise((resolve) => emitter.once(name, resolve)), `the event ${name}`);
}
