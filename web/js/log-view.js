// The conversation: messages, grouped by person; presence, gaps and days between them; the empty states; scrolling.
//
// Each row is made once and kept, so an update touches only what is new. Whoever reads above is never moved: the row at
// the top of the view stays where it is, whatever is added or taken away around it.

import { arrange, byId, el } from "./dom.js";
import { day, list, moment, number, onLanguage, t, time } from "./i18n.js";
import { withLinks } from "./links.js";
import { colour, isGuest, mentions } from "./names.js";
import { openJoin, openNickDialog } from "./dialogs.js";
import { discard, sendAgain } from "./outbox.js";
import { openPersonMenu } from "./person-menu.js";
import { explain } from "./refusals.js";
import { enterOpenly, loadGap, loadLatest, loadNewer, loadOlder, markRead } from "./rooms.js";
import { changed, openTalk, state, watch } from "./store.js";

const GROUP_MS = 2 * 60 * 1000;
/** So near to the end counts as being there. */
const BOTTOM_PX = 48;
/** So near to an edge of the window, the next page is fetched. */
const EDGE_PX = 600;
const NAMES_IN_PRESENCE = 2;

const log = byId("log");
const lines = byId("lines");
const pill = byId("pill");

/** The rows that are shown, by key; `mark` says when a row has to be made anew. @type {Map<string, {mark: string, node: HTMLElement}>} */
let rows = new Map();
let shown = "";

export function startLog() {
  watch(["open", "log", "me"], render);
  onLanguage(() => {
    rows = new Map();
    changed("log");
  });
  log.addEventListener("scroll", scrolled, { passive: true });
  new ResizeObserver(() => {
    if (openTalk()?.isAtBottom) toBottom();
  }).observe(log);
  document.addEventListener("visibilitychange", () => seen());
  pill.addEventListener("click", goToEnd);
  lines.addEventListener("click", clicked);
}

/** To the newest line, fetching it if the window has let go of it. */
export async function goToEnd() {
  const talk = openTalk();
  if (!talk) return;
  talk.isAtBottom = true;
  if (!talk.timeline.atEnd) await loadLatest(talk);
  toBottom();
  seen();
}

// --- Rendering ---

function render() {
  const talk = openTalk();
  const anchor = shown === state.open && !talk?.isAtBottom ? topRow() : null;
  if (shown !== state.open) rows = new Map();
  shown = state.open;

  const kept = new Map();
  const nodes = rowsOf(talk).map(({ key, mark, make }) => {
    const before = rows.get(key);
    const row = before?.mark === mark ? before : { mark, node: make() };
    kept.set(key, row);
    return row.node;
  });
  rows = kept;
  arrange(lines, nodes);
  byId("older").textContent = olderNote(talk);

  if (!talk || talk.isAtBottom) toBottom();
  else if (anchor) hold(anchor);
  showPill();
  seen();
  if (talk) fillWindow(talk);
}

/** The row at the top of the view, and how far down it stands. Not a day: older messages of it move it up. */
function topRow() {
  const top = log.scrollTop;
  for (const [key, { node }] of rows) {
    if (!node.matches(".separator") && node.offsetTop + node.offsetHeight > top)
      return { key, distance: node.offsetTop - top };
  }
  return null;
}

function hold({ key, distance }) {
  const row = rows.get(key);
  if (row) log.scrollTop = row.node.offsetTop - distance;
}

function toBottom() {
  log.scrollTop = log.scrollHeight;
}

function olderNote(talk) {
  if (!talk || talk.kind !== "room" || talk.phase !== "in") return "";
  if (talk.timeline.atStart) return talk.timeline.firstKept > 1 ? t("olderGone") : "";
  return talk.isLoading ? t("loadingOlder") : "";
}

/** @typedef {{key: string, mark: string, make: () => HTMLElement}} Row */

