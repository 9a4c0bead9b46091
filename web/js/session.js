// Who I am to the server: hello, the secret that makes a reconnect the same session, and my nickname.
//
// A tab holds its session while it lives, reloads included. When it is closed it parks the session, and the next tab that
// opens takes it over: so closing and opening the browser keeps one's name, and two tabs are two people.

import { Connection } from "./connection.js";
import { isGuest } from "./names.js";
import { changed, setNick, state } from "./store.js";
import { local, tab } from "./storage.js";

const url = new URL("ws", document.baseURI);
url.protocol = url.protocol === "https:" ? "wss:" : "ws:";

/** @type {{online: (isSameSession: boolean) => void, event: (event: any) => void}} */
let on;

export const connection = new Connection(url, {
  opened: hello,
  event: (event) => on.event(event),
  phase(phase, retryAt, why) {
    state.link = { phase, retryAt, why };
    changed("link");
  },
});

export const isOnline = () => state.link.phase === "online";

/** Connects, and goes on connecting. @param {typeof on} listeners */
export function startSession(listeners) {
  on = listeners;
  const parked = local.get("parked");
  const mine = tab.get("resume") ?? parked;
  tab.set("resume", mine);
  // Until the server has confirmed it: who I was is who I most likely am.
  setNick(tab.get("nick") ?? local.get("nick") ?? "");
  if (parked === mine) local.set("parked", null);
  addEventListener("pagehide", () => local.set("parked", tab.get("resume")));
  addEventListener("pageshow", ({ persisted }) => {
    // A page out of the browser's back-forward cache: its session is in use again.
    if (persisted && local.get("parked") === tab.get("resume")) local.set("parked", null);
  });
  connection.now();
}

async function hello() {
  const resume = tab.get("resume") ?? undefined;
  const wanted = tab.get("nick") ?? local.get("nick") ?? undefined;
  let welcome;
  state.me.wanted = "";
  try {
    welcome = await connection.request("hello", { nick: wanted, resume });
  } catch {
    // Somebody else has that name by now. Better to be here under another one than not at all.
    welcome = await connection.request("hello", { resume }).catch(() => null);
    state.me.wanted = wanted ?? "";
  }
  if (!welcome) return;
  tab.set("resume", welcome.resume);
  setNick(welcome.nick);
  state.link = { phase: "online", retryAt: 0, why: "" };
  changed("link");
  connection.settled();
  on.online(welcome.resumed);
}

/** Changes my nickname. Rejects with the server's refusal. @param {string} nick */
export async function rename(nick) {
  const reply = await connection.request("nick", { nick: nick.normalize("NFC") });
  state.me.wanted = "";
  setNick(reply.nick);
  if (isGuest(reply.nick)) return;
  tab.set("nick", reply.nick);
  local.set("nick", reply.nick);
}
