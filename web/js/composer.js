// The message box: growing, sending, commands with their help, drafts for each talk, and what fails coming back with the
// reason under it.

import { speak } from "./announce.js";
import { isCommand, matching, Problem, run, usage } from "./commands.js";
import { byId, el } from "./dom.js";
import { number, onLanguage, t } from "./i18n.js";
import { goToEnd } from "./log-view.js";
import { say } from "./outbox.js";
import { explain } from "./refusals.js";
import { changed, openTalk, state, watch } from "./store.js";

const TEXT_BYTES_MAX = 4096;
/** From so many bytes before the limit on, what is left is shown. */
const WARN_BYTES = 400;
const LINES_MAX = 6;

const box = byId("composer");
const options = byId("suggestions");
const encoder = new TextEncoder();
let shown = "";
/** Up to here the box holds what has come back; the next line that fails stands after it. */
let returnedEnd = 0;
let chosen = -1;

export function startComposer() {
  watch(["open", "talks"], showTalk);
  onLanguage(showTalk);
  box.addEventListener("keydown", pressed);
  box.addEventListener("input", () => {
    returnedEnd = 0;
    edited();
  });
  box.addEventListener("blur", hideSuggestions);
  byId("send").addEventListener("click", () => {
    send();
    box.focus();
  });
  // A press on the button must not take the focus, or a phone would close its keyboard.
  byId("send").addEventListener("pointerdown", (event) => event.preventDefault());
  options.addEventListener("pointerdown", (event) => event.preventDefault());
  addEventListener("resize", grow);
}

export const focusComposer = () => box.focus();

/** Calls somebody by name in the message. @param {string} nick */
export function insertMention(nick) {
  const before = box.value.slice(0, box.selectionStart);
  const gap = before === "" || /\s$/.test(before) ? "" : " ";
  box.focus();
  box.setRangeText(`${gap}@${nick} `, box.selectionStart, box.selectionEnd, "end");
  edited();
}

/** What the server refused is in the box again, and the reason stands under it. */
export function giveBack(talk, text, refusal) {
  const reason = explain(refusal, { room: talk.name, name: talk.name });
  if (talk.key !== shown) {
    talk.draft = talk.draft ? `${text}\n${talk.draft}` : text;
    talk.reason = reason;
    return;
  }
  const [returned, typed] = [box.value.slice(0, returnedEnd), box.value.slice(returnedEnd)];
  const start = returned + text;
  returnedEnd = start.length + 1;
  box.value = typed || returnedEnd < box.value.length ? `${start}\n${typed}` : start;
  returnedEnd = Math.min(returnedEnd, box.value.length);
  grow();
  fail(reason);
}

// --- What is shown ---

function showTalk() {
  const talk = openTalk();
  if (state.open !== shown) {
    const before = state.talks.get(shown);
    if (before) before.draft = box.value;
    shown = state.open;
    returnedEnd = 0;
    box.value = talk?.draft ?? "";
    edited();
    if (talk?.reason) fail(talk.reason);
    if (talk) talk.reason = "";
  }
  const key = talk ? (talk.kind === "room" ? "composer" : "composerDirect") : "composerNowhere";
  const label = t(key, { name: talk?.name ?? "" });
  box.placeholder = label;
  box.setAttribute("aria-label", label);
  box.disabled = !talk;
  byId("send").disabled = !talk || box.value.trim() === "";
}

function edited() {
  grow();
  byId("send").disabled = box.disabled || box.value.trim() === "";
  showReason("", false);
  const texts = linesOf(box.value);
  const longest = Math.max(0, ...texts.map(bytes));
  if (isCommand(box.value)) hint("");
  else if (longest > TEXT_BYTES_MAX) fail(t("tooLong", { count: number(longest - TEXT_BYTES_MAX) }), false);
  else if (longest > TEXT_BYTES_MAX - WARN_BYTES) hint(t("left", { count: number(TEXT_BYTES_MAX - longest) }));
  else if (texts.length > 1) hint(t("lines", { count: number(texts.length) }));
  suggest();
}

