// Korean and English: which one, how it is switched, and dates and numbers in it. The words are in words.js.

import { byId } from "./dom.js";
import { local } from "./storage.js";
import { WORDS } from "./words.js";

/** @type {"ko"|"en"} */
let language = local.get("language") ?? (/^ko\b/.test(navigator.language) ? "ko" : "en");
const listeners = [];

/**
 * The words for `key`, filled in with `values`.
 * @param {string} key @param {Record<string, any>} [values]
 */
export function t(key, values = {}) {
  const words = WORDS[language][key];
  return typeof words === "function" ? words(values) : words;
}

/** Is there a wording for `key`? @param {string} key */
export const has = (key) => key in WORDS[language];

/** Calls `listener` now and whenever the language changes. @param {() => void} listener */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

export function startLanguage() {
  const button = byId("language");
  button.addEventListener("click", () => {
    language = language === "ko" ? "en" : "ko";
    local.set("language", language);
    formats.clear();
    for (const listener of listeners) listener();
  });
  onLanguage(() => {
    document.documentElement.lang = language;
    for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.getAttribute("data-t"));
    for (const node of document.querySelectorAll("[data-t-label]")) {
      const label = t(node.getAttribute("data-t-label"));
      node.setAttribute("aria-label", label);
      if (node instanceof HTMLButtonElement) node.title = label;
    }
    // The button is named in the language that it leads to, for who can't read the present one.
    const other = language === "ko" ? "en" : "ko";
    button.textContent = WORDS[other].languageName;
    button.lang = other;
  });
}

/** Formatters are dear to make and there is one for each message, so they are kept until the language changes. */
const formats = new Map();
function format(name, make) {
  if (!formats.has(name)) formats.set(name, make());
  return formats.get(name);
}

/** @param {number} n */
export const number = (n) => format("number", () => new Intl.NumberFormat(language)).format(n);

/** The time of day, as 10:04 in both languages, so that times stand under each other. @param {Date} date */
export const time = (date) =>
  format(
    "time",
    () => new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
  ).format(date);

/** @param {Date} date */
export const day = (date) => format("day", () => new Intl.DateTimeFormat(language, { dateStyle: "full" })).format(date);

/** @param {Date} date */
export const moment = (date) =>
  format("moment", () => new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "medium" })).format(date);

/** "jun, mina and kim"; in Korean "준, 민아, 김", since the conjunction that Intl has is for documents. @param {string[]} things */
export const list = (things) =>
  language === "ko"
    ? things.join(", ")
    : format("list", () => new Intl.ListFormat(language, { type: "conjunction" })).format(things);

/** Names in the order of the language. @param {string} a @param {string} b */
export const byName = (a, b) => format("collator", () => new Intl.Collator(language, { numeric: true })).compare(a, b);
