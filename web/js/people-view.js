// Who is here: the column beside the conversation, on narrow screens a panel over it.

import { arrange, byId, el } from "./dom.js";
import { byName, number, onLanguage, t } from "./i18n.js";
import { colour, fold } from "./names.js";
import { openPersonMenu } from "./person-menu.js";
import { changed, openTalk, state, watch } from "./store.js";

const isWide = matchMedia("(min-width: 900px)");
/** @type {Map<string, HTMLElement>} */
const entries = new Map();

export function startPeople() {
  watch(["open", "people", "me"], show);
  onLanguage(() => changed("people"));
  byId("people-toggle").addEventListener("click", () =>
    setOpen(!document.body.classList.contains("people-open"), true),
  );
  byId("people-close").addEventListener("click", () => setOpen(false, true));
  byId("members").addEventListener("keydown", moved);
  byId("members").addEventListener("click", ({ target }) => {
    const name = target.closest("button");
    if (name) openPersonMenu(name, name.dataset.nick);
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Element && !target.closest("#people, #people-toggle, #menu")) closePeople();
  });
  isWide.addEventListener("change", () => setOpen(isWide.matches, false));
  setOpen(isWide.matches, false);
}

/** Closes the panel where it lies over the conversation. Says whether there was one. */
export function closePeople() {
  if (isWide.matches || !document.body.classList.contains("people-open")) return false;
  setOpen(false, true);
  return true;
}

function setOpen(isOpen, movesFocus) {
  document.body.classList.toggle("people-open", isOpen);
  byId("people-toggle").setAttribute("aria-expanded", String(isOpen));
  if (!movesFocus || isWide.matches) return;
  if (isOpen) byId("people-close").focus();
  else byId("people-toggle").focus();
}

function show() {
  const talk = openTalk();
  const isRoom = talk?.kind === "room" && talk.phase === "in";
  document.body.classList.toggle("no-people", !isRoom);
  const names = isRoom && talk.members ? [...talk.members].sort(byName) : [];
  const ul = byId("members");
  const wanted = names.map((name) => {
    if (!entries.has(name)) entries.set(name, entry(name));
    return marked(entries.get(name), name);
  });
  for (const name of entries.keys()) if (!names.includes(name)) entries.delete(name);
  arrange(ul, wanted);
  const buttons = [...ul.querySelectorAll("button")];
  const stop = buttons.find((button) => button === document.activeElement) ?? buttons[0];
  for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
  byId("members-note").textContent = isRoom && !talk.members ? t("tooManyToList", { count: number(talk.count) }) : "";
}

function entry(name) {
  const button = el("button", { type: "button", "data-nick": name, "aria-haspopup": "menu" });
  button.append(el("span", { class: "name", dir: "auto", text: name }), el("span", { class: "you" }));
  return el("li", {}, button);
}

function marked(li, name) {
  const [label, you] = li.firstElementChild.children;
  const isMine = fold(name) === fold(state.me.nick);
  label.className = `name ${isMine ? "mine" : `c${colour(name)}`}`;
  you.textContent = isMine ? t("you") : "";
  return li;
}

function moved(event) {
  const buttons = [...byId("members").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined || !buttons[to]) return;
  event.preventDefault();
  for (const button of buttons) button.tabIndex = button === buttons[to] ? 0 : -1;
  buttons[to].focus();
}
