// What the page knows: who I am, the state of the connection, the talks (rooms, and people I talk to alone) and which of
// them is open. Views read it and are called when what they show has changed, at most once a frame. Changes come from
// session.js, rooms.js and outbox.js; no view changes anything here by itself.

import { fold } from "./names.js";
import { Timeline } from "./timeline.js";

export const state = {
  /** @type {{phase: "connecting"|"online"|"waiting"|"ended", retryAt: number, why: string}} */
  link: { phase: "connecting", retryAt: 0, why: "" },
  /** `wanted` is the name that I had and somebody else has now, or "". */
  me: { nick: "", wanted: "" },
  /** By key, in the order of the list. @type {Map<string, Talk>} */
  talks: new Map(),
  /** Key of the open talk, or "" for none. */
  open: "",
};

/** All names that I have had here. Somebody else may have one of them by now. */
const myNames = new Set();

/** @param {string} nick */
export function setNick(nick) {
  // The server tells everybody else.
  for (const { members } of rooms()) if (members?.delete(state.me.nick)) members.add(nick);
  state.me.nick = nick;
  if (nick) myNames.add(nick);
  changed("me", "talks", "people");
}

/** @param {string} nick */
export const isMe = (nick) => nick === state.me.nick;

/** Was it me, under this or an earlier name? Only for what there is another reason to take for mine. @param {string} nick */
export const wasMe = (nick) => myNames.has(nick);

/** One conversation: a room, or a person. */
export class Talk {
  /** @param {"room"|"person"} kind @param {string} name */
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.timeline = new Timeline();
    /** A room: going in, in, or refused with `refusal`. A person is always "in". */
    this.phase = kind === "room" ? "joining" : "in";
    this.refusal = null;
    /** Where it isn't known who is here, because they are too many, `null`. @type {Set<string>|null} */
    this.members = null;
    this.count = 0;
    /** Who was here before the connection was lost, and may be coming back. @type {Set<string>} */
    this.expected = new Set();
    this.topic = "";
    this.epoch = "";
    this.unread = 0;
    /** Somebody has called me by name in what is unread. */
    this.isCalled = false;
    /** `seq` up to which I have read; `null` before the first look. @type {number|null} */
    this.read = null;
    /** What the page remembered of a room from last time. @type {{epoch: string, read: number}|null} */
    this.known = null;
    /** Id of the item that "new from here" stands above, while the talk is open. @type {number|null} */
    this.fresh = null;
    /** The view is at the newest line. */
    this.isAtBottom = true;
    this.isLoading = false;
    /** @type {import("./outbox.js").Unconfirmed[]} */
    this.unconfirmed = [];
    this.draft = "";
    /** Why the draft is there, if it is something that was refused. */
    this.reason = "";
    this.whoTimer = 0;
    this.returnTimer = 0;
  }

  get key() {
    return keyOf(this.kind, this.name);
  }
}

/** @param {"room"|"person"} kind @param {string} name */
export const keyOf = (kind, name) => (kind === "person" ? "@" : "") + fold(name);

/** @returns {Talk|undefined} */
export const openTalk = () => state.talks.get(state.open);

/** @param {string} name @returns {Talk|undefined} */
export const room = (name) => state.talks.get(keyOf("room", name));

/** @param {string} name */
export function ensurePerson(name) {
  const key = keyOf("person", name);
  if (!state.talks.has(key)) {
    state.talks.set(key, new Talk("person", name));
    changed("talks");
  }
  return /** @type {Talk} */ (state.talks.get(key));
}

export const rooms = () => [...state.talks.values()].filter((talk) => talk.kind === "room");
export const people = () => [...state.talks.values()].filter((talk) => talk.kind === "person");

/** Has whoever looks at the page seen the end of this talk? @param {Talk} talk */
export const isSeen = (talk) => talk.key === state.open && talk.isAtBottom && talk.timeline.atEnd && !document.hidden;

// --- Changes ---

/** @typedef {"link"|"me"|"talks"|"open"|"log"|"people"} Topic */

/** @type {{topics: Topic[], view: () => void}[]} */
const views = [];
/** @type {Set<Topic>} */
let dirty = new Set();

/** Calls `view` once for all changes of a frame, if one of these topics is among them. */
export function watch(/** @type {Topic[]} */ topics, /** @type {() => void} */ view) {
  views.push({ topics, view });
}

export function changed(/** @type {Topic[]} */ ...topics) {
  if (dirty.size === 0) {
    // A hidden page has no frames, but its title still counts what is unread.
    if (document.hidden) setTimeout(refresh, 200);
    else requestAnimationFrame(refresh);
  }
  for (const topic of topics) dirty.add(topic);
}

// A frame that was asked for doesn't come any more once the page is hidden.
document.addEventListener("visibilitychange", () => document.hidden && refresh());

function refresh() {
  const now = dirty;
  dirty = new Set();
  for (const { topics, view } of views) if (topics.some((topic) => now.has(topic))) view();
}