/** @returns {Row[]} */
function rowsOf(talk) {
  if (!talk) return [fixed("nowhere", nowhere)];
  const result = [];
  let before = null;
  let head = null;
  for (const item of talk.timeline.items) {
    const isNewDay = item.at && !isSameDay(item.at, before?.at);
    if (isNewDay) result.push(fixed(`day${item.at.toDateString()}`, () => separator("day", day(item.at))));
    if (item.id === talk.fresh) result.push(fixed("fresh", () => separator("fresh", t("fresh"))));
    const follows = !isNewDay && item.id !== talk.fresh && before?.kind === "said" && belongsTo(head, item);
    if (item.kind === "said" && !follows) head = item;
    result.push(itemRow(talk, item, follows));
    before = item.at ? item : { ...item, at: before ? before.at : null };
  }
  for (const entry of talk.unconfirmed) {
    const item = { from: state.me.nick, at: new Date(entry.at), isMine: true, text: entry.text };
    const follows = before?.kind === "said" && belongsTo(head, item);
    if (!follows) head = item;
    before = { kind: "said", at: item.at };
    result.push(unconfirmedRow(entry, item, follows));
  }
  return [...result, ...endRows(talk, result)];
}

const belongsTo = (head, item) =>
  head && head.from === item.from && head.isMine === item.isMine && Math.abs(item.at - head.at) < GROUP_MS;
const isSameDay = (a, b) => b && a.toDateString() === b.toDateString();
const fixed = (key, make) => ({ key, mark: "", make });

function nowhere() {
  const node = invitation(t("nowhere"), t("nowhereInvite"));
  node.append(linkButton(t("join"), openJoin));
  return node;
}

/** What stands below the conversation: why there is none, or what one might do. @returns {Row[]} */
function endRows(talk, above) {
  if (talk.kind === "person") {
    return above.length > 0 ? [] : [fixed("quiet", () => invitation(t("quietDirect", { name: talk.name })))];
  }
  if (talk.phase === "refused") return [refusedRow(talk)];
  if (talk.phase === "joining") return [fixed("joining", () => note(t("joining")))];
  const { items, atEnd } = talk.timeline;
  const isQuiet =
    atEnd && !talk.isLoading && talk.unconfirmed.length === 0 && !items.some((item) => item.kind === "said");
  const isNew =
    isGuest(state.me.nick) &&
    talk.unconfirmed.length === 0 &&
    !items.some((item) => item.isMine && item.kind === "said");
  const result = [];
  if (isQuiet) result.push(fixed("quiet", () => invitation(t("quietRoom"))));
  if (isNew && !talk.isLoading) result.push(introRow(talk));
  return result;
}

function introRow(talk) {
  const { nick, wanted } = state.me;
  const text = wanted ? t("nickLost", { wanted, nick }) : t("introGuest", { nick, name: talk.name });
  return { key: "intro", mark: text, make: () => note(text, linkButton(t("introPick"), openNickDialog)) };
}

function refusedRow(talk) {
  const reason = explain(talk.refusal, { room: talk.name, name: talk.name });
  const again = () => linkButton(t("tryAgain"), () => enterOpenly(talk.name));
  return {
    key: "refused",
    mark: reason,
    make: () => el("div", { class: "invitation refusal" }, el("p", { text: reason, dir: "auto" }), again()),
  };
}

/** @returns {Row} */
function itemRow(talk, item, follows) {
  const key = `i${item.id}`;
  if (item.kind === "said") {
    // Asked once for each message: all rows are gone through for every one that comes.
    item.isCall ??= !item.isMine && talk.kind === "room" && mentions(item.text, state.me.nick);
    return { key, mark: `${follows}`, make: () => message(item, follows, item.isCall ? "call" : "") };
  }
  if (item.kind === "gap") return { key, mark: `${talk.isLoading}`, make: () => gap(talk, item) };
  if (item.kind === "presence") return { key, mark: `${item.version}`, make: () => note(presence(item)) };
  return { key, mark: "", make: () => note(sentence(item)) };
}

function message(item, follows, extra) {
  const name = follows
    ? el("span", { class: "sr", text: `${item.from} ` })
    : el("button", {
        type: "button",
        class: `name ${item.isMine ? "mine" : `c${colour(item.from)}`}`,
        tabindex: "-1",
        dir: "auto",
        text: item.from,
        "data-nick": item.from,
      });
  const clock = el("time", { datetime: item.at.toISOString(), title: moment(item.at), text: time(item.at) });
  const text = el("p", { class: "text", dir: "auto" }, ...withLinks(item.text));
  const node = el(
    "div",
    {
      class: `message ${follows ? "follows" : "head"} ${extra}`.trimEnd(),
      "data-from": item.from,
      "data-seq": item.seq,
    },
    clock,
    name,
    text,
  );
  if (item.isMine) node.dataset.mine = "";
  return node;
}

