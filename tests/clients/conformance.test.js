// The contract that protocol suites from outside check, point by point, against the conformance example. Numbers are
// the points of the contract.

import assert from "node:assert/strict";
import { before, describe, it as test } from "node:test";
import { Frames, Polling, punctual, request, SEPARATOR } from "./engine.js";
import { conformance, pause, together, within } from "./harness.js";

const PING_INTERVAL_MS = 300;
const PING_TIMEOUT_MS = 200;
const BYTES = Buffer.from([1, 2, 3, 4, 0, 255]);

const it = punctual(test);
const shared = together();
let server;
let engine;
let socketio;

before(async () => {
  server = await conformance(shared);
  engine = `${server.url}/engine.io/`;
  socketio = `${server.url}/socket.io/`;
});

const webSocket = (url = engine) => Frames.open(`${url}?EIO=4&transport=websocket`);

/** An Engine.IO WebSocket whose handshake has been read. */
async function opened(url = engine) {
  const frames = await webSocket(url);
  frames.handshake = JSON.parse((await frames.next()).slice(1));
  return frames;
}

describe("engine.io: handshake", () => {
  for (const path of ["engine.io", "socket.io"]) {
    it(`1: ${path} opens over polling with the settings and nothing else`, async () => {
      const { handshake } = await Polling.open(`${server.url}/${path}/`);
      assert.match(handshake.sid, /^\S{16,}$/);
      const { sid, ...settings } = handshake;
      assert.deepEqual(settings, { upgrades: ["websocket"], pingInterval: 300, pingTimeout: 200, maxPayload: 1_000_000 });
    });

    it(`1: ${path} opens over WebSocket, from where there is no upgrade`, async () => {
      const { sid, ...settings } = (await opened(`${server.url}/${path}/`)).handshake;
      assert.match(sid, /^\S{16,}$/);
      assert.deepEqual(settings, { upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: 1_000_000 });
    });
  }

  it("1: listens on both loopback addresses", async () => {
    for (const host of ["127.0.0.1", "[::1]", "localhost"]) await Polling.open(`http://${host}:${server.ports.http}/engine.io/`);
  });

  it("1: every session has its own id", async () => {
    const sessions = await Promise.all(Array.from({ length: 50 }, () => Polling.open(engine)));
    assert.equal(new Set(sessions.map(({ sid }) => sid)).size, 50);
  });

  const refused = {
    "no version": "transport=polling",
    "another version": "EIO=3&transport=polling",
    "no number for a version": "EIO=abc&transport=polling",
    "no transport": "EIO=4",
    "an unknown transport": "EIO=4&transport=carrier-pigeon",
    "an unknown session": "EIO=4&transport=polling&sid=abc",
  };
  for (const [what, query] of Object.entries(refused)) {
    it(`2: ${what} is a bad request with a reason`, async () => {
      const { status, text } = await request(`${engine}?${query}`);
      assert.equal(status, 400);
      const { code, message } = JSON.parse(text);
      assert.equal(typeof code, "number");
      assert.equal(typeof message, "string");
    });
  }

  for (const method of ["POST", "PUT"]) {
    it(`2: ${method} opens nothing`, async () => {
      assert.equal((await request(`${engine}?EIO=4&transport=polling`, { method })).status, 400);
    });
  }

  for (const query of ["transport=websocket", "EIO=3&transport=websocket", "EIO=4&transport=abc", "EIO=4&transport=websocket&sid=abc"]) {
    it(`2: a WebSocket with ${query} is refused`, async () => {
      await (await Frames.open(`${engine}?${query}`)).isClosed();
    });
  }
});

