// The page of a typical tutorial, unchanged: `room`, `chat message` and `result`, in rooms for two.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { io } from "socket.io-client";
import { eventually, heard, Inbox, serve, together } from "./harness.js";
import { ask, client } from "./socketio.js";

const shared = together();
let server;
before(async () => {
  server = await serve(shared, { config: `[[room]]\nmatch = "duo-*"\ncapacity = 2\n` });
});

/** As such a page is written: it knows these three events and nothing else. */
async function page(t, options = {}) {
  const socket = client(t, io, server, options);
  const seen = new Inbox("page");
  socket.on("chat message", (...args) => seen.push(`message ${args[0]}`));
  socket.on("result", (...args) => seen.push(`result ${args[0]}`));
  socket.onAny((event) => ["chat message", "result"].includes(event) || seen.push(`unexpected ${event}`));
  await heard(socket, "connect");
  // A round trip: everything that was emitted before it has been carried out.
  const settled = () => ask(socket, "rooms", {});
  return { socket, seen, settled, enter: (room) => socket.emit("room", room), say: (text) => socket.emit("chat message", text) };
}

describe("simple events", () => {
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    it(`two talk in a room, and hear themselves, over ${transports}`, async (t) => {
      const room = `duo-${transports.join("-")}`;
      const [ann, bob] = [await page(t, { transports }), await page(t, { transports })];
      ann.enter(room);
      await ann.settled();
      bob.enter(room);
      await bob.settled();
      ann.say("hi bob");
      await bob.seen.take((line) => line === "message hi bob");
      bob.say("hi ann");
      for (const { seen } of [ann, bob]) await seen.take((line) => line === "message hi ann");
      assert.deepEqual(ann.seen.items, []);
    });
  }

  it("the third is told that it failed, and hears nothing", async (t) => {
    const [ann, bob, eve] = [await page(t), await page(t), await page(t)];
    for (const each of [ann, bob, eve]) {
      each.enter("duo-1");
      await each.settled();
    }
    assert.deepEqual(await eve.seen.takeUpTo(() => true), ["result failed"]);
    ann.say("secret");
    await bob.seen.take((line) => line === "message secret");
    eve.say("let me in");
    await eve.settled();
    await ann.settled();
    assert.deepEqual(eve.seen.items.filter((line) => line !== "unexpected error"), []);
    assert.deepEqual(ann.seen.items, ["message secret"]);
  });

  it("who leaves makes room: by another room, by disconnecting, by closing the page", async (t) => {
    const leave = {
      "another room": async ({ enter, settled }) => {
        enter("elsewhere");
        await settled();
      },
      disconnecting: async ({ socket }) => socket.disconnect(),
      "closing the page": async ({ socket }) => {
        socket.io.reconnection(false);
        socket.io.engine.close();
      },
    };
    for (const [how, go] of Object.entries(leave)) {
      const room = `duo-${how.replaceAll(" ", "-")}`;
      const [ann, bob, eve] = [await page(t), await page(t), await page(t)];
      for (const each of [ann, bob]) {
        each.enter(room);
        await each.settled();
      }
      await go(bob);
      await isFree(room);
      eve.enter(room);
      eve.say("here I am");
      await ann.seen.take((line) => line === "message here I am");
    }
  });

  it("who enters another room hears nothing of the first", async (t) => {
    const [ann, bob] = [await page(t), await page(t)];
    ann.enter("duo-a");
    ann.enter("duo-b");
    await ann.settled();
    bob.enter("duo-a");
    bob.say("anybody?");
    await bob.seen.take((line) => line === "message anybody?");
    await ann.settled();
    assert.deepEqual(ann.seen.items, []);
  });

  it("those who came in by join are in the same room, with all its events", async (t) => {
    const ann = await page(t, { auth: { nick: "ann" } });
    ann.enter("plaza");
    await ann.settled();
    const full = client(t, io, server, { auth: { nick: "jun" } });
    const said = new Inbox("jun");
    full.on("said", (event) => said.push(event));
    const { members } = await ask(full, "join", { room: "plaza" });
    assert.deepEqual(members, ["ann", "jun"]);
    ann.say("hello");
    const event = await said.take();
    assert.deepEqual([event.from, event.text, event.room], ["ann", "hello", "plaza"]);
    await ask(full, "say", { room: "plaza", text: "hello, too" });
    await ann.seen.take((line) => line === "message hello, too");
    assert.deepEqual(ann.seen.items, []);
  });
});

async function isFree(room) {
  await eventually(`${room} has a place`, async () => {
    const { body } = await server.api("/api/rooms");
    return body.rooms.find((each) => each.room === room)?.count === 1;
  });
}
