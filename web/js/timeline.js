// What one room's page shows of its past: a window of events in order, with gaps, presence and notes between them.
//
// Invariant: events stand by `seq`, each at most once, and between two neighbours nothing is missing unless a gap stands
// there. The window is open at its end (`atEnd`: live events are appended) or not (somebody reads far above, and what
// is newer is fetched when they come down). Knows no DOM and no connection.

/** Messages that a window holds before it lets go of the far end. */
export const WINDOW_MAX = 500;
/** While somebody reads above, this many may gather before the window lets go of its end. */
const GATHER_MAX = 600;

/** Events that are shown. Others (of lobbies and shows) only move `seq`. */
const SHOWN = new Set(["said", "topic", "capacity", "created"]);

/**
 * @typedef {{kind: string, pos: number, id: number, [field: string]: any}} Item
 *   `pos` orders items: an event has its `seq`, a gap where it begins, anything else that of the event before it.
 */

let ids = 0;

export class Timeline {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Item[]} */
    this.items = [];
    /** `seq` of the newest event of the room that is known to have happened; 0 before any. */
    this.seq = 0;
    this.atEnd = true;
    /** Nothing older can be had, because it is the beginning or because it isn't kept. */
    this.atStart = false;
    /** The oldest `seq` that the server keeps, where it is above 1. */
    this.firstKept = 1;
  }

  /** `seq` of the oldest event in the window, or just after the newest if there is none. */
  get oldest() {
    return this.items.find((item) => item.seq)?.seq ?? this.seq + 1;
  }

  /** `seq` of the newest event in the window. */
  get newest() {
    return this.items.findLast((item) => item.seq)?.seq ?? this.seq;
  }

  /** Is this event in the window? @param {number} seq */
  has(seq) {
    return this.items.some((item) => item.seq === seq);
  }

  /**
   * Something happened just now. Says whether it is new, and in the window.
   * @param {any} event @param {boolean} isMine
   */
  append(event, isMine) {
    if (event.seq <= this.seq) return false;
    if (this.seq > 0 && event.seq > this.seq + 1) this.gap(this.seq + 1, event.seq - 1);
    this.seq = event.seq;
    if (!this.atEnd || !SHOWN.has(event.ev)) return false;
    this.insert(toItem(event, isMine));
    return true;
  }

  /** These events were not sent. @param {number} from @param {number} to */
  gap(from, to) {
    this.seq = Math.max(this.seq, to);
    if (this.atEnd && to >= from) this.insert({ kind: "gap", pos: from, from, to });
  }

  /** An older page, as `history` with `before` gave it. */
  prepend(events, firstKept, isMine) {
    this.firstKept = firstKept;
    const end = this.oldest;
    for (const event of events) if (SHOWN.has(event.ev)) this.insert(toItem(event, isMine(event)));
    const oldest = events[0]?.seq ?? end;
    if (oldest <= firstKept) this.atStart = true;
  }

  /** A newer page, below a window that has let go of its end. `seq` is the room's newest. */
  extend(events, seq, isMine) {
    for (const event of events) if (SHOWN.has(event.ev)) this.insert(toItem(event, isMine(event)));
    this.seq = Math.max(this.seq, seq);
    if (events.length === 0 || events.at(-1).seq >= this.seq) this.atEnd = true;
  }

  /** Part of a gap has come; what it leaves open stays a gap, and what the server no longer keeps is said to be gone. */
  fill(gap, events, firstKept, isMine) {
    this.items = this.items.filter((item) => item !== gap);
    const gone = Math.min(firstKept - 1, gap.to);
    if (gone >= gap.from) this.insert({ kind: "gone", pos: gap.from, from: gap.from, to: gone });
    const inside = events.filter((event) => event.seq >= gap.from && event.seq <= gap.to);
    for (const event of inside) if (SHOWN.has(event.ev)) this.insert(toItem(event, isMine(event)));
    const rest = Math.max(inside.at(-1)?.seq ?? gone, gap.from - 1) + 1;
    if (rest <= gap.to && inside.length > 0) this.insert({ kind: "gap", pos: rest, from: rest, to: gap.to });
  }

  /** Something that has no `seq`: a note, or a direct message. @param {any} item */
  note(item) {
    if (this.atEnd) this.insert({ ...item, pos: this.items.at(-1)?.pos ?? this.seq });
  }

  /**
   * Who came and went, summed up in one line for as long as nothing else happens. Who comes back before that, was never
   * gone: a reconnect leaves no trace.
   * @param {"came"|"went"|"renamed"} what @param {string} nick @param {string} [to]
   */
  presence(what, nick, to) {
    let line = this.items.at(-1);
    if (line?.kind !== "presence") {
      this.note({ kind: "presence", came: [], went: [], renamed: [], version: 0 });
      line = this.items.at(-1);
      if (line?.kind !== "presence") return;
    }
    line.version += 1;
    if (what === "renamed") {
      line.came = line.came.map((name) => (name === nick ? to : name));
      if (!line.came.includes(to)) line.renamed = merged(line.renamed, nick, to);
    } else {
      const [here, opposite] = what === "came" ? [line.came, line.went] : [line.went, line.came];
      const undone = opposite.indexOf(nick);
      if (undone >= 0) opposite.splice(undone, 1);
      else if (!here.includes(nick)) here.push(nick);
    }
    if (line.came.length + line.went.length + line.renamed.length === 0) this.items.pop();
  }

  /** Lets go of the oldest, for a window that is read at its end. */
  trimStart() {
    const extra = this.items.length - WINDOW_MAX;
    if (extra <= 0) return;
    this.items.splice(0, extra);
    this.atStart = false;
  }

  /** Lets go of the newest, for a window that is read above. They are fetched again on the way down. */
  trimEnd(max = GATHER_MAX) {
    if (this.items.length <= max) return;
    this.items.length = WINDOW_MAX;
    this.atEnd = false;
  }

  /** Puts an item in its place. An event that is there already is not put twice. @param {any} item */
  insert(item) {
    let at = this.items.length;
    while (at > 0 && this.items[at - 1].pos > item.pos) at -= 1;
    // Items without `seq` share their `pos` with the event before them.
    for (let same = at - 1; item.seq && this.items[same]?.pos === item.pos; same -= 1) {
      if (this.items[same].seq === item.seq) return;
    }
    ids += 1;
    this.items.splice(at, 0, { ...item, id: ids });
  }
}

function toItem(event, isMine) {
  const { ev, room, at, ...rest } = event;
  return { kind: ev, pos: event.seq, at: new Date(at), isMine, ...rest };
}

/** A chain of renames is one, and a circle is none. */
function merged(renamed, from, to) {
  const before = renamed.find((rename) => rename.to === from);
  const others = renamed.filter((rename) => rename !== before);
  const start = before ? before.from : from;
  return start === to ? others : [...others, { from: start, to }];
}