describe("engine.io: messages", () => {
  it("3, 4: a text message is taken with ok and comes back", async () => {
    const session = await Polling.open(engine);
    assert.deepEqual({ ...(await session.post("4hello")), headers: 0 }, { status: 200, text: "ok", headers: 0 });
    assert.equal((await session.poll()).text, "4hello");
  });

  it("4: one poll brings everything that is there, in order", async () => {
    const session = await Polling.open(engine);
    await session.post("4one", "4둘", "4three");
    assert.equal((await session.poll()).text, ["4one", "4둘", "4three"].join(SEPARATOR));
  });

  it("4: text stays text and binary binary, over polling", async () => {
    const session = await Polling.open(engine);
    await session.post("4text", `b${BYTES.toString("base64")}`, "4more");
    assert.deepEqual(await session.packets(), ["4text", `b${BYTES.toString("base64")}`, "4more"]);
  });

  it("4: a poll that waits is answered when something comes", async () => {
    const session = await Polling.open(engine);
    const poll = session.poll();
    await session.post("4late");
    assert.equal((await poll).text, "4late");
  });

  it("4: text and binary frames come back as such, over WebSocket", async () => {
    const frames = await opened();
    frames.send("4hello", BYTES, "4안녕", Buffer.alloc(0));
    await frames.expect("4hello", BYTES, "4안녕", Buffer.alloc(0));
  });

  it("4: a thousand messages come back in order", async () => {
    const frames = await opened();
    frames.answersPings = true;
    const sent = Array.from({ length: 1000 }, (_, at) => `4m${at}`);
    frames.send(...sent);
    await frames.expect(...sent);
  });

  for (const body of ["abc", "9", "", `4ok${SEPARATOR}abc`, `4ok${SEPARATOR}`]) {
    it(`3: the payload ${JSON.stringify(body)} is a bad request, and the session is gone`, async () => {
      const session = await Polling.open(engine);
      assert.equal((await session.post(body)).status, 400);
      await session.isGone();
    });
  }

  for (const text of ["abc", "9", ""]) {
    it(`11: the text frame ${JSON.stringify(text)} closes the WebSocket`, async () => {
      const frames = await opened();
      frames.send(text);
      await frames.isClosed();
    });
  }

  it("8: of two polls at once one is told that the session closes, the other is refused", async () => {
    const session = await Polling.open(engine);
    const answers = await Promise.all([session.poll(), session.poll()]);
    const [taken, refused] = answers.sort((a, b) => a.status - b.status);
    assert.equal(taken.status, 200);
    assert.equal(taken.text, "1");
    assert.equal(refused.status, 400);
    await session.isGone();
  });
});

describe("engine.io: heartbeats", () => {
  it("5: nothing is sent unasked before the first ping is due, over WebSocket", async () => {
    const start = performance.now();
    const frames = await opened();
    await frames.expect("2");
    const waited = performance.now() - start;
    assert(waited >= PING_INTERVAL_MS, `the first ping came after ${waited} ms`);
  });

  it("5: nothing is sent unasked before the first ping is due, over polling", async () => {
    const start = performance.now();
    const session = await Polling.open(engine);
    assert.equal((await session.poll()).text, "2");
    const waited = performance.now() - start;
    assert(waited >= PING_INTERVAL_MS, `the first ping came after ${waited} ms`);
  });

  it("6: three rounds over polling, each poll with just the ping", async () => {
    const session = await Polling.open(engine);
    for (let round = 0; round < 3; round++) {
      assert.equal((await session.poll()).text, "2");
      assert.equal((await session.post("3")).text, "ok");
    }
  });

  it("6: three rounds over WebSocket", async () => {
    const frames = await opened();
    for (let round = 0; round < 3; round++) {
      await frames.expect("2");
      frames.send("3");
    }
    frames.send("4still here");
    await frames.expect("4still here");
  });

  it("7: who doesn't answer is let go, over WebSocket", async () => {
    await (await opened()).isClosed();
  });

  it("7: who doesn't answer is gone on time, over polling", async () => {
    const session = await Polling.open(engine);
    await pause(PING_INTERVAL_MS + PING_TIMEOUT_MS);
    await session.isGone();
  });
});

describe("engine.io: closing", () => {
  it("9: a close over polling ends a waiting poll with a noop, and the session", async () => {
    // Nobody tells when a poll has come in and waits; one that comes after the close is refused, and this tries again.
    for (let waits = 10; waits < 5_000; waits *= 2) {
      const session = await Polling.open(engine);
      const poll = session.poll();
      await pause(waits);
      assert.equal((await session.post("1")).status, 200);
      await session.isGone();
      const { status, text } = await poll;
      if (status === 400) continue;
      assert.deepEqual({ status, text }, { status: 200, text: "6" });
      return;
    }
    assert.fail("no poll that waited was answered");
  });

  it("9: a close over WebSocket closes it", async () => {
    const frames = await opened();
    frames.send("1");
    await frames.isClosed();
  });
});

