// Dark and light: the system's choice unless somebody has made their own, which is stored.

import { byId } from "./dom.js";
import { t, onLanguage } from "./i18n.js";
import { local } from "./storage.js";

const THEMES = ["auto", "light", "dark"];
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

const current = () => local.get("theme", "auto");

export function startTheme() {
  byId("theme").addEventListener("click", () => {
    local.set("theme", THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length]);
    show();
  });
  prefersDark.addEventListener("change", show);
  onLanguage(show);
}

function show() {
  const theme = current();
  const root = document.documentElement;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  byId("theme").querySelector("use").setAttribute("href", `#i-${theme}`);
  const label = t("theme", { theme: t(`theme_${theme}`) });
  byId("theme").setAttribute("aria-label", label);
  byId("theme").title = label;
  // The phone's own frame takes the colour of the paper.
  const paper = getComputedStyle(document.body).backgroundColor;
  document.querySelector('meta[name="theme-color"]').setAttribute("content", paper);
}
