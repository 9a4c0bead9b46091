// Coming back: Socket.IO's own recovery with a stock client, and `after` at the other doors, also when the server was
// away in between. Nothing may be missing, and nothing may come twice.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { io } from "socket.io-client";
import { eventually, heard, Inbox, numbered, serve } from "./harness.js";
import { ask, client } from "./socketio.js";

/** What is told in such a room is on the disk, so not even `kill -9` takes it away. */
const CONFIG = `[[room]]\nmatch = "plaza"\ndurability = "sync"\n`;
const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** A stock client in the room, and the texts that it hears there. */
async function listener(t, server, options = {}) {
  const socket = client(t, io, server, options);
  const heardTexts = new Inbox("client");
  socket.on("said", ({ text }) => heardTexts.push(text));
  await ask(socket, "join", { room: "plaza" });
  assert.equal(socket.recovered ?? false, false, "the first time there is nothing to recover");
  return { socket, texts: heardTexts };
}

/** Breaks the connection as a network does, and says something while the client is away. */
async function breakAndMiss(server, socket, missed) {
  const isBack = heard(socket, "connect");
  socket.io.reconnectionDelay(150);
  socket.io.engine.close();
  for (const text of missed) await server.say("plaza", "jun", text);
  await isBack;
}

describe("connection state recovery", () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`the first, the second and the thirtieth time, over ${name}`, async (t) => {
      const server = await serve(t);
      const { socket, texts } = await listener(t, server, { transports });
      let nr = 0;
      for (let round = 1; round <= 30; round++) {
        await server.say("plaza", "jun", `m${(nr += 1)}`);
        await texts.take((text) => text === `m${nr}`);
        const missed = numbered(nr + 1, nr + 2);
        await breakAndMiss(server, socket, missed);
        assert.equal(socket.recovered, true, `round ${round}`);
        assert.deepEqual(await texts.takeUpTo((text) => text === missed.at(-1)), missed, `round ${round}`);
        nr += 2;
      }
      await server.say("plaza", "jun", "the end");
      assert.deepEqual(await texts.takeUpTo((text) => text === "the end"), ["the end"]);
    });

    it(`without any event before, over ${name}`, async (t) => {
      const server = await serve(t);
      const { socket, texts } = await listener(t, server, { transports });
      await breakAndMiss(server, socket, ["m1", "m2"]);
      assert.equal(socket.recovered, true);
      assert.deepEqual(await texts.takeUpTo((text) => text === "m2"), ["m1", "m2"]);
    });

    it(`across an orderly restart of the server, over ${name}`, async (t) => {
      const server = await serve(t);
      const { socket, texts } = await listener(t, server, { transports });
      for (const text of ["m1", "m2"]) await server.say("plaza", "jun", text);
      await texts.take((text) => text === "m2");
      const isGone = heard(socket, "disconnect");
      const isBack = heard(socket, "connect");
      socket.io.reconnectionDelay(500).reconnectionDelayMax(500);
      await server.stop();
      await isGone;
      await server.start();
      await server.say("plaza", "jun", "m3");
      await isBack;
      assert.equal(socket.recovered, true);
      await server.say("plaza", "jun", "m4");
      assert.deepEqual(await texts.takeUpTo((text) => text === "m4"), ["m3", "m4"]);
    });
  }

  it("in several rooms each gets its own rest", async (t) => {
    const server = await serve(t);
    const socket = client(t, io, server);
    const got = new Inbox("client");
    socket.on("said", ({ room, text }) => got.push(`${room} ${text}`));
    for (const room of ["a", "b", "c"]) await ask(socket, "join", { room });
    for (const room of ["c", "a", "b"]) await server.say(room, "jun", "before");
    await got.take((text) => text === "b before");
    const isBack = heard(socket, "connect");
    socket.io.engine.close();
    for (const room of ["b", "c", "a", "b"]) await server.say(room, "jun", "missed");
    await isBack;
    assert.equal(socket.recovered, true);
    await server.say("a", "jun", "after");
    const rest = await got.takeUpTo((text) => text === "a after");
    assert.deepEqual(rest.sort(), ["a after", "a missed", "b missed", "b missed", "c missed"]);
  });

  it("a simple client gets what was said in its room, and its place is still its own", async (t) => {
    const server = await serve(t);
    const socket = client(t, io, server);
    const texts = new Inbox("client");
    socket.on("chat message", (text) => texts.push(text));
    socket.emit("room", "plaza");
    socket.emit("chat message", "m1");
    await texts.take((text) => text === "m1");
    await breakAndMiss(server, socket, ["m2"]);
    assert.equal(socket.recovered, true);
    socket.emit("chat message", "m3");
    assert.deepEqual(await texts.takeUpTo((text) => text === "m3"), ["m2", "m3"]);
  });

  it("turned off, a client that comes back is new", async (t) => {
    const config = ["tcp", "http"].map((protocol) => `[[listen]]\nprotocol = "${protocol}"\nbind = "ADDRESS:0"\n`);
    const server = await serve(t, { config: `${config.join("")}recovery = false\n` });
    const { socket, texts } = await listener(t, server);
    await server.say("plaza", "jun", "m1");
    await texts.take((text) => text === "m1");
    await breakAndMiss(server, socket, ["m2"]);
    assert.equal(socket.recovered ?? false, false);
    const { members } = await ask(socket, "who", { room: "plaza" });
    assert.equal(members?.length ?? 0, 0, "a new client is in no room");
  });

  it("when what was missed is no longer kept, the client is new, and hears so when it joins with `after`", async (t) => {
    const server = await serve(t, { config: `[[room]]\nmatch = "*"\nkeep = 5\n` });
    const { socket, texts } = await listener(t, server);
    const gaps = new Inbox("gaps");
    socket.on("gap", (gap) => gaps.push(gap));
    await server.say("plaza", "jun", "m1");
    await texts.take((text) => text === "m1");
    const { seq } = await ask(socket, "history", { room: "plaza" });
    await breakAndMiss(server, socket, numbered(2, 21));
    assert.equal(socket.recovered ?? false, false);
    const joined = await ask(socket, "join", { room: "plaza", after: seq });
    assert.equal(joined.seq, seq + 20);
    const gap = await gaps.take();
    assert.equal(gap.from_seq, seq + 1);
    const rest = await texts.takeUpTo((text) => text === "m21");
    assert.equal(rest.length, joined.seq - gap.to_seq, "what is kept comes after the gap");
    assert.deepEqual(rest, numbered(22 - rest.length, 21));
  });

  it("after kill -9 the client is new, and `after` brings the rest", async (t) => {
    const server = await serve(t, { config: CONFIG });
    const { socket, texts } = await listener(t, server);
    await server.say("plaza", "jun", "m1");
    await texts.take((text) => text === "m1");
    const { seq: after, epoch } = await ask(socket, "history", { room: "plaza", limit: 1 });
    const isBack = heard(socket, "connect");
    await server.say("plaza", "jun", "m2");
    await server.kill();
    await server.start();
    await isBack;
    texts.items = [];
    await ask(socket, "join", { room: "plaza", after, epoch });
    await server.say("plaza", "jun", "m3");
    assert.deepEqual(await texts.takeUpTo((text) => text === "m3"), ["m2", "m3"]);
  });

  it("with a made-up pid or offset a client is new, and no harm is done", async (t) => {
    const server = await serve(t);
    for (const auth of [{ pid: "made-up", offset: "plaza:1" }, { pid: "s_00.00.00000000", offset: "x" }, { pid: "", offset: "" }]) {
      const socket = client(t, io, server, { auth });
      await heard(socket, "connect");
      assert.equal(socket.recovered ?? false, false);
    }
  });
});