function unconfirmedRow(entry, item, follows) {
  const make = () => {
    const node = message(item, follows, entry.isDoubtful ? "doubtful" : "unconfirmed");
    if (!entry.isDoubtful) node.append(el("span", { class: "sr", text: t("sending") }));
    else {
      const again = linkButton(t("sendAgain"), () => sendAgain(entry));
      node.append(
        el(
          "p",
          { class: "doubt" },
          t("doubtful"),
          " ",
          again,
          " · ",
          linkButton(t("discard"), () => discard(entry)),
        ),
      );
    }
    return node;
  };
  return { key: `u${entry.key}`, mark: `${follows} ${entry.isDoubtful} ${item.from}`, make };
}

function gap(talk, item) {
  const count = number(item.to - item.from + 1);
  const load = linkButton(t(talk.isLoading ? "gapLoading" : "gapLoad"), () => loadGap(talk, item));
  load.toggleAttribute("disabled", talk.isLoading);
  return el(
    "div",
    { class: "note gap", "data-from-seq": item.from, "data-to-seq": item.to },
    t("gap", { count }),
    " ",
    load,
  );
}

const note = (text, ...more) =>
  el("div", { class: "note" }, el("span", { text, dir: "auto" }), ...more.flatMap((node) => [" ", node]));
const linkButton = (text, click) => el("button", { type: "button", class: "link", text, on: { click } });
const separator = (kind, text) => el("div", { class: `separator ${kind}`, role: "separator" }, el("span", { text }));
const invitation = (first, second = "") =>
  el(
    "div",
    { class: "invitation" },
    el("p", { text: first }),
    second ? el("p", { class: "muted", text: second }) : null,
  );

/** "jun, mina and 12 others came in · kim left". */
function presence({ came, went, renamed }) {
  const sentences = renamed.map((rename) => t("renamed", rename));
  if (came.length > 0) sentences.unshift(t("came", summedUp(came)));
  if (went.length > 0) sentences.push(t("went", summedUp(went)));
  return sentences.join(" · ");
}

function summedUp(names) {
  const more = names.length - NAMES_IN_PRESENCE;
  // One more name is no longer than "and 1 other".
  if (more <= 1) return { who: list(names) };
  return { who: names.slice(0, NAMES_IN_PRESENCE).join(", "), more, many: number(more) };
}

function sentence(item) {
  switch (item.kind) {
    case "created":
      return t("created", item);
    case "topic":
      return item.text ? t("topicSet", item) : t("topicCleared", item);
    case "capacity":
      return item.capacity ? t("capacitySet", { ...item, count: number(item.capacity) }) : t("capacityCleared", item);
    case "gone":
      return t("gapGone", { count: number(item.to - item.from + 1) });
    case "reset":
      return t("reset");
    default:
      return item.text;
  }
}

// --- Scrolling and reading ---

function scrolled() {
  const talk = openTalk();
  if (!talk) return;
  const below = log.scrollHeight - log.scrollTop - log.clientHeight;
  talk.isAtBottom = below < BOTTOM_PX && talk.timeline.atEnd;
  if (log.scrollTop < EDGE_PX) loadOlder(talk);
  if (below < EDGE_PX && !talk.timeline.atEnd) loadNewer(talk);
  showPill();
  seen();
}

/** Near the top without having scrolled there, as when a page is too short to scroll: the one before it is fetched at once. */
function fillWindow(talk) {
  if (talk.epoch && log.scrollTop < EDGE_PX / 2) loadOlder(talk);
}

function seen() {
  const talk = openTalk();
  if (talk) markRead(talk);
}

function showPill() {
  const talk = openTalk();
  const below = log.scrollHeight - log.scrollTop - log.clientHeight;
  const isFar = talk && (!talk.timeline.atEnd || below > 1.5 * log.clientHeight);
  const count = talk && !talk.isAtBottom ? talk.unread : 0;
  pill.hidden = !talk || talk.isAtBottom || (!isFar && count === 0);
  pill.classList.toggle("news", count > 0);
  byId("pill-text").textContent = count > 0 ? t("newMessages", { count: number(count) }) : t("toNow");
}

function clicked(event) {
  const name = event.target.closest("[data-nick]");
  if (name) openPersonMenu(name, name.dataset.nick);
}
