// Keys that work everywhere on the page. Those of one part (lists, menus, the message box) are handled there.

import { focusComposer } from "./composer.js";
import { openHelp, openJoin } from "./dialogs.js";
import { byId } from "./dom.js";
import { closePeople } from "./people-view.js";
import { goTo } from "./route.js";
import { state } from "./store.js";

/** Where `/` was pressed, and Esc leads back to. @type {HTMLElement|null} */
let cameFrom = null;

export function startKeys() {
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  const isTyping = event.target.matches("input, textarea");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "Escape") escape();
  else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp"))
    step(event.key === "ArrowDown" ? 1 : -1);
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") openJoin();
  else if (event.key === "/" && isPlain && !isTyping) write();
  else if (event.key === "?" && isPlain && !isTyping) openHelp();
  else return;
  event.preventDefault();
}

function write() {
  const { activeElement } = document;
  cameFrom = activeElement === document.body ? null : /** @type {HTMLElement} */ (activeElement);
  focusComposer();
}

/** Out of the message box to where one was, from everywhere else into it. */
function escape() {
  if (closePeople()) return;
  if (document.activeElement !== byId("composer")) {
    focusComposer();
    return;
  }
  const back = cameFrom?.isConnected ? cameFrom : byId("log");
  cameFrom = null;
  back.focus();
}

function step(by) {
  const keys = [...state.talks.keys()];
  const next = keys[keys.indexOf(state.open) + by];
  if (next !== undefined) goTo(state.talks.get(next));
}
