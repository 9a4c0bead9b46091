// The promise of the front page: a browser, a terminal, a Socket.IO script and curl are in the same room.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import readline from "node:readline";
import { it } from "node:test";
import { promisify } from "node:util";
import { Inbox, serve } from "./harness.js";
import { browse, Person } from "./page.js";

/** As somebody would write it who knows Socket.IO and nothing else of us. */
const SCRIPT = `
import { io } from "socket.io-client";
const socket = io(process.argv[1], { auth: { nick: "script" } });
socket.on("said", ({ from, text }) => console.log(from + ": " + text));
socket.on("connect", () => {
  socket.emit("join", { room: "plaza" }, () => console.log("joined"));
});
process.stdin.on("data", (text) => socket.emit("say", { room: "plaza", text: String(text).trim() }));
`;

it("page, nc, a script of ten lines and curl: each sees what all four say", async (t) => {
  const server = await serve(t);
  const browser = await browse(t);

  const nc = spawn("nc", [server.address, String(server.ports.tcp)], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => nc.kill());
  const atNc = new Inbox("nc");
  readline.createInterface({ input: nc.stdout }).on("line", (line) => atNc.push(line.replace(/^<(.*?)> /, "$1: ")));
  await atNc.take((line) => line.includes("you are"));
  nc.stdin.write("/nick terminal\n/echo on\n");
  await atNc.take((line) => line.includes("terminal"));

  const script = spawn(process.execPath, ["--input-type=module", "-e", SCRIPT, server.url], { cwd: import.meta.dirname, stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => script.kill());
  const atScript = new Inbox("script");
  readline.createInterface({ input: script.stdout }).on("line", (line) => atScript.push(line));
  await atScript.take((line) => line === "joined");

  const page = await Person.arrive(t, browser, server, { nick: "page", room: "" });
  await page.inside("plaza");

  const curl = async (...args) => (await promisify(execFile)("curl", ["--silent", "--show-error", ...args])).stdout;
  const post = (text) => curl("--json", JSON.stringify({ from: "curl", text }), `${server.url}/api/rooms/plaza/messages`);

  // One after the other, so that their order is known.
  const said = ["page: hello from the page", "terminal: hello from nc", "script: hello from a script", "curl: hello from curl"];
  const isSaid = (line) => said.includes(line);
  await page.say("hello from the page");
  const heardAtNc = [await atNc.take(isSaid)];
  nc.stdin.write("hello from nc\n");
  const heardAtScript = [await atScript.take(isSaid), await atScript.take(isSaid)];
  script.stdin.write("hello from a script\n");
  await page.sees("hello from a script");
  assert.deepEqual(Object.keys(JSON.parse(await post("hello from curl"))), ["seq"]);

  await page.seesExactly(said.map((line) => line.split(": ")[1]));
  while (heardAtNc.length < 4) heardAtNc.push(await atNc.take(isSaid));
  assert.deepEqual(heardAtNc, said);
  while (heardAtScript.length < 4) heardAtScript.push(await atScript.take(isSaid));
  assert.deepEqual(heardAtScript, said);
  const { events } = JSON.parse(await curl(`${server.url}/api/rooms/plaza/events`));
  assert.deepEqual(events.filter(({ ev }) => ev === "said").map(({ from, text }) => `${from}: ${text}`), said);
  await page.screenshot("all-four");
});
