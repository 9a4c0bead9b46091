// Names as the page compares, colours and recognises them.

export const NAME_COLOURS = 12;

/** Names are the same without regard to case, width and composition, as on the server. @param {string} name */
export const fold = (name) => name.normalize("NFKC").toLowerCase();

/** Which of the twelve colours (app.css) somebody has: always the same for the same name. @param {string} name */
export function colour(name) {
  let hash = 2166136261;
  for (const character of fold(name)) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
  return (hash >>> 0) % NAME_COLOURS;
}

/** A name that the server gives to newcomers, and only it can. @param {string} nick */
export const isGuest = (nick) => /^guest\d+$/i.test(nick);

/** Does the text call somebody by `@nick`? @param {string} text @param {string} nick */
export function mentions(text, nick) {
  const [inText, name] = [fold(text), `@${fold(nick)}`];
  for (let at = inText.indexOf(name); at >= 0; at = inText.indexOf(name, at + 1)) {
    // In Korean a particle follows without a space ("@mina는"), so a Hangul syllable may end the name.
    if (!/^[\p{Script=Latin}\p{N}_-]/u.test(inText.slice(at + name.length))) return true;
  }
  return false;
}
