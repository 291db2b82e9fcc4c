// The map: a box for each node, a dot for each thread. A thread keeps its element for life, so when its node changes the
// same dot travels to the other box.
import { bytes, colourOf, count, el, nameOf, percent, stateOf, svg } from './format.js';

const kGap = 12;         // between boxes
const kHead = 76;        // of a box, above its threads
const kRowWithName = 24;
const kNamesMax = 14;    // threads of a node up to which they are written out

export class ThreadMap {
  constructor(place, summary, tip, onChoose) {
    Object.assign(this, { place, summary, tip, onChoose });
    this.nodes = new Map();    // id -> { box, parts, slots: thread ids by slot }
    this.threads = new Map();  // id -> { group, node, slot, x, y, seen }
    this.chosen = null;
    this.trails = svg('g');
    this.marks = svg('g');
    this.drawing = svg('svg', { class: 'dots', 'aria-hidden': 'true' }, this.trails, this.marks);
    place.append(this.drawing);
    new ResizeObserver(() => this.state && this.update(this.state)).observe(place);
    place.addEventListener('keydown', (event) => this.onKey(event));
    place.addEventListener('blur', () => this.hideTip());
  }

  update(state) {
    this.state = state;
    this.placeThreads(state.threads);
    this.layOut(state.nodes);
    this.drawThreads(state.threads);
    this.summary.textContent = state.nodes.map((node) => {
      const here = state.threads.filter((thread) => thread.node === node.node);
      const running = here.filter((thread) => thread.state === 'running').length;
      return `Node ${node.node}: ${here.length} threads, ${running} running.`;
    }).join(' ');
  }

  /** A thread has the same slot of its node as long as it is there. */
  placeThreads(threads) {
    const here = new Set(threads.map((thread) => thread.id));
    for (const [id, known] of this.threads) {
      if (here.has(id)) continue;
      this.free(known, id);
      known.group.classList.add('gone');
      setTimeout(() => known.group.remove(), 500);
      this.threads.delete(id);
    }
    for (const thread of threads) {
      let known = this.threads.get(thread.id);
      if (known && known.node === thread.node) continue;
      if (known) this.free(known, thread.id);
      else this.threads.set(thread.id, known = this.newThread(thread.id));
      known.cameFrom = known.x === undefined ? null : { x: known.x, y: known.y };
      known.node = thread.node;
      const slots = this.slotsOf(thread.node);
      const empty = slots.indexOf(null);
      known.slot = empty < 0 ? slots.length : empty;
      slots[known.slot] = thread.id;
    }
  }

  slotsOf(node) {
    if (!this.nodes.has(node)) this.nodes.set(node, { slots: [] });
    return this.nodes.get(node).slots;
  }

  free(known, id) {
    const slots = this.slotsOf(known.node);
    if (slots[known.slot] === id) slots[known.slot] = null;
    while (slots.length && slots[slots.length - 1] === null) slots.pop();
  }

  newThread(id) {
    const group = svg('g', { class: 'thread placed-now' },
      svg('circle', { class: 'ring', r: 9 }), svg('circle', { class: 'mark', r: 5 }), svg('text', { x: 14 }),
      svg('circle', { class: 'hit', r: 12 }));
    group.addEventListener('pointerenter', () => this.showTip(id));
    group.addEventListener('pointerleave', () => this.hideTip());
    group.addEventListener('click', () => this.onChoose(id));
    this.marks.append(group);
    requestAnimationFrame(() => requestAnimationFrame(() => group.classList.remove('placed-now')));
    return { group };
  }

  layOut(nodes) {
    const width = this.place.clientWidth;
    const most = Math.max(1, ...nodes.map((node) => this.slotsOf(node.node).length));
    const withNames = most <= kNamesMax;
    let columns = Math.min(nodes.length, Math.max(1, Math.floor((width + kGap) / ((withNames ? 250 : 200) + kGap))));
    columns = Math.ceil(nodes.length / Math.ceil(nodes.length / Math.max(1, columns)));  // rows of the same length
    const boxWidth = (width - kGap * (columns - 1)) / Math.max(1, columns);
    const inner = boxWidth - 32;
    const across = withNames ? Math.max(1, Math.floor(inner / 128)) : 0;
    // Dots get smaller until they fit, within reason.
    let slot = withNames ? inner / across : 22;
    while (!withNames && slot > 10 && Math.ceil(most / Math.floor(inner / slot)) * slot > 150) slot -= 2;
    const perRow = withNames ? across : Math.floor(inner / slot);
    const rowHeight = withNames ? kRowWithName : slot;
    const boxHeight = kHead + Math.ceil(most / perRow) * rowHeight + 12;

    const rows = Math.ceil(nodes.length / Math.max(1, columns));
    this.place.style.height = `${Math.max(100, rows * (boxHeight + kGap) - kGap)}px`;
    const present = new Set();
    nodes.forEach((node, i) => {
      present.add(node.node);
      const x = (i % columns) * (boxWidth + kGap), y = Math.floor(i / columns) * (boxHeight + kGap);
      this.drawNode(node, x, y, boxWidth, boxHeight);
    });
    for (const [id, known] of this.nodes) {
      if (present.has(id)) continue;
      if (known.box) {
        known.box.classList.add('gone');
        setTimeout(() => known.box.remove(), 500);
      }
      this.nodes.delete(id);
    }
    for (const known of this.threads.values()) {
      const node = this.nodes.get(known.node);
      if (!node || node.x === undefined) continue;
      known.x = node.x + 24 + (known.slot % perRow) * slot;
      known.y = node.y + kHead + Math.floor(known.slot / perRow) * rowHeight + rowHeight / 2;
    }
    this.shape = { withNames, textRoom: slot - 22, radius: withNames ? 5 : Math.max(3, Math.min(6, slot / 2 - 3)) };
  }

