// Hostile and broken input at the HTTP door. Whatever comes, everybody gets an answer or an end, the server goes on
// serving others, and gives back what it took: memory is bounded, descriptors are as many as before.

import assert from "node:assert/strict";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import { Frames, Polling, request } from "./engine.js";
import { conformance, eventually, numbered, pause, serve, together, within } from "./harness.js";
import { ask, closeCode, frame, framesIn, Raw, rawWebSocket, UPGRADE } from "./raw.js";

/** More than this no attack may cost. A build for debugging keeps some of what it once had. */
const MEMORY_BYTES_MAX = 48e6;
const MB = 1 << 20;

const shared = together();
let server;
let echo;
let engine;
before(async () => {
  server = await serve(shared);
  echo = await conformance(shared);
  engine = `${server.url}/socket.io/`;
});

let start;
beforeEach(async () => {
  start = [server, echo].map((each) => ({ each, memory: each.resident(), descriptors: each.descriptors() }));
});

afterEach(async () => {
  for (const { each, memory, descriptors } of start) {
    assert(each.isRunning, each.log);
    assert.doesNotMatch(each.log, /panicked/);
    assert((await ask(each, "GET", "/healthz")).status < 500, "others are served");
    const grown = each.resident() - memory;
    assert(grown < MEMORY_BYTES_MAX, `${(grown / MB).toFixed(1)} MiB more`);
    // Our own HTTP client keeps a few connections for the next request.
    await eventually("descriptors are given back", () => each.descriptors() <= descriptors + 4).catch(() => {
      assert.fail(`${each.descriptors()} descriptors, ${descriptors} before`);
    });
  }
});

/** A Socket.IO client by hand, connected to `/`. */
async function connected(url) {
  const frames = await Frames.open(`${url}/socket.io/?EIO=4&transport=websocket`);
  frames.answersPings = true;
  frames.send("40");
  await frames.next((text) => String(text).startsWith("40{"));
  return frames;
}

describe("packets", () => {
  const ODD = [
    '42[{"toString":1}]',
    '42[{"toString":"x"}]',
    "42[[]]",
    "42[null]",
    "42[]",
    '42["connect"]',
    '42["disconnect",1]',
    '42["__proto__",{"a":1}]',
    '42["constructor",{}]',
    '42["toString"]',
    '42["on",{}]',
    '42/admin,["join",{"room":"a"}]',
    '42/' + "x".repeat(100_000) + ",[]",
    '421e9["join",{}]',
    '42-1["join",{}]',
    "429".padEnd(2_000, "9") + '["join",{}]',
    "43[]",
    "4399999999[]",
    '43["x"]',
    "44{}",
    "45",
    "45-",
    "45-[]",
    "45x-[]",
    '451-["say",{"_placeholder":true,"num":"splice"}]',
    '451-["say",{"_placeholder":true,"num":-1}]',
    '451-["say",{"_placeholder":true,"num":1.5}]',
    '451-["say",{"_placeholder":true,"num":7}]',
    '452-["say",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]',
    '4511-["say"]',
    '45999999999-["say"]',
    '4518446744073709551616-["say"]',
    "46999999999-1[]",
    "47",
    "4",
    "0",
    "6",
    "5",
    '40{"nick":{"toString":1}}',
    "40" + "[".repeat(10_000),
    "40/" + ",".repeat(1_000),
  ];
  for (const target of ["server", "echo"]) {
    it(`${ODD.length} odd packets at the ${target}: an answer or an end, never a panic (CVE-2023-32695, CVE-2024-38355, CVE-2022-2421)`, async () => {
      const { url } = target === "server" ? server : echo;
      for (const packet of ODD) {
        const frames = await connected(url);
        frames.send(packet, Buffer.from([1, 2, 3]));
        // Either it is closed, or it goes on: then this is answered.
        frames.send('427["rooms",{}]');
        frames.send("1");
        await frames.isClosed();
      }
      assert.equal((await connected(url)).inbox.isClosed, false);
    });
  }

  it("a packet that announces a thousand million attachments ends the connection at once (CVE-2026-33151)", async () => {
    for (const { url } of [server, echo]) {
      const frames = await connected(url);
      frames.send('451000000000-["message",{"_placeholder":true,"num":0}]');
      await frames.isClosed();
    }
  });

  it("attachments that never come, or come for ever, cost a bounded amount", async () => {
    // Rooms take nothing binary and drop it; the example has to keep what it is to send back: ten of a megabyte at most.
    for (const [{ url }, count] of [[server, 20], [echo, 3]]) {
      const all = await Promise.all(Array.from({ length: count }, () => connected(url)));
      for (const frames of all) frames.send(`459-["message"${numbered(0, 8).map((_, num) => `,{"_placeholder":true,"num":${num}}`).join("")}]`);
      for (const frames of all) for (let nr = 0; nr < 8; nr++) frames.send(Buffer.alloc(900_000));
      for (const frames of all) frames.close();
    }
  });

  it("binary that was never announced ends the connection", async () => {
    const frames = await connected(server.url);
    frames.send(Buffer.alloc(10));
    await frames.isClosed();
  });
});

