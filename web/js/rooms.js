// What one does with rooms (enter, leave, open, read the past) and what is heard from them. The only module that turns
// the server's events into state.

import { announce } from "./announce.js";
import { Refusal } from "./connection.js";
import { fold, mentions } from "./names.js";
import * as outbox from "./outbox.js";
import { goTo } from "./route.js";
import { connection, isOnline } from "./session.js";
import * as store from "./store.js";
import { changed, isMe, keyOf, room, state, Talk } from "./store.js";
import { local } from "./storage.js";

const PAGE = 100;
const REMEMBER_WITHIN_MS = 500;
const GAP_PAGE = 400;
/** A crowd that changes is asked for its names once it has calmed down a little. */
const WHO_AFTER_MS = 1_500;
/** After a reconnect the others may be on their way back, too. Only who isn't by then has left. */
const RETURN_WITHIN_MS = 30_000;

// --- The list of rooms, remembered ---

/** Puts the rooms of last time into the list; they are entered when the session is there. */
export function restoreRooms() {
  for (const { name, epoch, read } of local.get("rooms", [])) {
    const talk = new Talk("room", name);
    talk.known = { epoch, read };
    state.talks.set(talk.key, talk);
  }
  addEventListener("pagehide", remember);
}

let rememberTimer = 0;

/** What has been read changes with each message of a busy room, and writing it down is not free. */
function rememberSoon() {
  rememberTimer ||= setTimeout(remember, REMEMBER_WITHIN_MS);
}

function remember() {
  clearTimeout(rememberTimer);
  rememberTimer = 0;
  local.set(
    "rooms",
    store.rooms().map(({ name, epoch, read, known }) => (epoch ? { name, epoch, read } : { name, ...known })),
  );
}

// --- Entering and leaving ---

/** After a (re)connect: into all rooms again, each from where it was left. */
export function enterAll() {
  for (const talk of store.rooms()) join(talk).catch(() => {});
}

/**
 * Enters a room that may not be in the list yet. Rejects with the server's refusal, and the list stays as it was.
 * @param {string} name
 */
export async function enter(name) {
  const known = room(name);
  if (known?.phase === "in") return known;
  const talk = known ?? new Talk("room", name.normalize("NFC"));
  await join(talk);
  // The server may know the room under another spelling of the name, which we may be in already.
  const same = state.talks.get(talk.key);
  if (!same) state.talks.set(talk.key, talk);
  remember();
  changed("talks");
  return same ?? talk;
}

/** Puts a room into the list at once and enters it; a refusal is shown in its place. For links. @param {string} name */
export function enterOpenly(name) {
  const talk = room(name) ?? new Talk("room", name);
  state.talks.set(talk.key, talk);
  changed("talks");
  if (isOnline() && talk.phase !== "in") join(talk).then(remember, () => {});
  return talk;
}

async function join(talk) {
  const { timeline } = talk;
  const seen = talk.epoch ? { after: timeline.seq, epoch: talk.epoch } : {};
  let reply;
  try {
    reply = await connection.request("join", { room: talk.name, ...seen });
  } catch (refusal) {
    await refusedEntry(talk, refusal);
    throw refusal;
  }
  const isFirst = !talk.epoch;
  const before = talk.members;
  Object.assign(talk, { phase: "in", refusal: null, name: reply.room, epoch: reply.epoch, topic: reply.topic });
  setMembers(talk, reply);
  if (isFirst) {
    timeline.seq = reply.seq;
    const { known } = talk;
    talk.read = known?.epoch === reply.epoch ? known.read : known?.epoch ? 0 : reply.seq;
    loadLatest(talk).then(() => countUnread(talk));
  } else if (reply.reset) {
    timeline.clear();
    timeline.seq = reply.seq;
    talk.read = 0;
    loadLatest(talk).then(() => {
      timeline.note({ kind: "reset" });
      countUnread(talk);
    });
  }
  if (!isFirst) expectBack(talk, before);
  remember();
  changed("talks", "people", "log");
}

/** Who was here before a lost connection and isn't now is not yet said to have left: a restart has cut off everybody. */
function expectBack(talk, before) {
  if (!before || !talk.members) return;
  for (const nick of talk.members) if (!before.has(nick) && !isMe(nick)) talk.timeline.presence("came", nick);
  talk.expected = new Set([...before].filter((nick) => !talk.members.has(nick) && !isMe(nick)));
  clearTimeout(talk.returnTimer);
  talk.returnTimer = setTimeout(() => {
    for (const nick of talk.expected) talk.timeline.presence("went", nick);
    talk.expected.clear();
    changed("log");
  }, RETURN_WITHIN_MS);
}

