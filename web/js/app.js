// The page of Madang: starts the parts and connects them, and shows what the address says.
//
// For developers. Plain ES modules, no build step, nothing from another host; the content security policy is
// `default-src 'self'`, so there is no inline script and no style attribute in markup.
//
//   connection.js   the WebSocket: requests, replies, events, reconnecting
//   session.js      hello, resuming, the nickname
//   rooms.js        enter, leave, read the past; turns events into state
//   outbox.js       what I said that isn't confirmed, and direct messages
//   timeline.js     one room's window of events (no DOM)
//   store.js        the state, and who is told of changes
//   *-view.js, composer.js, dialogs.js, person-menu.js, keys.js   what is seen; they read the state and call the above
//   i18n.js, words.js   both languages; refusals.js   the server's refusals in words
//
// Changes flow one way: an event or an action changes the state, `changed(...)` marks what is stale, and each view that
// watches it draws once in the next frame.
//
// A place is one of the things that the page shows beside each other. There is one so far, rooms; another adds a section
// to `#side`, a main part, and an entry to PLACES.

import { fail, focusComposer, giveBack, startComposer } from "./composer.js";
import { startConnectionView } from "./connection-view.js";
import { startDialogs } from "./dialogs.js";
import { byId } from "./dom.js";
import { startLanguage } from "./i18n.js";
import { startKeys } from "./keys.js";
import { startLog } from "./log-view.js";
import { resend, restoreDirect, startOutbox } from "./outbox.js";
import { startPeople } from "./people-view.js";
import { startPersonMenu } from "./person-menu.js";
import { startRooms } from "./rooms-view.js";
import { explain } from "./refusals.js";
import { enterAll, enterOpenly, hear, open, restoreRooms } from "./rooms.js";
import { goTo, parse, parseTalk } from "./route.js";
import { startSession } from "./session.js";
import { ensurePerson, room, state, watch } from "./store.js";
import { local } from "./storage.js";
import { startTheme } from "./theme.js";

/** Where a newcomer lands, like one who comes by telnet. */
const LANDING = "plaza";
const isPhone = matchMedia("(max-width: 639px)");
/** A pointer that is a finger: focus would open the keyboard over the conversation. */
const isTouch = matchMedia("(pointer: coarse)").matches;

/** Each place shows what the rest of the address says. @type {Record<string, (rest: string) => void>} */
const PLACES = { rooms: showRooms };

function showAddress() {
  const { place, rest } = parse(location.hash);
  const known = Object.hasOwn(PLACES, place) ? place : "rooms";
  document.body.dataset.place = known;
  PLACES[known](rest);
}

function showRooms(rest) {
  const route = parseTalk(rest);
  document.body.dataset.view = route.view === "list" ? "list" : "talk";
  // The list has a page of its own only on a phone; elsewhere it stands beside the talk.
  const isBeside = !isPhone.matches && state.open === "" && state.talks.size > 0;
  if (route.view === "none" || (route.view === "list" && isBeside)) {
    goTo({ kind: "room", name: room(local.get("last") ?? "")?.name ?? LANDING }, true);
  } else if (route.view === "talk") {
    open(route.kind === "person" ? ensurePerson(route.name) : (room(route.name) ?? enterOpenly(route.name)));
    // In the next frame, when the box is there and belongs to the talk.
    if (!isTouch) requestAnimationFrame(focusComposer);
  } else if (!state.talks.has(state.open)) {
    open(null);
  }
}

function showMe() {
  byId("me-name").textContent = state.me.nick;
  byId("me").hidden = state.me.nick === "";
}

startLanguage();
startTheme();
restoreRooms();
restoreDirect();
startOutbox(giveBack);

startConnectionView();
startRooms();
startLog();
startComposer();
startPeople();
startPersonMenu();
startDialogs();
startKeys();
watch(["me"], showMe);

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  focusComposer();
});
addEventListener("hashchange", showAddress);
showAddress();

startSession({
  event(event) {
    // A refusal of something that this page asked for comes with the reply; this is one of the connection as a whole.
    if (event.ev === "error") fail(explain(event));
    else hear(event);
  },
  online(isSameSession) {
    enterAll();
    resend(isSameSession);
  },
});
