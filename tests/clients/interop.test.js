// Stock clients of Socket.IO and Engine.IO, old and new, over every transport.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { before, describe, it } from "node:test";
import { Socket as EngineSocket } from "engine.io-client";
import { io as io48 } from "socket.io-client";
import { io as io3 } from "socket.io-client-3";
import { io as io45 } from "socket.io-client-4.5";
import { punctual } from "./engine.js";
import { conformance, heard, Inbox, numbered, serve, TARGET, together, within } from "./harness.js";
import { ask, client } from "./socketio.js";

const VERSIONS = { 4.8: io48, 4.5: io45, 3.1: io3 };
const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const PYTHON = process.env.MADANG_PYTHON ?? path.join(TARGET, "clients-python/bin/python");

const shared = together();
let server;
before(async () => {
  server = await serve(shared);
});

let rooms = 0;
const newRoom = () => `room${(rooms += 1)}`;

for (const [version, io] of Object.entries(VERSIONS)) {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    describe(`socket.io-client ${version} over ${name}`, () => {
      const connect = (t, auth = {}, options = {}) => client(t, io, server, { transports, auth, ...options });
      const nick = (who) => `${who}${version}${name}`.replace(".", "-");

      /** Past the upgrade, where there is one. */
      async function settled(socket) {
        await heard(socket, "connect");
        const { engine } = socket.io;
        const isDone = transports.length === 1 || engine.transport.name === "websocket";
        if (!isDone) await heard(engine, "upgrade");
        assert.equal(engine.transport.name, transports.at(-1));
      }

      it("connects under the name it asks for, and is among the members", async (t) => {
        const socket = connect(t, { nick: nick("mina") });
        await settled(socket);
        const room = newRoom();
        const joined = await ask(socket, "join", { room });
        assert.equal(joined.room, room);
        assert.deepEqual(joined.members, [nick("mina")]);
      });

      it("hears why a name can't be had", async (t) => {
        await heard(connect(t, { nick: nick("jun") }), "connect");
        const second = connect(t, { nick: nick("jun") });
        const error = await heard(second, "connect_error");
        assert.match(error.message, /taken/);
        assert.equal(error.data.code, "nick_taken");
      });

      it("joins and says at once, is answered, and everybody hears it", async (t) => {
        const room = newRoom();
        const tcp = await server.tcp();
        t.after(() => tcp.close());
        tcp.write(`/join ${room}`);
        await tcp.line(`* in ${room}`);
        const socket = connect(t, { nick: nick("sora") });
        const said = heard(socket, "said");
        // Sent with the connection hardly open: neither is lost, and the second is carried out after the first.
        const joined = ask(socket, "join", { room });
        const reply = ask(socket, "say", { room, text: "hello" });
        assert.equal((await joined).count, 2);
        const { seq } = await reply;
        const { ev, at, ...event } = await said;
        assert.deepEqual(event, { room, seq, from: nick("sora"), text: "hello" });
        await tcp.line(`<${nick("sora")}> hello`);
      });

      it("gets a hundred messages once and in order, also while it upgrades", async (t) => {
        const room = newRoom();
        const socket = connect(t);
        const got = new Inbox("socket");
        socket.on("said", ({ text }) => got.push(text));
        const replies = [ask(socket, "join", { room })];
        for (const text of numbered(1, 100)) replies.push(ask(socket, "say", { room, text }));
        await Promise.all(replies);
        assert.deepEqual(await got.takeUpTo((text) => text === "m100"), numbered(1, 100));
      });

      it("is refused a binary event, and nothing is harmed", async (t) => {
        const room = newRoom();
        const socket = connect(t);
        await ask(socket, "join", { room });
        const reply = await ask(socket, "say", { room, text: Buffer.from("hi") });
        assert.equal(typeof reply.error.code, "string");
        const { error } = await ask(socket, "nothing", Buffer.alloc(10), [Buffer.alloc(10)]);
        assert.equal(error.code, "bad_command");
        assert((await ask(socket, "say", { room, text: "hi" })).seq > 0);
      });

      it("is told what was wrong with an event that nobody waits for", async (t) => {
        const socket = connect(t);
        const error = heard(socket, "error");
        socket.emit("say", { room: "nowhere", text: "hi" });
        assert.equal((await error).code, "not_a_member");
      });

      it("leaves and comes back when told to", async (t) => {
        const room = newRoom();
        const tcp = await server.tcp();
        t.after(() => tcp.close());
        tcp.write(`/join ${room}`);
        const socket = connect(t, { nick: nick("hana") });
        await ask(socket, "join", { room });
        await tcp.line(`* ${nick("hana")} joined`);
        socket.disconnect();
        await tcp.line(`* ${nick("hana")} left`);
        // The room is left a moment before the name is free.
        socket.on("connect_error", ({ data }) => data?.code === "nick_taken" && setTimeout(() => socket.connect(), 50));
        socket.connect();
        await heard(socket, "connect");
        await ask(socket, "join", { room });
        await tcp.line(`* ${nick("hana")} joined`);
      });

      it("comes back by itself when the connection breaks", async (t) => {
        const socket = connect(t);
        await settled(socket);
        socket.io.engine.close();
        await settled(socket);
        assert((await ask(socket, "join", { room: newRoom() })).count, 1);
      });
    });
  }
}