async function refusedEntry(talk, refusal) {
  if (refusal.code === "lost") return;
  if (refusal.code === "room_full") refusal.capacity = await capacityOf(talk.name);
  talk.phase = "refused";
  talk.refusal = refusal;
  changed("talks", "log");
}

/** How many a room holds, to be able to say so; 0 where it can't be known. */
async function capacityOf(name) {
  try {
    const { rooms } = await connection.request("rooms", { prefix: name, limit: 20 });
    return rooms.find((row) => fold(row.room) === fold(name))?.capacity ?? 0;
  } catch {
    return 0;
  }
}

/** @param {Talk} talk */
export function leave(talk) {
  if (talk.kind === "room" && talk.phase === "in") connection.request("leave", { room: talk.name }).catch(() => {});
  const keys = [...state.talks.keys()];
  const next = keys[keys.indexOf(talk.key) + 1] ?? keys[keys.indexOf(talk.key) - 1];
  for (const entry of talk.unconfirmed) outbox.discard(entry);
  state.talks.delete(talk.key);
  remember();
  outbox.storeDirect();
  if (state.open === talk.key) goTo(state.talks.get(next) ?? null);
  changed("talks", "log");
}

/** The rooms that are open on the server. */
export const list = async () => (await connection.request("rooms", { limit: 200 })).rooms;

// --- Opening and reading ---

/** Shows a talk. @param {Talk|null} talk */
export function open(talk) {
  if (state.open === (talk?.key ?? "")) return;
  const before = store.openTalk();
  if (before) {
    before.isAtBottom = true;
    before.fresh = null;
    before.timeline.trimStart();
  }
  state.open = talk?.key ?? "";
  if (talk) {
    talk.isAtBottom = true;
    talk.fresh = talk.unread > 0 ? firstUnread(talk) : null;
    local.set("last", talk.kind === "room" ? talk.name : local.get("last"));
    if (!talk.timeline.atEnd) loadLatest(talk);
    if (talk.kind === "room" && !talk.members && talk.phase === "in") askWho(talk);
  }
  changed("open", "talks", "log", "people");
}

/** Id of the item that the unread begins with, or `null`. */
function firstUnread(talk) {
  const { items } = talk.timeline;
  const first = talk.kind === "room" ? items.find((item) => isUnread(talk, item)) : items.at(-talk.unread);
  return first?.id ?? null;
}

const isUnread = (talk, item) => item.kind === "said" && item.seq > talk.read && !item.isMine;

/** Whoever looks at the page has seen everything of this talk. @param {Talk} talk */
export function markRead(talk) {
  const isNew = talk.unread > 0 || talk.read !== talk.timeline.seq;
  if (!isNew || !store.isSeen(talk)) return;
  talk.unread = 0;
  talk.isCalled = false;
  if (talk.kind === "room" && talk.phase === "in") {
    talk.read = talk.timeline.seq;
    rememberSoon();
  }
  changed("talks");
}

function countUnread(talk) {
  const fresh = talk.timeline.items.filter((item) => isUnread(talk, item));
  talk.unread = fresh.length;
  talk.isCalled = fresh.some((item) => mentions(item.text, state.me.nick));
  if (talk.key === state.open) talk.fresh = fresh[0]?.id ?? null;
  changed("talks", "log");
}

const isMine = (event) => isMe(event.from);

/** The newest page, instead of whatever the window holds. @param {Talk} talk */
export async function loadLatest(talk) {
  const { timeline } = talk;
  timeline.items = [];
  timeline.atEnd = true;
  timeline.atStart = false;
  await loadOlder(talk);
}

/** The page before the window. @param {Talk} talk */
export async function loadOlder(talk) {
  const { timeline } = talk;
  if (talk.kind !== "room" || talk.isLoading || timeline.atStart || talk.phase !== "in" || !isOnline()) return;
  await loading(talk, async () => {
    const page = await connection.request("history", { room: talk.name, before: timeline.oldest, limit: PAGE });
    timeline.prepend(page.events, page.first, isMine);
    if (!talk.isAtBottom) timeline.trimEnd();
  });
}

/** The page after a window that has let go of its end. @param {Talk} talk */
export async function loadNewer(talk) {
  const { timeline } = talk;
  if (talk.isLoading || timeline.atEnd || !isOnline()) return;
  await loading(talk, async () => {
    const page = await connection.request("history", { room: talk.name, after: timeline.newest, limit: PAGE });
    timeline.extend(page.events, page.seq, isMine);
    timeline.trimStart();
  });
}

