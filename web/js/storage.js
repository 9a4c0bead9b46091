// What the browser remembers: for good (`local`), or as long as this tab lives, reloads included (`tab`).
// A browser that refuses to store (private windows, full disk) costs only the memory: nothing here throws.

const PREFIX = "madang.";

/** @param {() => Storage} area  asked for late, because the mere access may throw */
function shelf(area) {
  return {
    /** @param {string} key @param {any} [otherwise] */
    get(key, otherwise = null) {
      try {
        return JSON.parse(area().getItem(PREFIX + key)) ?? otherwise;
      } catch {
        return otherwise;
      }
    },
    /** @param {string} key @param {any} value  `null` forgets it */
    set(key, value) {
      try {
        if (value === null) area().removeItem(PREFIX + key);
        else area().setItem(PREFIX + key, JSON.stringify(value));
      } catch {
        // Nothing is lost that the page can't do without.
      }
    },
  };
}

export const local = shelf(() => localStorage);
export const tab = shelf(() => sessionStorage);
