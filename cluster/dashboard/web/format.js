// Numbers and times for people, and elements without markup in strings: names come from programs, and are text.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'colour') element.style.setProperty('--colour', value);
    else if (name in element && name !== 'list') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(document.querySelector('svg').namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** The colour of a node, as CSS. */
export const colourOf = (node) => `var(--n${node % 8})`;
/** What a custom property of the page is now. */
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${short(value)} ${units[unit]}`;
}

/** At most three digits and a point; thousands as k, M. */
export function count(value) {
  if (value >= 1e6) return `${short(value / 1e6)} M`;
  if (value >= 1e4) return `${short(value / 1e3)} k`;
  return value >= 100 ? String(Math.round(value)) : short(value);
}

function short(value) {
  if (value >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return value >= 10 ? value.toFixed(1) : value >= 0.095 || value === 0 ? value.toFixed(1) : value.toFixed(2);
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export function clock(unixMillis) {
  return new Date(unixMillis).toLocaleTimeString('en-GB', { hour12: false });
}

export function duration(millis) {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

export const nameOf = (thread) => thread.name || `thread ${thread.id}`;
export function stateOf(thread) {
  return thread.state === 'parked' ? `waits: ${thread.wait || 'parked'}` : thread.state;
}