/** What was not sent. @param {Talk} talk @param {any} gap */
export async function loadGap(talk, gap) {
  await loading(talk, async () => {
    const limit = Math.min(gap.to - gap.from + 1, GAP_PAGE);
    const page = await connection.request("history", { room: talk.name, after: gap.from - 1, limit });
    talk.timeline.fill(gap, page.events, page.first, isMine);
  });
}

async function loading(talk, work) {
  talk.isLoading = true;
  changed("log");
  try {
    await work();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    // A lost connection is shown by its own bar, and asked again after it. Anything else won't get better by asking.
    if (refusal.code !== "lost") talk.timeline.atStart = true;
  } finally {
    talk.isLoading = false;
    changed("log");
  }
}

/** Asks who is in a room, and resolves to their names, or `null` where they are too many. @param {Talk} talk */
export async function askWho(talk) {
  const reply = await connection.request("who", { room: talk.name }).catch(() => null);
  if (!reply) return null;
  setMembers(talk, reply);
  changed("people");
  return talk.members;
}

function setMembers(talk, { count, members }) {
  talk.count = count;
  talk.members = members && members.length === count ? new Set(members) : null;
}

// --- What is heard ---

const heard = {
  said: happened,
  topic: happened,
  capacity: happened,
  created: happened,

  joined(talk, { nick }) {
    if (isMe(nick) || talk.members?.has(nick)) return;
    talk.members?.add(nick);
    talk.count += 1;
    if (!talk.expected.delete(nick)) talk.timeline.presence("came", nick);
    changed("people", "log");
  },

  left(talk, { nick }) {
    if (isMe(nick)) return;
    talk.members?.delete(nick);
    talk.count = Math.max(0, talk.count - 1);
    talk.timeline.presence("went", nick);
    changed("people", "log");
  },

  renamed(talk, { from, to }) {
    if (talk.members?.delete(from)) talk.members.add(to);
    talk.timeline.presence("renamed", from, to);
    if (from === state.me.nick) store.setNick(to);
    renamePerson(from, to);
    changed("people", "log");
  },

  count(talk, { count }) {
    talk.count = count;
    talk.members = null;
    clearTimeout(talk.whoTimer);
    if (talk.key === state.open) talk.whoTimer = setTimeout(() => askWho(talk), WHO_AFTER_MS);
    changed("people");
  },

  gap(talk, { from_seq: from, to_seq: to }) {
    outbox.skip(talk, from, to);
    talk.timeline.gap(from, to);
    askWho(talk);
    changed("log");
  },
};

/** Takes in one event of the server. @param {any} event */
export function hear(event) {
  if (event.ev === "told") told(event);
  const talk = event.room === undefined ? undefined : room(event.room);
  if (talk && Object.hasOwn(heard, event.ev)) heard[event.ev](talk, event);
  else if (talk && event.seq) talk.timeline.append(event, false);
}

function happened(talk, event) {
  const mine = outbox.recognise(talk, event) || isMine(event);
  if (event.ev === "topic") talk.topic = event.text;
  const isNews = event.seq > talk.timeline.seq;
  talk.timeline.append(event, mine);
  if (isNews && event.ev === "said" && !mine) arrived(talk, event);
  trim(talk);
  changed("log", "talks");
}

function told(event) {
  const talk = store.ensurePerson(event.from);
  talk.timeline.note({ kind: "said", at: new Date(), from: event.from, text: event.text, isMine: false });
  arrived(talk, event);
  outbox.storeDirect();
  changed("log", "talks");
}

function arrived(talk, event) {
  announce(talk, event);
  if (store.isSeen(talk)) return;
  // The page is in the background: whoever comes back to it sees where the new begins.
  if (document.hidden && talk.key === state.open && talk.unread === 0)
    talk.fresh = talk.timeline.items.at(-1)?.id ?? null;
  talk.unread += 1;
  talk.isCalled ||= talk.kind === "person" || mentions(event.text, state.me.nick);
}

function trim(talk) {
  if (talk.isAtBottom) talk.timeline.trimStart();
  else talk.timeline.trimEnd();
}

/** A person I talk to alone has another name now: the talk goes on under it. */
function renamePerson(from, to) {
  const talk = state.talks.get(keyOf("person", from));
  if (!talk || state.talks.has(keyOf("person", to))) return;
  const before = talk.key;
  talk.name = to;
  for (const entry of talk.unconfirmed) entry.name = to;
  state.talks = new Map([...state.talks.values()].map((each) => [each.key, each]));
  outbox.storeDirect();
  if (state.open === before) {
    state.open = talk.key;
    goTo(talk, true);
  }
  changed("talks", "open", "log");
}
