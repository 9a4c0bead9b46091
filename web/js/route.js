// The address: `#plaza` is a room, `#@mina` a person, `#/` the list. Links can be sent to others, and the browser's back
// button goes back, on a phone also to the list.
//
// A place other than rooms would be named before a colon (`#place:rest`), which no room's name can have; app.js asks the
// place for what `rest` is.

/** @typedef {{view: "list"} | {view: "talk", kind: "room"|"person", name: string} | {view: "none"}} Talking */

/** @param {string} hash @returns {{place: string, rest: string}} */
export function parse(hash) {
  let rest;
  try {
    rest = decodeURIComponent(hash.replace(/^#/, "")).normalize("NFC");
  } catch {
    rest = "";
  }
  const named = /^([a-z]+):(.*)$/su.exec(rest);
  return named ? { place: named[1], rest: named[2] } : { place: "rooms", rest };
}

/** What an address of the place "rooms" shows. @param {string} rest @returns {Talking} */
export function parseTalk(rest) {
  if (rest === "") return { view: "none" };
  if (rest === "/") return { view: "list" };
  return rest.startsWith("@")
    ? { view: "talk", kind: "person", name: rest.slice(1) }
    : { view: "talk", kind: "room", name: rest };
}

/** @param {{kind: string, name: string}} talk */
export const addressOf = (talk) => `#${talk.kind === "person" ? "@" : ""}${talk.name}`;

/**
 * Shows a talk, or the list, by going to its address. `replace` leaves no step to go back to.
 * @param {{kind: string, name: string}|null} talk @param {boolean} [replace]
 */
export function goTo(talk, replace = false) {
  const address = talk ? addressOf(talk) : "#/";
  if (replace) {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = address;
  }
}