describe("bodies", () => {
  /** The answer to a body that comes all the same. Who goes on sending for too long is cut, and may miss it. */
  async function isTooLong(raw) {
    const { status } = await raw.answer();
    assert(status === 413 || (status === 0 && raw.isClosed), `${status}`);
    raw.end();
  }

  it("100 MB is refused before it is read, and cut when it comes all the same", async () => {
    for (const target of ["/api/rooms/plaza/messages", `/socket.io/?EIO=4&transport=polling&sid=${(await Polling.open(engine)).sid}`]) {
      const announced = { "Content-Length": String(100 * MB), "Content-Type": "application/json" };
      const patient = await Raw.connect(server);
      await patient.request("POST", target, announced);
      assert.equal((await patient.answer()).status, 413);
      patient.end();
      const raw = await Raw.connect(server);
      await raw.request("POST", target, announced);
      const chunk = Buffer.alloc(MB, 0x20);
      for (let nr = 0; nr < 100 && !raw.isClosed && raw.received.length === 0; nr++) await raw.write(chunk);
      await isTooLong(raw);
    }
  });

  it("a body in chunks that never ends is cut at the limit", async () => {
    for (const target of ["/api/rooms/plaza/messages", `/socket.io/?EIO=4&transport=polling&sid=${(await Polling.open(engine)).sid}`]) {
      const raw = await Raw.connect(server);
      await raw.request("POST", target, { "Transfer-Encoding": "chunked", "Content-Type": "application/json" });
      const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000, 0x20), Buffer.from("\r\n")]);
      for (let nr = 0; nr < 1600 && !raw.isClosed && raw.received.length === 0; nr++) await raw.write(chunk);
      await isTooLong(raw);
    }
  });

  it("thousands of tiny packets in one body are refused, and the session ends", async () => {
    const session = await Polling.open(engine);
    assert.equal((await session.post(...numbered(1, 5000).map((text) => `4${text}`))).status, 400);
    await session.isGone();
  });

  it("a megabyte is taken about as fast as many kilobytes (CVE-2020-36048)", async () => {
    const took = async (packets, bytes) => {
      const session = await Polling.open(`${echo.url}/engine.io/`);
      const body = Array.from({ length: packets }, () => `b${"A".repeat(bytes)}`);
      const begin = performance.now();
      assert.equal((await session.post(...body)).status, 200);
      return performance.now() - begin;
    };
    await took(1, 1000);
    const small = await took(1, 16_000);
    const large = await took(60, 16_000);
    assert(large < 60 * Math.max(small, 1) * 4 + 500, `${large} ms for 960 kB, ${small} ms for 16 kB`);
  });

  it("a thousand invalid binary bodies each get an answer (CVE-2026-59725)", async () => {
    const bodies = ["b!!!", "b", "bA", "b====", "4ok\x1eb*", "\x1e", "\x1e\x1e\x1e", Buffer.from([0x34, 0xff, 0xfe]), "b\u0000"];
    const one = async (nr) => {
      const { sid } = await Polling.open(engine);
      const { status } = await request(`${engine}?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: bodies[nr % bodies.length] });
      assert([200, 400].includes(status), `${status}`);
      if (status === 200) await request(`${engine}?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: "1" });
    };
    for (let nr = 0; nr < 1000; nr += 20) await Promise.all(Array.from({ length: 20 }, (_, at) => one(nr + at)));
  });

  it("a poll that is given up leaves nothing behind", async () => {
    for (let nr = 0; nr < 50; nr++) {
      const { sid } = await Polling.open(engine);
      const raw = await Raw.connect(server);
      await raw.request("GET", `/socket.io/?EIO=4&transport=polling&sid=${sid}`);
      nr % 2 ? raw.reset() : raw.end();
      await request(`${engine}?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: "1" });
    }
  });
});

describe("sessions", () => {
  it("ids can't be guessed: they have 128 bits, and a thousand guesses find nobody", async () => {
    const sids = await Promise.all(Array.from({ length: 20 }, async () => (await Polling.open(engine)).sid));
    for (const sid of sids) assert(Buffer.from(sid, "base64url").length >= 16, sid);
    assert.equal(new Set(sids.map((sid) => sid.slice(0, 4))).size, 20, "no common beginning");
    const guesses = Array.from({ length: 1000 }, (_, nr) => (nr % 2 ? sids[0].slice(0, -1) + "abcdef_-"[nr % 8] : `${nr}`)).filter((guess) => !sids.includes(guess));
    for (let at = 0; at < guesses.length; at += 50) {
      const answers = await Promise.all(guesses.slice(at, at + 50).map((sid) => request(`${engine}?EIO=4&transport=polling&sid=${sid}`)));
      assert(answers.every(({ status }) => status === 400));
    }
  });

  it("one that was closed is not taken again, by either transport", async () => {
    const session = await Polling.open(engine);
    await session.post("1");
    await session.isGone();
    assert.equal((await session.post("40")).status, 400);
    await (await Frames.open(session.socketUrl)).isClosed();
  });

  it("two polls at once end the session, and both are answered", async () => {
    const session = await Polling.open(engine);
    const statuses = (await Promise.all([session.poll(), session.poll()])).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 400]);
    await session.isGone();
  });

  it("two thousand handshakes that nobody goes on with are forgotten at their first heartbeat", async () => {
    // On loopback nobody is counted, so they all succeed.
    const sessions = [];
    for (let nr = 0; nr < 2_000; nr += 50) sessions.push(...(await Promise.all(Array.from({ length: 50 }, () => Polling.open(`${echo.url}/socket.io/`)))));
    // Half a second is their time.
    const { sid } = sessions.at(-1);
    await pause(600);
    assert.equal((await request(`${echo.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`)).status, 400);
  });
});

describe("upgrades", () => {
  it("a reset at any byte leaves the session polling (CVE-2022-41940)", async () => {
    const session = await Polling.open(engine);
    const head = Object.entries({ Host: `${server.address}:${server.ports.http}`, ...UPGRADE }).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const target = `/socket.io/?EIO=4&transport=websocket&sid=${session.sid}`;
    const bytes = Buffer.concat([Buffer.from(`GET ${target} HTTP/1.1\r\n${head}\r\n`), frame("text", "2probe")]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const raw = await Raw.connect(server);
      if (cut > 0) await raw.write(bytes.subarray(0, cut));
      cut % 2 ? raw.reset() : raw.end();
    }
    await session.post("40");
    assert.match(await session.until((packet) => packet.startsWith("40")), /^40\{/);
    await session.post("1");
  });

  const BROKEN = {
    "an unmasked frame": [frame("text", "2probe", { masked: false })],
    "a reserved bit": [frame("text", "2probe", { rsv: 4 })],
    "a reserved bit of two": [frame("text", "2probe", { rsv: 2 })],
    "a reserved opcode": [frame(3, "2probe")],
    "a frame of 2^63 bytes": [frame("text", "", { length: 2n ** 63n })],
    "another word than probe": [frame("text", "2abc")],
    "completion without a probe": [frame("text", "5")],
    "a message before the probe": [frame("text", "4hello")],
    "binary": [frame("binary", "2probe")],
  };
  for (const [what, frames] of Object.entries(BROKEN)) {
    it(`${what} instead of a probe: the socket is closed, polling goes on`, async () => {
      const session = await Polling.open(engine);
      const raw = await rawWebSocket(server, `/socket.io/?EIO=4&transport=websocket&sid=${session.sid}`);
      assert.equal(raw.handshake.status, 101);
      for (const bytes of frames) await raw.write(bytes);
      await raw.closed();
      raw.end();
      await session.post("40");
      assert.match(await session.until((packet) => packet.startsWith("40")), /^40\{/);
      await session.post("1");
    });
  }
});

describe("frames", () => {
  const CASES = [
    ["an unmasked frame", [frame("text", "{}", { masked: false })], 1002],
    ["the first reserved bit, as deflate would set it", [frame("text", "{}", { rsv: 4 })], 1002],
    ["the other reserved bits", [frame("text", "{}", { rsv: 3 })], 1002],
    ["a reserved opcode", [frame(5, "x")], 1002],
    ["a reserved control opcode", [frame(11, "x")], 1002],
    ["a ping of 126 bytes", [frame("ping", "x".repeat(126))], 1002],
    ["a ping in fragments", [frame("ping", "x", { fin: false })], 1002],
    ["a continuation of nothing", [frame("continuation", "x")], 1002],
    ["a message within a message", [frame("text", "a", { fin: false }), frame("text", "b")], 1002],
    ["text that is no UTF-8", [frame("text", Buffer.from([0xc3, 0x28]))], 1007],
    ["a surrogate in UTF-8", [frame("text", Buffer.from([0xed, 0xa0, 0x80]))], 1007],
    ["UTF-8 that breaks in the last fragment", [frame("text", "ok", { fin: false }), frame("continuation", Buffer.from([0xff]))], 1007],
    ["a close of one byte", [frame("close", "x")], 1002],
    ["a frame of 2^63 bytes", [frame("text", "", { length: 2n ** 63n })], [1002, 1009]],
    ["a frame of 2^63-1 bytes", [frame("text", "", { length: 2n ** 63n - 1n })], 1009],
    ["a frame of 2^40 bytes", [frame("text", "x".repeat(1000), { length: 2n ** 40n })], 1009],
  ];
  for (const path of ["/ws", "/socket.io/?EIO=4&transport=websocket"]) {
    for (const [what, frames, codes] of CASES) {
      it(`${path.split("?")[0]}: ${what} is closed with ${codes}`, async () => {
        const raw = await rawWebSocket(server, path);
        for (const bytes of frames) await raw.write(bytes);
        const code = await closeCode(raw);
        assert([codes].flat().includes(code), `closed with ${code}`);
      });
    }

    it(`${path.split("?")[0]}: fragments without end are cut at the limit of a message`, async () => {
      const raw = await rawWebSocket(server, path);
      await raw.write(frame("text", "x", { fin: false }));
      const more = frame("continuation", "x".repeat(60_000), { fin: false });
      for (let nr = 0; nr < 1000 && !raw.isClosed && !framesIn(raw.received).some(({ opcode }) => opcode === 8); nr++) await raw.write(more);
      assert.equal(await closeCode(raw), 1009);
    });

    it(`${path.split("?")[0]}: deflate is not offered`, async () => {
      const raw = await rawWebSocket(server, path, { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" });
      assert.equal(raw.handshake.status, 101);
      assert.equal(raw.handshake.headers["sec-websocket-extensions"], undefined);
      raw.end();
    });
  }

  it("a hundred thousand fragments of one byte and of none are one message", async () => {
    const text = JSON.stringify({ op: "ping", id: 1, pad: "x".repeat(3_000) });
    const raw = await rawWebSocket(server);
    const parts = [...text].flatMap((character, at) => [frame(at === 0 ? "text" : "continuation", character, { fin: false }), ...Array.from({ length: 30 }, () => frame("continuation", "", { fin: false }))]);
    await raw.write(Buffer.concat([...parts, frame("continuation", "")]));
    await raw.until(() => framesIn(raw.received).some(({ payload }) => payload.toString().includes('"re":1')), "the reply");
    raw.end();
  });

  it("pings between fragments are answered, and ten thousand pings, too", async () => {
    const raw = await rawWebSocket(server);
    await raw.write(frame("text", '{"op":"ping",', { fin: false }));
    await raw.write(frame("ping", "are you there"));
    await raw.write(frame("continuation", '"id":1}'));
    await raw.until(() => framesIn(raw.received).length >= 2, "pong and reply");
    assert.equal(framesIn(raw.received)[0].payload.toString(), "are you there");
    raw.received = Buffer.alloc(0);
    await raw.write(Buffer.concat(Array.from({ length: 10_000 }, () => frame("ping", "x"))));
    await raw.until(() => raw.received.length >= 30_000 || raw.isClosed, "ten thousand pongs");
    raw.end();
  });

  it("who sends for ever and never reads is read no further", async () => {
    const raw = await rawWebSocket(server);
    raw.socket.pause();
    const lines = Buffer.concat(numbered(1, 1000).map((_, id) => frame("text", JSON.stringify({ op: "rooms", id }))));
    let isTaken = true;
    for (let nr = 0; nr < 300 && isTaken; nr++) isTaken = await Promise.race([raw.write(lines), pause(1_000).then(() => false)]);
    assert(!isTaken, "everything was read");
    raw.reset();
  });
});

describe("JSON", () => {
  const NASTY = {
    "10,000 levels deep": `{"op":${"[".repeat(10_000)}`,
    "deep and closed": `{"op":"say","room":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
    "a huge number": `{"op":"join","room":"a","after":1e999999}`,
    "a number of 10,000 digits": `{"op":"join","room":"a","after":${"9".repeat(10_000)}}`,
    "a negative position": `{"op":"join","room":"a","after":-1}`,
    "a key twice": `{"op":"say","op":"bye","room":"a"}`,
    "a lone surrogate": `{"op":"say","room":"a","text":"\\ud800"}`,
    NaN: `{"op":"join","room":NaN}`,
    "no object": `[1,2,3]`,
    "nothing": ``,
    "a word": `null`,
    "a mark of order": `\ufeff{"op":"ping"}`,
  };
  for (const [what, text] of Object.entries(NASTY)) {
    it(`${what}: refused over WebSocket, and the connection stays`, async () => {
      const client = await server.json();
      client.send(text);
      const { code } = await client.event({ ev: "error" });
      assert.equal(typeof code, "string");
      assert.equal((await client.ask("ping")).error, undefined);
      await client.close();
    });
  }

  it("100,000 levels deep: too long for a message, closed with 1009", async () => {
    const raw = await rawWebSocket(server);
    await raw.write(frame("text", "[".repeat(100_000)));
    assert.equal(await closeCode(raw), 1009);
  });

  it("the same in requests: 400, and never 500", async () => {
    for (const text of Object.values(NASTY)) {
      const { status } = await ask(server, "POST", "/api/rooms/plaza/messages", { "Content-Type": "application/json" }, text);
      assert(status === 400 || status === 413, `${status} for ${text.slice(0, 60)}`);
    }
  });

  it("the same in events of Socket.IO", async () => {
    for (const text of Object.values(NASTY)) {
      const frames = await connected(server.url);
      frames.send(`421["say",${text}]`, "1");
      await frames.isClosed();
    }
  });
});

describe("heads", () => {
  it("2,000 fields, a field of a megabyte, a target of a megabyte: 431 or 4xx", async () => {
    const many = Object.fromEntries(numbered(1, 2000).map((name) => [`X-${name}`, "x"]));
    for (const [target, headers] of [["/", many], ["/", { "X-Long": "x".repeat(MB) }], [`/${"x".repeat(MB)}`, {}], ["/ws", { ...UPGRADE, "Sec-WebSocket-Protocol": " ".repeat(100_000) }]]) {
      const raw = await Raw.connect(server);
      raw.request("GET", target, headers);
      const { status } = await raw.answer();
      assert(status >= 400 && status < 500, `${status}`);
      raw.end();
    }
  });

  it("spaces for a subprotocol are no trouble (CVE-2024-37890, CVE-2021-32640)", async () => {
    const begin = performance.now();
    const raw = await rawWebSocket(server, "/ws", { "Sec-WebSocket-Protocol": " ".repeat(10_000) });
    assert([101, 400].includes(raw.handshake.status));
    assert(performance.now() - begin < 5_000);
    raw.end();
  });

  const AMBIGUOUS = {
    "length and chunks": ["POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n"],
    "two lengths": ["POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"],
    "an unknown transfer coding": ["POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: xchunked\r\n\r\n"],
    "a space before the colon": ["GET /healthz HTTP/1.1\r\nHost : HOST\r\n\r\n"],
    "no Host": ["GET /healthz HTTP/1.1\r\n\r\n"],
    "two Hosts": ["GET /healthz HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n"],
    "an upgrade in HTTP/1.0": [`GET /ws HTTP/1.0\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${UPGRADE["Sec-WebSocket-Key"]}\r\n\r\n`],
    "HTTP/2 at once": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "TLS": [Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc])],
    "a line of a terminal": ["/join plaza\r\n\r\n"],
  };
  for (const [what, [bytes]] of Object.entries(AMBIGUOUS)) {
    it(`${what}: refused or closed`, async () => {
      const raw = await Raw.connect(server);
      await raw.write(typeof bytes === "string" ? bytes.replaceAll("HOST", raw.host) : bytes);
      const { status } = await raw.answer();
      assert(status === 0 || (status >= 400 && status < 500) || status === 505, `${status}`);
      raw.end();
    });
  }

  it("ways out of the page's folder lead nowhere", async () => {
    for (const target of ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/..%2fCargo.toml", "/js/../../Cargo.toml", "/js/..%2f..%2fCargo.toml", "//etc/passwd", "/%00", "/index.html%00.css", "/.git/config", "/..\\Cargo.toml", "/api/rooms/..%2f..%2fetc/events", "/%c0%ae%c0%ae/Cargo.toml"]) {
      const { status, body } = await ask(server, "GET", target);
      assert(status >= 400 && status < 500, `${target}: ${status}`);
      assert.doesNotMatch(body, /\[workspace\]|root:/);
    }
  });

  it("a thousand requests one behind the other are answered in turn, or read no further while nobody reads", async () => {
    const raw = await Raw.connect(server);
    const one = `GET /api/rooms HTTP/1.1\r\nHost: ${raw.host}\r\n\r\n`;
    await raw.write(one.repeat(1000));
    for (let nr = 0; nr < 1000; nr++) assert.equal((await raw.answer()).status, 200);
    raw.end();
  });
});

describe("slow clients", () => {
  it("300 that send a byte a second are cut, and others don't notice", { timeout: 60_000 }, async () => {
    const session = await Polling.open(engine);
    const begins = [
      "GET / HTTP/1.1\r\nX-Slow: ",
      `POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: ${server.address}:${server.ports.http}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n `,
      "G",
    ];
    const slow = await Promise.all(Array.from({ length: 300 }, () => Raw.connect(server)));
    slow.forEach((raw, at) => raw.write(begins[at % begins.length]));
    const dripping = setInterval(() => slow.forEach((raw) => raw.isClosed || raw.socket.write("x")), 1_000);
    try {
      const times = [];
      for (let nr = 0; nr < 20; nr++) {
        const begin = performance.now();
        assert.equal((await ask(server, "GET", "/healthz")).status, 200);
        times.push(performance.now() - begin);
      }
      const median = times.sort((a, b) => a - b)[10];
      assert(median < 1_000, `others wait ${median} ms`);
      for (const raw of slow) await within(raw.closed(), "a slow client is cut", 40_000);
    } finally {
      clearInterval(dripping);
      slow.forEach((raw) => raw.end());
    }
    await session.post("1");
  });
});

describe("pages of others", () => {
  const foreign = (host, port) => [
    "http://evil.example",
    `http://evil-${host}:${port}`,
    `http://${host}.evil.example:${port}`,
    `http://${host}:${port}.evil.example`,
    `http://${host}:${Number(port) + 1}`,
    `http://${host}`,
    `http://evil@${host}:${port}`,
    "null",
    "",
    "file://",
    `ftp://${host}:${port}`.replace("ftp://", "chrome-extension://evil"),
  ];

  it("may not connect: not by WebSocket, not by polling, not by request (CVE-2019-13209, CVE-2022-42975)", async () => {
    const { sid } = await Polling.open(engine);
    for (const origin of foreign(server.address, server.ports.http)) {
      const headers = { Origin: origin };
      const answers = {
        "/ws": await ask(server, "GET", "/ws", { ...UPGRADE, ...headers }),
        "websocket": await ask(server, "GET", "/socket.io/?EIO=4&transport=websocket", { ...UPGRADE, ...headers }),
        "upgrade": await ask(server, "GET", `/socket.io/?EIO=4&transport=websocket&sid=${sid}`, { ...UPGRADE, ...headers }),
        "handshake": await ask(server, "GET", "/socket.io/?EIO=4&transport=polling", headers),
        "poll": await ask(server, "POST", `/socket.io/?EIO=4&transport=polling&sid=${sid}`, headers, "40"),
        "say": await ask(server, "POST", "/api/rooms/plaza/messages", { "Content-Type": "text/plain", ...headers }, '{"from":"eve","text":"hi"}'),
      };
      for (const [what, { status, headers }] of Object.entries(answers)) {
        assert.equal(status, 403, `${what} from ${JSON.stringify(origin)}`);
        assert.equal(headers["access-control-allow-origin"], undefined);
        assert.equal(headers["access-control-allow-credentials"], undefined);
      }
    }
  });

  it("our own may, however they are written, and so may programs", async () => {
    const host = `${server.address}:${server.ports.http}`;
    for (const origin of [`http://${host}`, `HTTP://${host}`, null]) {
      assert.equal((await ask(server, "GET", "/ws", { ...UPGRADE, Origin: origin })).status, 101);
      assert.equal((await ask(server, "GET", "/socket.io/?EIO=4&transport=polling", { Origin: origin })).status, 200);
    }
  });

  it("a name that was pointed here is not ours: rebinding", async () => {
    const { port } = new URL(server.url);
    for (const [host, expected] of [
      ["evil.example", 403],
      [`evil.example:${port}`, 403],
      ["localhost.evil.example", 403],
      ["127.0.0.1.evil.example", 403],
      ["192.168.0.1", 403],
      ["0.0.0.0", 403],
      ["localhost", 200],
      [`LOCALHOST:${port}`, 200],
      ["127.0.0.1", 200],
      ["[::1]", 200],
    ]) {
      for (const target of ["/", "/api/rooms", "/socket.io/?EIO=4&transport=polling"]) {
        assert.equal((await ask(server, "GET", target, { Host: host })).status, expected, `${host} ${target}`);
      }
      // Its page would have that origin, too.
      const { status } = await ask(server, "GET", "/ws", { ...UPGRADE, Host: host, Origin: `http://${host}` });
      assert.equal(status, expected === 200 ? 101 : 403, host);
    }
  });

  it("that are listed may: they are named, and never with credentials", async (t) => {
    const friendly = await serve(t, { config: `origins = ["https://friend.example"]\n` });
    const asked = { Origin: "https://friend.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type" };
    const preflight = await ask(friendly, "OPTIONS", "/api/rooms/plaza/messages", asked);
    assert(preflight.status === 200 || preflight.status === 204);
    for (const { headers } of [preflight, await ask(friendly, "GET", "/api/rooms", { Origin: "https://friend.example" }), await ask(friendly, "GET", "/socket.io/?EIO=4&transport=polling", { Origin: "https://friend.example" })]) {
      assert.equal(headers["access-control-allow-origin"], "https://friend.example");
      assert.match(headers.vary ?? "", /origin/i);
      assert.equal(headers["access-control-allow-credentials"], undefined);
    }
    for (const origin of ["https://friend.example.evil.example", "http://friend.example", "https://evilfriend.example", "https://friend.example:8443", "null"]) {
      const refused = await ask(friendly, "OPTIONS", "/api/rooms/plaza/messages", { ...asked, Origin: origin });
      assert.equal(refused.status, 403, origin);
      assert.equal(refused.headers["access-control-allow-origin"], undefined);
    }
  });
});
