// The state of the connection: a small dot while all is well, and a thin bar with a countdown while it isn't.

import { byId } from "./dom.js";
import { number, onLanguage, t } from "./i18n.js";
import { connection } from "./session.js";
import { changed, state, watch } from "./store.js";
import { speak } from "./announce.js";

/** A connection that is back within this time was never missed, and nothing needs to blink. */
const PATIENCE_MS = 400;

let timer = 0;
let wasOnline = false;
let since = 0;

export function startConnectionView() {
  watch(["link"], changedPhase);
  onLanguage(() => changed("link"));
  byId("bar-now").addEventListener("click", () => connection.now());
}

function changedPhase() {
  const { phase } = state.link;
  if (phase === "online") since = 0;
  else since ||= Date.now();
  if (wasOnline && phase !== "online") setTimeout(() => state.link.phase !== "online" && speak(words()), PATIENCE_MS);
  if (!wasOnline && phase === "online") speak(t("online"));
  wasOnline = phase === "online";
  show();
}

function show() {
  clearTimeout(timer);
  const { phase } = state.link;
  const isLate = since > 0 && Date.now() - since >= PATIENCE_MS;
  const dot = byId("connection");
  dot.dataset.state = phase;
  dot.setAttribute("aria-label", words() || t("online"));
  dot.title = dot.getAttribute("aria-label");
  byId("bar").hidden = !isLate;
  byId("bar").dataset.state = phase;
  byId("bar-text").textContent = words();
  byId("bar-now").hidden = phase === "connecting";
  byId("bar-now").textContent = t(phase === "ended" ? "comeBack" : "now");
  if (phase === "waiting") timer = setTimeout(show, 250);
  else if (since > 0 && !isLate) timer = setTimeout(show, PATIENCE_MS);
}

function words() {
  const { phase, retryAt, why } = state.link;
  if (phase === "online") return "";
  if (phase === "connecting") return t("connecting");
  if (phase === "ended") return t(why === "replaced" ? "replaced" : "kicked");
  const seconds = number(Math.max(1, Math.ceil((retryAt - Date.now()) / 1000)));
  return t(why === "shutdown" ? "waitingRestart" : "waiting", { seconds });
}