describe("engine.io-client", () => {
  const test = punctual(it);
  const shared = together();
  let echo;
  before(async () => {
    echo = await conformance(shared);
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    function open(t) {
      const socket = new EngineSocket(echo.url, { path: "/engine.io/", transports });
      t.after(() => socket.close());
      const got = new Inbox("engine.io-client");
      socket.on("message", (data) => got.push(data));
      return { socket, got };
    }

    test(`gets text and binary back over ${name}`, async (t) => {
      const { socket, got } = open(t);
      await heard(socket, "open");
      socket.send("hello");
      socket.send(Buffer.from([1, 2, 3]));
      socket.send("안녕");
      const echoed = await got.takeUpTo((data) => data === "안녕");
      assert.deepEqual(echoed, ["hello", Buffer.from([1, 2, 3]), "안녕"]);
    });

    test(`lives through heartbeats over ${name}`, async (t) => {
      const { socket, got } = open(t);
      for (let beat = 0; beat < 4; beat++) await heard(socket, "heartbeat");
      socket.send("still here");
      await got.take((data) => data === "still here");
    });

    test(`loses and repeats nothing of a thousand messages over ${name}`, async (t) => {
      const { socket, got } = open(t);
      await heard(socket, "open");
      // In small portions, so that some are on their way at every moment of an upgrade.
      for (let from = 1; from < 1000; from += 50) {
        numbered(from, from + 49).forEach((text) => socket.send(text));
        await new Promise(setImmediate);
      }
      assert.deepEqual(await got.takeUpTo((data) => data === "m1000"), numbered(1, 1000));
    });
  }
});

describe("python-socketio", { skip: !fs.existsSync(PYTHON) && `${PYTHON} is missing; cargo xtask tools makes it` }, () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`is in the same room over ${name}, and back when the server is`, async (t) => {
      // It comes back as a new client, so its name must be free again.
      const server = await serve(t, { config: 'session_grace = "1s"\n' });
      const tcp = await server.tcp();
      tcp.write("/join place");
      await tcp.line("* in place");
      const python = spawn(PYTHON, ["-u", "client.py", server.url, "place", `py-${name}`, ...transports], { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] });
      t.after(() => python.kill());
      const ended = new Promise((resolve) => python.on("close", resolve));
      const out = new Inbox("client.py");
      readline.createInterface({ input: python.stdout }).on("line", (line) => out.push(line)).on("close", () => out.close());
      assert.equal(await out.take((line) => line.startsWith("joined")), `joined ["Guest1", "py-${name}"]`);
      await tcp.line(`<py-${name}> from python`);
      tcp.write("from a terminal");
      await out.take((line) => line === "heard Guest1 from a terminal");
      await out.take((line) => line === "refused not_a_member");
      await server.kill();
      await server.start();
      await out.take((line) => line === "back");
      await server.say("place", "jun", "the end");
      await out.take((line) => line === "heard jun the end");
      assert.equal(await within(ended, "client.py ends"), 0);
    });
  }
});