describe("engine.io: upgrade", () => {
  it("10: messages flow over the WebSocket once it is probed and complete", async () => {
    const session = await Polling.open(engine);
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe");
    await frames.expect("3probe");
    frames.send("5");
    frames.send("4hello");
    await frames.expect("4hello");
    await session.isGone();
  });

  it("10: while it is probed, polls that wait and new ones get a noop", async () => {
    const session = await Polling.open(engine);
    const waiting = session.poll();
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe");
    await frames.expect("3probe");
    assert.equal((await waiting).text, "6");
    assert.equal((await session.poll()).text, "6");
    frames.send("5", "4hello");
    await frames.expect("4hello");
  });

  it("10: probe and completion may come together", async () => {
    const session = await Polling.open(engine);
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe", "5", "4hello");
    await frames.expect("3probe", "4hello");
  });

  it("10: what was posted before comes over the WebSocket, once and in order", async () => {
    const session = await Polling.open(engine);
    await session.post("4one", "4two");
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe", "5", "4three");
    await frames.expect("3probe", "4one", "4two", "4three");
  });

  it("10: a second WebSocket is closed, and the first goes on", async () => {
    const session = await Polling.open(engine);
    const first = await Frames.open(session.socketUrl);
    first.send("2probe");
    await first.expect("3probe");
    first.send("5", "4one");
    await first.expect("4one");
    await (await Frames.open(session.socketUrl)).isClosed();
    first.answersPings = true;
    first.send("4two");
    await first.next((frame) => frame === "4two");
  });

  it("2: after it, the session takes no more requests", async () => {
    const session = await Polling.open(engine);
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe", "5", "4done");
    await frames.expect("3probe", "4done");
    assert.equal((await session.poll()).status, 400);
  });

  it("10: a probe that breaks off leaves polling as it was", async () => {
    const session = await Polling.open(engine);
    const frames = await Frames.open(session.socketUrl);
    frames.send("2probe");
    await frames.expect("3probe");
    frames.close();
    await session.post("4hello");
    assert.equal(await session.until((packet) => packet !== "6" && packet !== "2"), "4hello");
  });
});

/** A Socket.IO client over WebSocket that has opened Engine.IO and nothing more. */
const client = () => opened(socketio);

