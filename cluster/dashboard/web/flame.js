// The flame graph: which functions CPU time goes to, on all nodes together. The nodes sample only while it is switched on.
import { el, percent } from './format.js';

const kAskMillis = 1000;
const kRow = 21;      // pixels
const kColours = 6;   // --f0 ...

export class FlameGraph {
  constructor(button, note, place) {
    Object.assign(this, { button, note, place });
    this.on = false;
    this.path = [];  // names, from the root to what is shown at full width
    button.addEventListener('click', () => this.toggle());
    new ResizeObserver(() => this.tree && this.draw()).observe(place);
  }

  toggle() {
    this.on = !this.on;
    this.button.setAttribute('aria-pressed', this.on);
    this.button.textContent = this.on ? 'Stop' : 'Profile';
    if (this.on) this.ask();
    else fetch('/api/flame?stop=1').catch(() => { /* it ends by itself */ });
  }

  async ask() {
    if (!this.on) return;
    try {
      const answer = await fetch('/api/flame', { cache: 'no-store', signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(await answer.text());
      this.tree = await answer.json();
      this.draw();
    } catch (error) {
      this.note.textContent = `no profile: ${error.message}`;
    }
    setTimeout(() => this.ask(), kAskMillis);
  }

  draw() {
    let root = this.tree;
    const path = [];
    for (const name of this.path) {
      const next = root.calls.find((call) => call.name === name);
      if (!next) break;
      path.push(name);
      root = next;
    }
    this.path = path;
    this.note.textContent = `${(this.tree.nanos / 1e9).toFixed(1)} s of CPU time so far`;
    const width = this.place.clientWidth;
    const focus = this.place.contains(document.activeElement) ? document.activeElement.dataset.path : null;
    const boxes = [];
    let depth = 0;
    // What leads to the function that is shown, at full width each: a click goes back to it.
    let call = this.tree;
    for (let i = 0; i < path.length; ++i, ++depth) {
      boxes.push(this.box(call, 0, width, depth, path.slice(0, i)));
      call = call.calls.find((one) => one.name === path[i]);
    }
    const place = (one, x, row, at) => {
      const wide = (one.nanos / Math.max(1, root.nanos)) * width;
      if (wide < 1.5) return;
      boxes.push(this.box(one, x, wide, row, at));
      let from = x;
      for (const callee of one.calls) {
        place(callee, from, row + 1, [...at, callee.name]);
        from += (callee.nanos / Math.max(1, root.nanos)) * width;
      }
    };
    place(root, 0, depth, path);
    this.place.replaceChildren(...boxes);
    const rows = 1 + Math.max(...boxes.map((box) => Number(box.dataset.row)));
    this.place.style.height = `${rows * kRow}px`;
    if (focus !== null) boxes.find((box) => box.dataset.path === focus)?.focus();
  }

  box(call, x, width, row, path) {
    const share = call.nanos / Math.max(1, this.tree.nanos);
    const words = `${call.name}: ${percent(share)}, ${(call.nanos / 1e9).toFixed(2)} s`;
    const box = el('button', { type: 'button', className: 'call', title: words, ariaLabel: words,
      textContent: width > 34 ? call.name : '', onclick: () => { this.path = path; this.draw(); } });
    box.dataset.row = row;
    box.dataset.path = path.join('\n');
    box.style.left = `${x}px`;
    box.style.top = `${row * kRow}px`;
    box.style.width = `${Math.max(1, width - 1)}px`;
    box.style.backgroundColor = `var(--f${row === 0 ? 0 : 1 + hash(call.name) % (kColours - 1)})`;
    return box;
  }
}

function hash(text) {
  let value = 7;
  for (const letter of text) value = (value * 31 + letter.codePointAt(0)) >>> 0;
  return value;
}
