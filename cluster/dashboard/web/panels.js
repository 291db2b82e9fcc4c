// The numbers at the top, the matrix of requests, the events and the table of threads.
import { bytes, clock, colourOf, count, el, nameOf, percent, stateOf } from './format.js';

// ---------------------------------------------------------------- in short

export function showNumbers(place, state, frames) {
  const total = (of) => state.nodes.reduce((all, node) => all + of(node), 0);
  const running = state.threads.filter((thread) => thread.state === 'running').length;
  const minute = frames.filter((frame) => frame.time > (frames.at(-1)?.time ?? 0) - 60000);
  const moves = state.series.indexOf('moves');
  // Each move is counted where it left and where it arrived; frames are about a second apart.
  const moved = minute.reduce((all, frame, i) => {
    const seconds = i === 0 ? 1 : (frame.time - minute[i - 1].time) / 1000;
    return all + Object.values(frame.nodes).reduce((sum, node) => sum + node[moves], 0) * seconds / 2;
  }, 0);
  const limit = total((node) => node.heapLimitBytes);
  show(place, [
    ['Nodes', count(state.nodes.length), ''],
    ['Threads', count(state.threadCount), `${running} running`],
    ['CPU', total((node) => node.busy).toFixed(1), `of ${total((node) => node.workers)} workers`],
    ['Heap', bytes(total((node) => node.heapBytes)), limit ? `of ${bytes(limit)}` : ''],
    ['Remote requests', count(total((node) => node.requestsPerSecond)), '/s'],
    ['Moves', count(Math.round(moved)), 'in the last minute'],
  ]);
}

function show(place, numbers) {
  if (place.children.length !== numbers.length)
    place.replaceChildren(...numbers.map(([name]) =>
      el('dl', { className: 'number' }, el('dt', { textContent: name }), el('dd', {}, '', el('small')))));
  numbers.forEach(([, value, more], i) => {
    const dd = place.children[i].lastChild;
    dd.replaceChildren(value, ' ', el('small', { textContent: more }));
  });
  for (const one of place.children) one.style.margin = '0';
}

// ---------------------------------------------------------------- the matrix

export function showTraffic(place, state) {
  const nodes = state.nodes.map((node) => node.node);
  if (nodes.length < 2) return place.replaceChildren(el('p', { className: 'quiet', textContent: 'There is only one node.' }));
  const rates = new Map(state.traffic.map(([from, to, rate, volume]) => [`${from} ${to}`, { rate, volume }]));
  const most = Math.max(10, ...state.traffic.map(([, , rate]) => rate));
  const head = el('tr', {}, el('th', { textContent: 'from ↓ to →' }),
    ...nodes.map((node) => el('th', { scope: 'col', textContent: `node ${node}` })));
  const rows = nodes.map((from) => el('tr', {}, el('th', { scope: 'row' }, `node ${from}`), ...nodes.map((to) => {
    if (from === to) return el('td', { className: 'own', textContent: '–' });
    const { rate, volume } = rates.get(`${from} ${to}`) ?? { rate: 0, volume: 0 };
    const cell = el('td', { title: `node ${from} asks node ${to}: ${count(rate)} requests and ${bytes(volume)} a second` },
      count(rate), el('small', { textContent: bytes(volume) }));
    // By magnitude: ten requests are seen beside ten thousand.
    cell.style.setProperty('--heat', (rate <= 0 ? 0 : 0.08 + 0.42 * Math.log1p(rate) / Math.log1p(most)).toFixed(3));
    return cell;
  })));
  place.replaceChildren(el('table', { className: 'matrix' }, el('thead', {}, head), el('tbody', {}, ...rows)));
}

// ---------------------------------------------------------------- events

const kBadges = { join: 'joined', leaving: 'leaving', leave: 'left', move: 'move', balance: 'balancer', program: 'program' };

export function showEvents(place, events, kinds) {
  const chosen = events.filter((event) => kinds.length === 0 || kinds.includes(event.kind)).slice(-200).reverse();
  const key = `${kinds}|${chosen[0]?.number}|${chosen.length}`;
  if (place.dataset.key === key) return;  // what is being read stays where it is
  place.dataset.key = key;
  if (chosen.length === 0) return place.replaceChildren(el('li', { className: 'none', textContent: 'Nothing has happened yet.' }));
  place.replaceChildren(...chosen.map((event) => el('li', {},
    el('time', { dateTime: new Date(event.time).toISOString(), textContent: clock(event.time) }),
    el('span', { className: `badge ${event.kind}`, textContent: kBadges[event.kind] ?? event.kind }),
    el('span', { className: 'text', textContent: event.text }))));
}

// ---------------------------------------------------------------- threads