function grow() {
  box.style.height = "auto";
  const style = getComputedStyle(box);
  const frame = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
  const most = LINES_MAX * parseFloat(style.lineHeight) + frame;
  box.style.height = `${Math.min(box.scrollHeight, most)}px`;
  box.style.overflowY = box.scrollHeight > most ? "auto" : "hidden";
}

const hint = (text) => showReason(text, false);

/** Says under the box what went wrong. @param {string} text */
export function fail(text, isSpoken = true) {
  showReason(text, true);
  if (isSpoken) speak(text);
}

function showReason(text, isWrong) {
  byId("reason").textContent = text;
  byId("reason").classList.toggle("wrong", isWrong);
  box.setAttribute("aria-invalid", String(isWrong));
}

// --- Keys ---

function pressed(event) {
  // Enter also ends the composition of a Hangul syllable, and must not send then. Safari ends the composition before
  // this event, so `isComposing` alone is not enough there; the key code still tells.
  const isComposing = event.isComposing || event.keyCode === 229;
  if (isComposing) {
    if (event.key === "Enter" && !event.shiftKey) event.preventDefault();
    return;
  }
  if (!options.hidden && choose(event)) return;
  if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    send();
  }
}

async function send() {
  const text = box.value;
  const talk = openTalk();
  if (!talk || text.trim() === "") return;
  if (isCommand(text)) {
    await command(text);
    return;
  }
  const texts = linesOf(text.startsWith("//") ? text.slice(1) : text);
  if (texts.some((line) => bytes(line) > TEXT_BYTES_MAX)) return;
  empty();
  talk.fresh = null;
  for (const line of texts) say(talk, line);
  await goToEnd();
}

async function command(text) {
  empty();
  const from = state.open;
  try {
    await run(text);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    // Whoever has gone on typing keeps what they have typed.
    if (state.open === from && box.value === "") {
      box.value = text;
      grow();
      byId("send").disabled = false;
    }
    fail(problem.message);
  }
}

function empty() {
  box.value = "";
  returnedEnd = 0;
  edited();
  changed("log");
}

/** A message is one line, so each line is a message of its own. NFC, because some systems type Hangul decomposed. */
const linesOf = (text) =>
  text
    .normalize("NFC")
    .split(/\r\n|[\n\r\u2028\u2029]/)
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== "");

const bytes = (text) => encoder.encode(text).length;

// --- Commands offered while typing ---

function suggest() {
  const offered = /^\/[a-z]*$/i.test(box.value) ? matching(box.value) : [];
  options.replaceChildren(...offered.map((each, at) => option(each, at)));
  options.hidden = offered.length === 0;
  mark(offered.length > 0 ? 0 : -1);
}

function option(each, at) {
  const click = () => take(each);
  const parts = [
    el("span", { class: "usage", text: usage(each) }),
    el("span", { class: "muted", text: t(`cmd_${each.name}`) }),
  ];
  return el("li", { role: "option", id: `suggestion-${at}`, "data-name": each.name, on: { click } }, ...parts);
}

function mark(at) {
  chosen = at;
  [...options.children].forEach((node, index) => node.setAttribute("aria-selected", String(index === at)));
  if (at >= 0) box.setAttribute("aria-activedescendant", `suggestion-${at}`);
  else box.removeAttribute("aria-activedescendant");
}

/** The keys that work in the list. Says whether this was one. */
function choose(event) {
  const count = options.children.length;
  if (event.key === "ArrowDown") mark((chosen + 1) % count);
  else if (event.key === "ArrowUp") mark((chosen + count - 1) % count);
  else if (event.key === "Escape") hideSuggestions();
  else if (event.key === "Tab" || event.key === "Enter") {
    const each = matching(box.value)[chosen];
    // A command that is written out and needs nothing more is carried out at once.
    if (event.key === "Enter" && box.value === `/${each.name}` && (each.args[0]?.endsWith("?") ?? true)) return false;
    take(each);
  } else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}

function take(each) {
  box.value = `/${each.name} `;
  box.focus();
  edited();
}

function hideSuggestions() {
  options.hidden = true;
  mark(-1);
}
