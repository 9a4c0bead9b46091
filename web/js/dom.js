// Small helpers to make and find elements. Text only ever goes in as text: nothing here takes markup.

/** The element with this id, which index.html has. @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. `class` and `text` are what they say, `on` is a map of listeners, the rest are attributes;
 * an attribute that is `false`, `null` or `undefined` is left out, and `true` is an empty one.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|null)} children
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the symbols of index.html. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Makes `parent` show exactly `wanted`, in that order. Nodes that are there already are not touched, so they keep focus,
 * selection and scroll position.
 * @param {Element} parent @param {Node[]} wanted
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.childNodes]) if (!keep.has(child)) child.remove();
  let next = parent.firstChild;
  for (const node of wanted) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}
