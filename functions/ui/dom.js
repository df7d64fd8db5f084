// Elements without markup in strings: the policy of the pages that host this allows no other way.

/** An element with attributes, properties (`on…` are listeners) and children; null and false leave one out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Set text only where it changes, so that nothing is read out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the children of `parent` those of `items`, in order, keeping every element that is there already: focus and
 * selection survive. The second of two items with equal keys is another one, and keeps its own element.
 */
export function keyed(parent, items, keyOf, make, update = () => {}) {
  const wanted = new Map();
  for (const item of items) wanted.set(unusedOf(wanted, String(keyOf(item))), item);
  // What goes does so first: an element that has to be moved past it would lose its focus.
  const there = keptOf(parent, wanted);
  let previous = null;
  for (const [key, item] of wanted) {
    const child = there.get(key) ?? make(item);
    child.dataset.key = key;
    update(child, item);
    const next = previous ? previous.nextElementSibling : parent.firstElementChild;
    if (next !== child) parent.insertBefore(child, next);
    previous = child;
  }
}

/** This key, or numbered where it is in use. */
function unusedOf(used, key) {
  let free = key;
  for (let number = 2; used.has(free); number += 1) free = `${key} ${number}`;
  return free;
}

/** The children to keep, by their keys; every other one is removed. */
function keptOf(parent, wanted) {
  const kept = new Map();
  for (const child of [...parent.children]) {
    const { key } = child.dataset;
    if (wanted.has(key) && !kept.has(key)) kept.set(key, child);
    else child.remove();
  }
  return kept;
}

/**
 * Keeps late answers off the page: each call begins a question, and gives whether it is the newest one still. What an
 * older one is answered must write nothing. After `end()` none is: the part of the page that asked is gone.
 */
export function onlyNewest() {
  let begun = 0;
  let ended = false;
  const begin = () => {
    const mine = ++begun;
    return () => !ended && mine === begun;
  };
  begin.end = () => void (ended = true);
  return begin;
}

const ICONS = {
  alert: "M12 2 1 21h22L12 2zm-1 7h2v6h-2V9zm0 8h2v2h-2v-2z",
  end: "M12 9c-3.3 0-6.400.7-9 2.200v3.300l4 1.500.9-3c1.300-.4 2.700-.6 4.100-.6s2.800.2 4.100.6l.9 3 4-1.500v-3.300C18.400 9.700 15.300 9 12 9z",
  answer: "M6.600 10.800a15 15 0 0 0 6.600 6.600l2.200-2.200a1 1 0 0 1 1-.2c1.100.4 2.300.6 3.600.6a1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.500a1 1 0 0 1 1 1c0 1.300.2 2.500.6 3.600a1 1 0 0 1-.2 1l-2.300 2.200z",
  devices: "M12 14a3 3 0 0 0 3-3V5a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zm5-3a5 5 0 0 1-10 0H5a7 7 0 0 0 6 6.900V21h2v-3.100A7 7 0 0 0 19 11h-2z",
  ok: "M9 16.200 4.800 12l-1.400 1.400L9 19 21 7l-1.400-1.400z",
  sent: "M2 21 23 12 2 3v7l15 2-15 2z",
  info: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v2h-2V7zm0 4h2v6h-2v-6z",
};

/** A drawing beside a word, in the word's own colour: it stays where colours are forced. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