  drawNode(node, x, y, width, height) {
    const known = this.nodes.get(node.node);
    if (!known.box) {
      const parts = known.parts = {
        title: el('h3', { textContent: `Node ${node.node}` }), state: el('span', { className: 'state' }),
        cpu: gauge('CPU'), heap: gauge('Heap'),
      };
      known.box = el('div', { className: 'node', colour: colourOf(node.node) },
        el('div', { className: 'nodeHead' }, parts.title, parts.state, parts.cpu.row, parts.heap.row));
      known.box.dataset.node = node.node;
      this.place.insertBefore(known.box, this.drawing);
    }
    Object.assign(known, { x, y });
    const { box, parts } = known;
    box.style.transform = `translate(${x}px, ${y}px)`;
    box.style.width = `${width}px`;
    box.style.height = `${height}px`;
    box.classList.toggle('leaving', node.state === 'leaving');
    const waiting = node.queued ? `, ${node.queued} queued` : '';
    parts.state.textContent =
      node.state === 'leaving' ? 'leaving' : `${count(node.threads)} thread${node.threads === 1 ? '' : 's'}${waiting}`;
    parts.cpu.set(node.busy / Math.max(1, node.workers), `${node.busy.toFixed(1)} of ${node.workers}`);
    parts.heap.set(node.heapLimitBytes ? node.heapBytes / node.heapLimitBytes : 0, bytes(node.heapBytes));
  }

  drawThreads(threads) {
    for (const thread of threads) {
      const known = this.threads.get(thread.id);
      known.thread = thread;
      if (known.x === undefined) continue;
      const { group } = known;
      group.style.transform = `translate(${known.x}px, ${known.y}px)`;
      group.dataset.state = thread.state;
      group.dataset.thread = thread.id;
      group.dataset.node = thread.node;
      group.classList.toggle('chosen', thread.id === this.chosen);
      const [ring, mark, text] = group.children;
      const { radius, withNames } = this.shape;
      mark.setAttribute('r', thread.state === 'ready' ? radius - 2 : radius);  // a dot in a ring
      ring.setAttribute('r', radius + (withNames ? 2 : 1));
      const words = this.shape.withNames ? fit(nameOf(thread), this.shape.textRoom) : '';
      if (text.textContent !== words) text.textContent = words;
      if (known.cameFrom) this.showMove(known);
    }
  }

  showMove(known) {
    const { cameFrom, x, y, group } = known;
    known.cameFrom = null;
    this.marks.append(group);  // above the others
    group.classList.add('moved');
    setTimeout(() => group.classList.remove('moved'), 3400);
    const bend = Math.min(60, Math.hypot(x - cameFrom.x, y - cameFrom.y) / 5);
    const path = `M${cameFrom.x} ${cameFrom.y} Q${(x + cameFrom.x) / 2} ${(y + cameFrom.y) / 2 - bend} ${x} ${y}`;
    const trail = svg('path', { class: 'trail', d: path });
    this.trails.append(trail);
    setTimeout(() => trail.remove(), 2700);
  }

  choose(id) {
    this.chosen = id;
    for (const [thread, known] of this.threads) known.group.classList.toggle('chosen', thread === id);
  }

  /** Arrow keys go from thread to thread; Enter shows the one in the table. */
  onKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const order = [...this.threads.entries()].sort(([, a], [, b]) => a.node - b.node || a.slot - b.slot).map(([id]) => id);
    if (event.key === 'Escape') this.hideTip();
    if (event.key === 'Enter' && this.chosen !== null) this.onChoose(this.chosen);
    if (!step || order.length === 0) return;
    event.preventDefault();
    const at = order.indexOf(this.chosen);
    this.choose(order[(at + step + order.length) % order.length]);
    this.showTip(this.chosen);
  }

  showTip(id) {
    const known = this.threads.get(id);
    if (!known || !known.thread) return;
    const { thread } = known;
    const rows = [['State', stateOf(thread)], ['Node', thread.node], ['CPU', percent(thread.cpuShare)], ['Moves', thread.moves],
      ['Remote requests', `${count(thread.requestsPerSecond)}/s`]];
    this.tip.replaceChildren(el('strong', { textContent: nameOf(thread) }), el('dl', {},
      ...rows.flatMap(([name, value]) => [el('dt', { textContent: name }), el('dd', { textContent: value })])));
    this.tip.hidden = false;
    const at = known.group.querySelector('.mark').getBoundingClientRect(), box = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.max(8, Math.min(innerWidth - box.width - 8, at.left + 16))}px`;
    this.tip.style.top = `${at.bottom + box.height + 10 > innerHeight ? at.top - box.height - 8 : at.bottom + 8}px`;
  }

  hideTip() {
    this.tip.hidden = true;
  }
}

function gauge(name) {
  const fill = el('span', { className: 'fill' }), value = el('output');
  fill.style.transform = 'scaleX(0)';
  return {
    row: el('div', { className: 'gauge' }, el('span', { textContent: name }), el('span', { className: 'bar' }, fill), value),
    set(share, text) {
      fill.style.transform = `scaleX(${Math.max(0, Math.min(1, share)).toFixed(3)})`;
      value.textContent = text;
    },
  };
}

/** As much of `text` as about fits. */
function fit(text, room) {
  const letters = Math.max(3, Math.floor(room / 6.6));
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}