const kRowsMax = 40;
const kColumns = [
  { name: 'Thread', of: (t) => nameOf(t).toLowerCase(), className: 'name' },
  { name: 'Node', of: (t) => t.node },
  { name: 'State', of: stateOf },
  { name: 'CPU', of: (t) => t.cpuShare },
  { name: 'Remote/s', of: (t) => t.requestsPerSecond, className: 'right wide' },
  { name: 'Moves', of: (t) => t.moves, className: 'right wide' },
  { name: 'Pinned', of: (t) => Number(t.pinned), className: 'wide' },
];

export class ThreadTable {
  constructor(place, filter, counter, onChoose) {
    Object.assign(this, { place, filter, counter, onChoose });
    this.sort = { column: 1, up: true };
    this.rows = new Map();  // thread id -> row
    this.all = false;
    this.heads = kColumns.map((column, i) => el('th', { scope: 'col', className: column.className ?? '' },
      el('button', { type: 'button', textContent: column.name, onclick: () => this.sortBy(i) })));
    this.body = el('tbody');
    this.more = el('button', { type: 'button', className: 'more', hidden: true, onclick: () => { this.all = true; this.draw(); } });
    place.append(el('table', { className: 'threads' }, el('thead', {}, el('tr', {}, ...this.heads)), this.body), this.more);
    filter.addEventListener('input', () => this.draw());
    this.markSort();
  }

  sortBy(column) {
    const numbers = column >= 3;
    this.sort = { column, up: this.sort.column === column ? !this.sort.up : !numbers };
    this.markSort();
    this.draw();
  }

  markSort() {
    this.heads.forEach((head, i) => {
      if (i === this.sort.column) head.setAttribute('aria-sort', this.sort.up ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
  }

  update(state) {
    this.state = state;
    this.draw();
  }

  draw() {
    if (!this.state) return;
    const words = this.filter.value.trim().toLowerCase();
    const matches = (thread) =>
      `${nameOf(thread)} ${thread.id} node ${thread.node} ${stateOf(thread)}`.toLowerCase().includes(words);
    const { of } = kColumns[this.sort.column], sign = this.sort.up ? 1 : -1;
    const found = this.state.threads.filter(matches).sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      return (x < y ? -sign : x > y ? sign : 0) || a.id - b.id;
    });
    const shown = this.all ? found : found.slice(0, kRowsMax);
    const wanted = shown.map((thread) => this.row(thread));
    const ids = new Set(this.state.threads.map((thread) => thread.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
    // Only what is out of place is touched: rows keep the focus.
    wanted.forEach((row, i) => {
      if (this.body.children[i] !== row) this.body.insertBefore(row, this.body.children[i] ?? null);
    });
    while (this.body.children.length > wanted.length) this.body.lastChild.remove();
    const beyond = this.state.threadCount - this.state.threads.length;
    this.counter.textContent = `${found.length} of ${this.state.threadCount}${beyond > 0 ? ` (the first ${this.state.threads.length} are known here)` : ''}`;
    this.more.hidden = shown.length === found.length;
    this.more.textContent = `Show all ${found.length}`;
  }

  row(thread) {
    let row = this.rows.get(thread.id);
    if (!row) {
      row = el('tr', { onclick: () => this.onChoose(thread.id) }, ...kColumns.map((c) => el('td', { className: c.className ?? '' })));
      row.dataset.thread = thread.id;
      const [name, node, state, cpu] = row.children;
      name.append(el('span'), el('small', { textContent: thread.id }));
      node.append(el('span', { className: 'on' }, el('i', { className: 'swatch' }), el('span')));
      state.append(el('span', { className: 'on' }, el('i', { className: 'dot' }), el('span')));
      cpu.append(el('span', { className: 'share' }, el('span', { className: 'bar' }, el('span', { className: 'fill' })), el('span')));
      this.rows.set(thread.id, row);
    }
    const [name, node, state, cpu, requests, moves, pinned] = row.children;
    put(name.firstChild, nameOf(thread));
    node.firstChild.firstChild.style.setProperty('--colour', colourOf(thread.node));
    put(node.firstChild.lastChild, String(thread.node));
    state.firstChild.firstChild.className = `dot ${thread.state}`;
    put(state.firstChild.lastChild, stateOf(thread));
    cpu.querySelector('.fill').style.transform = `scaleX(${Math.min(1, thread.cpuShare).toFixed(3)})`;
    put(cpu.firstChild.lastChild, percent(thread.cpuShare));
    put(requests, count(thread.requestsPerSecond));
    put(moves, String(thread.moves));
    put(pinned, thread.pinned ? 'yes' : '');
    return row;
  }

  choose(id) {
    for (const [thread, row] of this.rows) row.classList.toggle('chosen', thread === id);
    this.rows.get(id)?.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  }
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
