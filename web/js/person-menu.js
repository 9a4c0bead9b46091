// The small menu of a person's name: write to them alone, mention them, and for oneself, another name.

import { insertMention } from "./composer.js";
import { openNickDialog } from "./dialogs.js";
import { byId, el } from "./dom.js";
import { t } from "./i18n.js";
import { fold } from "./names.js";
import { closePeople } from "./people-view.js";
import { goTo } from "./route.js";
import { ensurePerson, openTalk, state } from "./store.js";

const MARGIN_PX = 8;
const menu = byId("menu");
/** Where focus returns to. @type {HTMLElement|null} */
let opener = null;

export function startPersonMenu() {
  menu.addEventListener("keydown", moved);
  document.addEventListener("pointerdown", (event) => {
    if (!menu.hidden && !menu.contains(event.target)) close(false);
  });
  addEventListener("resize", () => close(false));
  byId("log").addEventListener("scroll", () => close(false), { passive: true });
}

/** @param {HTMLElement} anchor @param {string} nick */
export function openPersonMenu(anchor, nick) {
  opener = anchor;
  menu.replaceChildren(
    ...entries(nick).map(([label, act]) =>
      el("button", { type: "button", role: "menuitem", text: label, on: { click: () => run(act) } }),
    ),
  );
  menu.setAttribute("aria-label", t("menuOf", { name: nick }));
  menu.hidden = false;
  place(anchor.getBoundingClientRect());
  menu.firstElementChild?.focus();
}

function entries(nick) {
  if (fold(nick) === fold(state.me.nick)) return [[t("changeNick"), openNickDialog]];
  const direct = [t("message"), () => goTo(ensurePerson(nick))];
  const mention = [t("mention"), () => insertMention(nick)];
  return openTalk()?.kind === "room" ? [direct, mention] : [direct];
}

/** Below the name, or above it where there is no room, and always inside the page. */
function place({ left, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = bottom + 4;
  const y = below + height > innerHeight - MARGIN_PX ? top - height - 4 : below;
  const x = Math.min(left, innerWidth - width - MARGIN_PX);
  menu.style.transform = `translate(${Math.max(MARGIN_PX, x)}px, ${Math.max(MARGIN_PX, y)}px)`;
}

function run(act) {
  close(true);
  closePeople();
  act();
}

function close(returnsFocus) {
  if (menu.hidden) return;
  menu.hidden = true;
  if (returnsFocus) opener?.focus();
}

function moved(event) {
  const items = [...menu.children];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") close(true);
  else if (to !== undefined) items.at(to % items.length).focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
