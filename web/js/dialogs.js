// The three sheets: join a room, change one's name, help. Native dialogs, so focus, Esc and the way back are the browser's.

import { COMMANDS, usage } from "./commands.js";
import { arrange, byId, el } from "./dom.js";
import { byName, number, t } from "./i18n.js";
import { fold, isGuest } from "./names.js";
import { explain } from "./refusals.js";
import { goTo } from "./route.js";
import { enter, list } from "./rooms.js";
import { rename } from "./session.js";
import { state } from "./store.js";
import { speak } from "./announce.js";

/** Keys and what they do, for the help. */
const KEYS = [
  ["/", "key_write"],
  ["Esc", "key_escape"],
  ["Enter", "key_enter"],
  ["Shift + Enter", "key_break"],
  ["↑ ↓", "key_arrows"],
  ["Alt + ↑ ↓", "key_rooms"],
  ["Ctrl + K", "key_join"],
  ["?", "key_help"],
];

export function startDialogs() {
  byId("join-open").addEventListener("click", openJoin);
  byId("me").addEventListener("click", openNickDialog);
  byId("help-open").addEventListener("click", openHelp);
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
  onSubmit("join", () => joinTyped(byId("join-name").value));
  onSubmit("nick", changeNick);
  byId("join-name").addEventListener("input", showRooms);
  byId("join-dialog").addEventListener("keydown", moved);
}

/** Enter in the field and the button do the same; never the form by itself, which would cut Hangul being composed. */
function onSubmit(which, act) {
  byId(`${which}-go`).addEventListener("click", act);
  byId(`${which}-name`).addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (!event.isComposing && event.keyCode !== 229) act();
  });
}

function showHint(which, text, isWrong) {
  const reason = byId(`${which}-reason`);
  reason.textContent = text;
  reason.classList.toggle("wrong", isWrong);
  byId(`${which}-name`).setAttribute("aria-invalid", String(isWrong));
  if (isWrong) speak(text);
}

function refused(which, refusal, about) {
  const isEmpty = refusal.code === "bad_name" && !about.name;
  showHint(which, isEmpty ? t("error_bad_name_empty") : explain(refusal, about), true);
  byId(`${which}-name`).select();
}

// --- Joining ---

/** @type {{room: string, count: number, capacity: number}[]} */
let onServer = [];

export function openJoin() {
  byId("join-name").value = "";
  showHint("join", t("roomNameHint"), false);
  byId("join-dialog").showModal();
  showRooms();
  list().then(
    (rooms) => {
      onServer = rooms.filter((row) => row.kind === "chat").sort((a, b) => b.count - a.count || byName(a.room, b.room));
      showRooms();
    },
    () => {},
  );
}

/** The open rooms whose names begin with what is typed; those I am in lead there as well. */
function showRooms() {
  const typed = fold(byId("join-name").value.trim());
  const rows = onServer.filter((row) => fold(row.room).includes(typed));
  arrange(
    byId("join-list"),
    rows.map((row) => el("li", {}, roomButton(row))),
  );
}

function roomButton({ room, count, capacity }) {
  const isFull = capacity > 0 && count >= capacity && !state.talks.has(fold(room));
  const people = el("span", {
    class: "muted count",
    text: t("roomPeople", { count: number(count) }) + (isFull ? ` · ${t("roomFull")}` : ""),
  });
  return el(
    "button",
    { type: "button", "data-room": room, on: { click: () => joinTyped(room) } },
    el("span", { class: "label", dir: "auto", text: room }),
    people,
  );
}

async function joinTyped(typed) {
  const name = typed.trim().replace(/^#/, "");
  try {
    goTo(await enter(name));
    byId("join-dialog").close();
  } catch (refusal) {
    refused("join", refusal, { room: name, name });
  }
}

function moved(event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const stops = [byId("join-name"), ...byId("join-list").querySelectorAll("button")];
  const to = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
  if (!to) return;
  event.preventDefault();
  to.focus();
}

// --- One's own name ---

export function openNickDialog() {
  byId("nick-name").value = isGuest(state.me.nick) ? "" : state.me.nick;
  showHint("nick", t("nickHint"), false);
  byId("nick-dialog").showModal();
  byId("nick-name").select();
}

async function changeNick() {
  const name = byId("nick-name").value.trim();
  try {
    await rename(name);
    byId("nick-dialog").close();
    speak(t("nickChanged", { nick: state.me.nick }));
  } catch (refusal) {
    refused("nick", refusal, { name, isNick: true });
  }
}

// --- Help ---

export function openHelp() {
  const rows = (pairs) =>
    el("dl", {}, ...pairs.flatMap(([term, text]) => [el("dt", {}, el("kbd", { text: term })), el("dd", { text })]));
  byId("help-body").replaceChildren(
    el("p", { class: "muted", text: t("helpAbout") }),
    el("h3", { text: t("helpKeys") }),
    rows(KEYS.map(([key, words]) => [key, t(words)])),
    el("h3", { text: t("helpCommands") }),
    rows(COMMANDS.map((command) => [usage(command), t(`cmd_${command.name}`)])),
  );
  byId("help-dialog").showModal();
}
