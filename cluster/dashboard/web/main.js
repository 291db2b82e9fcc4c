// Asks the server twice a second for what is new, keeps the last quarter of an hour, and gives it to the panels.
import { Charts } from './charts.js';
import { FlameGraph } from './flame.js';
import { duration } from './format.js';
import { ThreadMap } from './map.js';
import { ThreadTable, showEvents, showNumbers, showTraffic } from './panels.js';

const kAskMillis = 500;
const kHiddenMillis = 5000;  // nobody looks
const kAgainMillis = 2000;   // after a failure
const kFramesMax = 900, kEventsMax = 500;

const $ = (id) => document.getElementById(id);
const past = { number: 0, frames: [], events: [] };
let latest = null, paused = false, kinds = [];

const map = new ThreadMap($('map'), $('mapSummary'), $('tip'), choose);
const charts = new Charts($('charts'), $('nodeLegend'));
const table = new ThreadTable($('threadTable'), $('filter'), $('threadsCount'), choose);

new FlameGraph($('profile'), $('flameNote'), $('flame'));

function choose(id) {
  map.choose(id);
  table.choose(id);
}

async function ask() {
  const answer = await fetch(`/api/state?since=${past.number}`, { cache: 'no-store', signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(answer.status === 401 ? 'a token is needed: open the address that jvmcluster has printed' : await answer.text());
  const state = await answer.json();
  if (state.number < past.number) {  // another server at the same address: begin again
    Object.assign(past, { number: 0, frames: [], events: [] });
    return ask();
  }
  past.number = state.number;
  past.frames = past.frames.concat(state.frames).slice(-kFramesMax);
  past.events = past.events.concat(state.events).slice(-kEventsMax);
  return state;
}

function show(state) {
  latest = state;
  const { program } = state;
  $('problem').hidden = !state.problem;
  $('problem').textContent = state.problem;
  if (!program) return;
  document.title = `${program.name} – jvmcluster`;
  $('program').textContent = program.name;
  $('about').textContent = `${program.id}, ${program.state}, for ${duration(state.sampled - program.startedUnixMillis)}`;
  showNumbers($('numbers'), state, past.frames);
  map.update(state);
  charts.update(past.frames, state.series, past.events);
  showTraffic($('traffic'), state);
  showEvents($('events'), past.events, kinds);
  table.update(state);
}

function say(kind, text) {
  $('status').dataset.kind = kind;
  if ($('statusText').textContent !== text) $('statusText').textContent = text;
}

let leaving = false;  // the browser drops what it asks for
window.addEventListener('beforeunload', () => { leaving = true; });

async function watch() {
  const begun = performance.now();
  let rest = document.hidden ? kHiddenMillis : kAskMillis;
  try {
    const state = await ask();
    leaving = false;
    if (!paused) show(state);
    if (state.problem) say('lost', state.program ? 'ended' : 'waiting');
    else say(paused ? 'paused' : 'live', paused ? 'paused' : 'live');
  } catch (error) {
    if (!leaving) {
      console.error(error);
      say('lost', 'no connection');
      $('problem').hidden = false;
      $('problem').textContent = `No news (${error.message}). What is shown is what was known last.`;
    }
    rest = kAgainMillis;
  }
  // A slow server or a slow machine is not asked more than it can do.
  setTimeout(watch, Math.max(rest, 3 * (performance.now() - begun)));
}

$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', paused);
  $('pause').textContent = paused ? 'Go on' : 'Pause';
});

function radio(group, pick) {
  group.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    for (const one of group.children) one.setAttribute('aria-pressed', one === button);
    pick(button.dataset);
    if (latest) show(latest);
  });
}
radio($('range'), ({ seconds }) => { charts.seconds = Number(seconds); });
radio($('kinds'), (data) => { kinds = data.kinds ? data.kinds.split(' ') : []; });

watch();
