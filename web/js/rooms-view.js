// The list of talks, the head of the open one, and the title of the page with what is unread.

import { arrange, byId, el } from "./dom.js";
import { number, onLanguage, t } from "./i18n.js";
import { colour } from "./names.js";
import { addressOf } from "./route.js";
import { leave } from "./rooms.js";
import { changed, openTalk, state, watch } from "./store.js";

const BADGE_MAX = 99;
/** @type {Map<string, HTMLElement>} */
const entries = new Map();

export function startRooms() {
  watch(["talks", "open"], () => {
    showList();
    showTitle();
  });
  watch(["talks", "open", "people", "me"], showHead);
  onLanguage(() => changed("talks"));
  byId("rooms").addEventListener("keydown", moved);
  byId("leave").addEventListener("click", () => {
    const talk = openTalk();
    if (talk) leave(talk);
  });
}

function showList() {
  const ul = byId("rooms");
  const wanted = [...state.talks.values()].map((talk) => {
    if (!entries.has(talk.key)) entries.set(talk.key, entry());
    return update(entries.get(talk.key), talk);
  });
  for (const key of entries.keys()) if (!state.talks.has(key)) entries.delete(key);
  arrange(ul, wanted);
  // One stop for Tab, the arrows do the rest.
  const links = [...ul.querySelectorAll("a")];
  const stop = links.find((link) => link.getAttribute("aria-current")) ?? links[0];
  for (const link of links) link.tabIndex = link === stop ? 0 : -1;
}

const entry = () =>
  el("li", {}, el("a", {}, el("span", { class: "label", dir: "auto" }), el("span", { class: "badge" })));

function update(li, talk) {
  const [link] = li.children;
  const [label, badge] = link.children;
  const isOpen = talk.key === state.open;
  link.href = addressOf(talk);
  link.dataset.talk = talk.key;
  link.dataset.kind = talk.kind;
  link.className = [talk.unread > 0 && !isOpen ? "unread" : "", talk.isCalled ? "called" : "", talk.phase]
    .join(" ")
    .trim();
  if (isOpen) link.setAttribute("aria-current", "page");
  else link.removeAttribute("aria-current");
  if (label.textContent !== talk.name) label.textContent = talk.name;
  label.classList.toggle("person", talk.kind === "person");
  showBadge(badge, isOpen ? 0 : talk.unread);
  return li;
}

function showBadge(badge, count) {
  badge.hidden = count === 0;
  badge.textContent = count > BADGE_MAX ? `${BADGE_MAX}+` : number(count);
  badge.setAttribute("aria-label", t("unread", { count: number(count) }));
  badge.setAttribute("role", "img");
}

function showHead() {
  const talk = openTalk();
  byId("talk").classList.toggle("nowhere", !talk);
  byId("room-name").textContent = talk?.name ?? "";
  byId("room-name").className = talk?.kind === "person" ? `person c${colour(talk.name)}` : "";
  const subtitle = talk?.kind === "person" ? t("direct") : (talk?.topic ?? "");
  byId("room-topic").textContent = subtitle;
  byId("room-topic").title = subtitle;
  byId("people-toggle").hidden = talk?.kind !== "room" || talk.phase !== "in";
  byId("leave").hidden = !talk;
  if (!talk) return;
  const count = number(talk.count);
  byId("room-count").textContent = t("hereCount", { count });
  byId("people-toggle").setAttribute("aria-label", t("hereLabel", { count }));
  const leaving = t(talk.kind === "room" ? "leave" : "leaveTalk", { name: talk.name });
  byId("leave").setAttribute("aria-label", leaving);
  byId("leave").title = leaving;
}

function showTitle() {
  const talk = openTalk();
  const all = [...state.talks.values()].reduce((sum, each) => sum + each.unread, 0);
  const elsewhere = all - (talk?.unread ?? 0);
  const name = talk ? `${talk.name} · Madang` : "Madang";
  document.title = all > 0 ? `(${all > BADGE_MAX ? `${BADGE_MAX}+` : all}) ${name}` : name;
  showBadge(byId("back-unread"), elsewhere);
}

function moved(event) {
  const links = [...byId("rooms").querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  links[to].focus();
}
