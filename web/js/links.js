// Makes addresses in what people say clickable. Only http and https, and only as the address it is shown as:
// what is said can't hide where a link leads, nor run anything.

const ADDRESS = /https?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,;:!?'"。、…·~)\]}>]+$/u;

/** @param {string} text @returns {(string|HTMLAnchorElement)[]} */
export function withLinks(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = trimmed(found[0]);
    if (!isSafe(address)) continue;
    parts.push(text.slice(end, found.index), link(address));
    end = found.index + address.length;
  }
  parts.push(text.slice(end));
  return parts.filter((part) => part !== "");
}

/** Without the punctuation that belongs to the sentence; a bracket stays if it was opened in the address. */
function trimmed(address) {
  const cut = address.replace(TRAILING, "");
  const rest = address.slice(cut.length);
  const opened = (cut.match(/\(/g) ?? []).length - (cut.match(/\)/g) ?? []).length;
  return rest.startsWith(")") && opened > 0 ? `${cut})` : cut;
}

function isSafe(address) {
  try {
    const url = new URL(address);
    // Nobody sends a password this way on purpose, but "https://your-bank.example@elsewhere" misleads.
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" && url.username === "";
  } catch {
    return false;
  }
}

function link(address) {
  const a = document.createElement("a");
  a.href = address;
  a.target = "_blank";
  a.rel = "noopener noreferrer nofollow";
  a.textContent = address;
  return a;
}