const ENDS = { "a restart": (server) => server.stop(), "kill -9": (server) => server.kill() };
const OPENS = {
  "a plain WebSocket": (server) => server.json(),
  "TCP with /json": async (server) => {
    const client = await server.tcp();
    client.write("/json");
    await client.ask("leave", { room: "plaza" });
    return client;
  },
};


for (const [door, open] of Object.entries(OPENS)) {
  describe(`after, over ${door}`, () => {
    for (const [how, end] of Object.entries(ENDS)) {
      it(`across ${how}: everything that was missed, once`, async (t) => {
        const server = await serve(t, { config: CONFIG });
        const before = await open(server);
        const { resume } = await before.ask("hello", { nick: "mina" });
        const { epoch } = await before.ask("join", { room: "plaza" });
        await server.say("plaza", "jun", "m1");
        assert.deepEqual(await before.texts("m1"), ["m1"]);
        const { seq: after } = await before.ask("history", { room: "plaza", limit: 1 });
        await server.say("plaza", "jun", "m2");
        await end(server);
        await server.start();
        await server.say("plaza", "jun", "m3");

        const back = await open(server);
        const hello = await back.ask("hello", { resume });
        assert.equal(hello.resumed, true);
        // Names are written a moment after they are taken, so kill -9 may be too soon for this one.
        if (how !== "kill -9") assert.equal(hello.nick, "mina");
        const joined = await back.ask("join", { room: "plaza", after, epoch });
        assert.equal(joined.reset, undefined);
        await server.say("plaza", "jun", "m4");
        assert.deepEqual(await back.texts("m4"), ["m2", "m3", "m4"]);
      });
    }
  });
}

describe("after, as server-sent events", () => {
  it("Last-Event-ID resumes across a restart", async (t) => {
    const server = await serve(t);
    for (const text of ["m1", "m2"]) await server.say("plaza", "jun", text);
    const { body } = await server.api("/api/rooms/plaza/events");
    const after = body.events.find((event) => event.text === "m1").seq;
    await server.stop();
    await server.start();
    const stop = new AbortController();
    t.after(() => stop.abort());
    const headers = { accept: "text/event-stream", "last-event-id": String(after) };
    const response = await fetch(`${server.url}/api/rooms/plaza/events`, { headers, signal: stop.signal });
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    await server.say("plaza", "jun", "m3");
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes("m3")) break;
    }
    const ids = [...text.matchAll(/^id: ?(\d+)$/gm)].map(([, id]) => Number(id));
    assert.deepEqual(ids, [after + 1, after + 2]);
    assert(text.indexOf("m2") < text.indexOf("m3"));
    assert(!text.includes("m1"));
  });
});

describe("a client that never collects", () => {
  it("costs a bounded amount of memory", { skip: process.platform !== "linux" }, async (t) => {
    const server = await serve(t);
    const talker = await server.json("talker");
    await talker.ask("join", { room: "plaza", echo: false });
    const sid = await eventually("a handshake", async () => {
      const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
      return JSON.parse((await response.text()).slice(1)).sid;
    });
    const url = `${server.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    for (const packet of ["40", '420["join",{"room":"plaza"}]']) await fetch(url, { method: "POST", body: packet });
    const start = server.resident();
    const text = "x".repeat(4000);
    for (let nr = 0; nr < 2500; nr++) {
      if (nr % 100 === 99) await talker.ask("say", { room: "plaza", text });
      else talker.send({ op: "say", room: "plaza", text });
    }
    const grown = server.resident() - start;
    // Ten megabytes were said. The room remembers some of it for everybody, this client may be a megabyte behind.
    assert(grown < 40e6, `${grown} bytes more`);
    const response = await fetch(url);
    assert((await response.text()).length < 3e6);
  });
});
