// What I have said and the server hasn't confirmed. It shows paler until it is confirmed, survives a lost connection and a
// reload, and is sent again with the same key, which takes effect once. Direct messages have no key: one that may or
// may not have arrived is shown as such, and its sender decides.

import { connection, isOnline } from "./session.js";
import { changed, ensurePerson, state, wasMe } from "./store.js";
import { tab } from "./storage.js";

const UNKNOWN_RETRY_MS = 1_000;
const UNKNOWN_TRIES = 3;

/**
 * @typedef {{key: string, kind: "room"|"person", name: string, text: string, at: number, isSent: boolean,
 *   isDoubtful: boolean, seq: number, tries: number}} Unconfirmed
 *   `seq` is 0 until the server has said which position it got.
 */

/** @type {(talk: import("./store.js").Talk, text: string, refusal: import("./connection.js").Refusal) => void} */
let giveBack;

/** Shows again what an earlier page of this tab left behind. @param {typeof giveBack} returned */
export function startOutbox(returned) {
  giveBack = returned;
  for (const entry of tab.get("outbox", [])) {
    const talk = talkOf(entry);
    if (talk) talk.unconfirmed.push(entry);
  }
}

/** Says something in a room, or to a person alone. @param {import("./store.js").Talk} talk @param {string} text */
export function say(talk, text) {
  const { kind, name } = talk;
  const entry = { key: newKey(), kind, name, text, at: Date.now(), isSent: false, isDoubtful: false, seq: 0, tries: 0 };
  talk.unconfirmed.push(entry);
  store();
  if (isOnline()) transmit(entry);
}

/** The session is back: send what is waiting, in order. @param {boolean} isSameSession */
export function resend(isSameSession) {
  for (const entry of everything()) {
    const wouldRepeat = entry.isSent && (entry.kind === "person" || !isSameSession);
    if (wouldRepeat) entry.isDoubtful = true;
    else if (!entry.isDoubtful) transmit(entry);
  }
  store();
}

/** @param {Unconfirmed} entry */
export function sendAgain(entry) {
  entry.isDoubtful = false;
  entry.tries = 0;
  entry.at = Date.now();
  if (isOnline()) transmit(entry);
  else entry.isSent = false;
  store();
}

/** @param {Unconfirmed} entry */
export function discard(entry) {
  const talk = talkOf(entry);
  if (talk) talk.unconfirmed = talk.unconfirmed.filter((other) => other !== entry);
  store();
}

/**
 * An event has come: if it is what one of mine became, that one is confirmed. After a reconnect the event can come before
 * the reply that names its `seq`; then who and what has to do. Says whether it was one of mine.
 */
export function recognise(talk, event) {
  if (talk.unconfirmed.length === 0 || event.ev !== "said" || !wasMe(event.from)) return false;
  const found =
    talk.unconfirmed.find((entry) => entry.seq === event.seq) ??
    talk.unconfirmed.find((entry) => entry.seq === 0 && entry.isSent && entry.text === event.text);
  if (found) discard(found);
  return found !== undefined;
}

/** These events will come by `history`, if at all. */
export function skip(talk, fromSeq, toSeq) {
  for (const entry of talk.unconfirmed) if (entry.seq >= fromSeq && entry.seq <= toSeq) discard(entry);
}

async function transmit(entry) {
  entry.isSent = true;
  entry.tries += 1;
  const { kind, name, text, key } = entry;
  try {
    if (kind === "room") {
      const { seq } = await connection.request("say", { room: name, text, key });
      entry.seq = seq;
      const talk = talkOf(entry);
      if (!talk || talk.timeline.seq >= seq) discard(entry);
    } else {
      await connection.request("tell", { to: name, text });
      delivered(entry);
    }
  } catch (refusal) {
    refused(entry, refusal);
  }
}

function delivered(entry) {
  discard(entry);
  const talk = ensurePerson(entry.name);
  talk.timeline.note({ kind: "said", at: new Date(entry.at), from: state.me.nick, text: entry.text, isMine: true });
  storeDirect();
  changed("log");
}

function refused(entry, refusal) {
  if (refusal.code === "lost") return;
  if (refusal.code === "unknown" && entry.kind === "room") {
    if (entry.tries < UNKNOWN_TRIES) setTimeout(() => isOnline() && transmit(entry), UNKNOWN_RETRY_MS);
    else entry.isDoubtful = true;
    store();
    return;
  }
  const talk = talkOf(entry);
  discard(entry);
  if (talk) giveBack(talk, entry.text, refusal);
}

const everything = () => [...state.talks.values()].flatMap((talk) => talk.unconfirmed);

function talkOf(entry) {
  if (entry.kind === "person") return ensurePerson(entry.name);
  return [...state.talks.values()].find((talk) => talk.kind === "room" && talk.name === entry.name);
}

function store() {
  tab.set("outbox", everything());
  changed("log");
}

/** `crypto.randomUUID` would need https, and many first try a server on their own network without. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- Direct messages, which nobody else keeps ---

const DIRECT_KEPT = 200;

export function storeDirect() {
  const talks = [...state.talks.values()].filter((talk) => talk.kind === "person");
  const kept = talks.map(({ name, timeline }) => ({
    name,
    said: timeline.items.slice(-DIRECT_KEPT).map(({ from, text, at, isMine }) => ({ from, text, at, isMine })),
  }));
  tab.set("direct", kept);
}

export function restoreDirect() {
  for (const { name, said } of tab.get("direct", [])) {
    const { timeline } = ensurePerson(name);
    for (const { at, ...rest } of said) timeline.note({ kind: "said", at: new Date(at), ...rest });
  }
}
