// What a screen reader hears of the conversation: one polite live region, at most one sentence each few seconds. A busy
// room is summed up, or nobody could do anything else than listen.

import { byId } from "./dom.js";
import { number, t } from "./i18n.js";
import { isSeen, state } from "./store.js";

const PAUSE_MS = 3_000;

/** @type {{talk: import("./store.js").Talk, from: string, text: string}[]} */
let waiting = [];
let timer = 0;

/** A message for me to hear: of the open talk, or to me alone. */
export function announce(talk, { from, text }) {
  if (talk.kind === "room" && talk.key !== state.open) return;
  if (document.hidden && !isSeen(talk)) return;
  waiting.push({ talk, from, text });
  if (!timer) timer = setTimeout(speakWaiting, waiting.length > 1 ? PAUSE_MS : 300);
}

/** Something about the page itself, such as an error. @param {string} sentence */
export function speak(sentence) {
  // The same sentence twice would not be heard twice: the region has to change.
  byId("announcer").textContent = "";
  setTimeout(() => {
    byId("announcer").textContent = sentence;
  }, 50);
}

function speakWaiting() {
  const [first] = waiting;
  if (!first) {
    timer = 0;
    return;
  }
  if (waiting.length > 1) speak(t("announceMany", { count: number(waiting.length), name: first.talk.name }));
  else speak(t(first.talk.kind === "person" ? "announceDirect" : "said", first));
  waiting = [];
  timer = setTimeout(speakWaiting, PAUSE_MS);
}