/** One that is connected to `/`, and has been told what it sent for that. */
async function connected() {
  const frames = await client();
  frames.send("40");
  assert.match(await frames.next(), /^40\{"sid":"[^"]+"\}$/);
  await frames.expect('42["auth",{}]');
  return frames;
}

describe("socket.io: connecting", () => {
  const cases = {
    "40": ["40", '42["auth",{}]'],
    '40{"token":"123"}': ["40", '42["auth",{"token":"123"}]'],
    "40/custom,": ["40/custom,", '42/custom,["auth",{}]'],
    "40/custom": ["40/custom,", '42/custom,["auth",{}]'],
    '40/custom,{"token":"abc"}': ["40/custom,", '42/custom,["auth",{"token":"abc"}]'],
  };
  for (const [sent, [prefix, auth]] of Object.entries(cases)) {
    it(`12: ${sent} is answered with an id, then with what it sent`, async () => {
      const frames = await client();
      frames.send(sent);
      const reply = await frames.next();
      assert(reply.startsWith(`${prefix}{`), reply);
      const object = JSON.parse(reply.slice(prefix.length));
      assert.deepEqual(Object.keys(object), ["sid"]);
      assert.notEqual(object.sid, frames.handshake.sid);
      await frames.expect(auth);
    });
  }

  it("12: what it sent comes in a read of its own", async () => {
    // Whoever is slow to read finds both at once even so; that can't happen every time.
    for (let attempt = 0; attempt < 20; attempt++) {
      const frames = await client();
      let isLater = false;
      frames.socket.once("message", () => setImmediate(() => (isLater = true)));
      const both = new Promise((resolve) => {
        let count = 0;
        frames.socket.on("message", () => (count += 1) === 2 && resolve(isLater));
      });
      frames.send("40");
      if (await within(both, "both answers")) return;
    }
    assert.fail("the reply and the event came together every time");
  });

  it("12: over polling, too", async () => {
    const session = await Polling.open(socketio);
    await session.post('40{"token":"123"}');
    assert.match(await session.until((packet) => packet.startsWith("40")), /^40\{"sid":"[^"]+"\}$/);
    assert.equal(await session.until((packet) => packet.startsWith("42")), '42["auth",{"token":"123"}]');
  });

  it("13: an unknown namespace is refused and the connection stays", async () => {
    const frames = await client();
    frames.send("40/random");
    await frames.expect('44/random,{"message":"Invalid namespace"}');
    frames.send("40");
    assert.match(await frames.next(), /^40\{/);
  });

  it("17: a packet that is none closes the connection", async () => {
    for (const text of ["4abc", "4", "48", "49", "4/"]) {
      const frames = await client();
      frames.send(text);
      await frames.isClosed();
    }
  });

  it("17: who doesn't connect is let go within two seconds", async () => {
    const frames = await client();
    frames.answersPings = true;
    const start = performance.now();
    await within(frames.closed, "the connect timeout").catch(() => {});
    assert(performance.now() - start < 10_000, "who only answers pings has no place here");
  });

  it("17: over polling as well", async () => {
    const session = await Polling.open(socketio);
    await session.post("4abc");
    await session.isGone();
  });
});

describe("socket.io: leaving", () => {
  it("16: leaving the main namespace keeps the connection, next is a ping", async () => {
    const frames = await connected();
    frames.send("41");
    await frames.expect("2");
  });

  it("16: leaving another namespace leaves only that, also while a ping waits", async () => {
    const frames = await connected();
    frames.send("40/custom");
    await frames.next((frame) => frame.startsWith('42/custom,["auth"'));
    frames.send("41/custom", '42["message","still here"]');
    await frames.next((frame) => frame === '42["message-back","still here"]');
    await frames.next((frame) => frame === "2");
    frames.send('42["message","a ping waits"]');
    await frames.expect('42["message-back","a ping waits"]');
  });
});

describe("socket.io: events", () => {
  const echoes = {
    '42["message",1,"2",{"3":[true]}]': '42["message-back",1,"2",{"3":[true]}]',
    '42["message"]': '42["message-back"]',
    '42["message",1.0,1e2,"\\u00e9",{"b":1,"a":2,"b":3}]': '42["message-back",1.0,1e2,"\\u00e9",{"b":1,"a":2,"b":3}]',
    '42["message", "a space" ]': null,
    '42456["message-with-ack",1,"2",{"3":[false]}]': '43456[1,"2",{"3":[false]}]',
    '420["message-with-ack"]': "430[]",
  };
  for (const [sent, answer] of Object.entries(echoes)) {
    it(`14: ${sent}`, async () => {
      const frames = await connected();
      frames.answersPings = true;
      frames.send(sent);
      if (answer !== null) return frames.expect(answer);
      assert.deepEqual(JSON.parse((await frames.next()).slice(2)), ["message-back", "a space"]);
    });
  }

  it("14: in another namespace the answer is in that one", async () => {
    const frames = await client();
    frames.answersPings = true;
    frames.send("40/custom");
    await frames.next((frame) => frame.startsWith('42/custom,["auth"'));
    frames.send('42/custom,["message",1]', '42/custom,7["message-with-ack",2]');
    await frames.expect('42/custom,["message-back",1]', "43/custom,7[2]");
  });

  it("15: binary goes with its event and comes back right behind it", async () => {
    const frames = await connected();
    frames.answersPings = true;
    const [first, second] = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
    frames.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', first, second);
    await frames.expect('452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', first, second);
  });

  it("15: binary with an acknowledgment", async () => {
    const frames = await connected();
    frames.answersPings = true;
    const [first, second] = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
    frames.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', first, second);
    await frames.expect('462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', first, second);
  });

  it("15: binary over polling", async () => {
    const session = await Polling.open(socketio);
    await session.post("40");
    await session.until((packet) => packet.startsWith('42["auth"'));
    await session.post('451-["message",{"_placeholder":true,"num":0}]', "bAQID");
    await session.until((packet) => packet === '451-["message-back",{"_placeholder":true,"num":0}]');
    assert.equal(await session.until(() => true), "bAQID");
  });

  for (const text of ["4abc", '42{"a":1}', '42"hello"', "42", '42abc["message-with-ack"]', "42[1]"]) {
    it(`17: ${text} closes the connection`, async () => {
      const frames = await connected();
      frames.send(text);
      await frames.isClosed();
    });
  }
});
