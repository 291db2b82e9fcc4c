// Curves over time, one for each node in its colour. Drawn by uPlot (vendor/).
import { bytes, clock, colourOf, count, css, el, percent } from './format.js';

const kHeight = 150;
// Lines of the scale where bytes are: at powers of two.
const kByteSteps = Array.from({ length: 50 }, (_, i) => 2 ** i);
const kCharts = [
  { series: 'cpu', title: 'CPU', show: (v) => v.toFixed(2), unit: ' cores', total: sum, least: 1 },
  { series: 'heap', title: 'Heap', show: bytes, total: sum, least: 2 ** 20, steps: kByteSteps },
  { series: 'requests', title: 'Requests to other nodes', show: count, unit: '/s', total: sum, least: 10 },
  { series: 'traffic', title: 'Bytes to and from other nodes', show: bytes, unit: '/s', total: sum, least: 2 ** 13, steps: kByteSteps },
  { series: 'queue', title: 'Threads that wait for a worker', show: count, total: sum, least: 3 },
  { series: 'pauses', title: 'Stopped for collections', show: percent, total: largest, least: 0.08 },
];

function sum(values) {
  return values.reduce((all, one) => all + (one ?? 0), 0);
}
function largest(values) {
  return Math.max(0, ...values.map((one) => one ?? 0));
}

export class Charts {
  constructor(place, legend) {
    Object.assign(this, { place, legend });
    this.seconds = 300;
    this.nodes = [];  // ids, in the order of the curves
    this.charts = [];
    new ResizeObserver(() => this.resize()).observe(place);
    addEventListener('theme', () => this.charts.forEach(({ plot }) => plot.redraw(false, true)));
  }

  /** `frames`: [{ time, nodes: { id: [values] } }], oldest first; `series`: names of the values. */
  update(frames, series, events) {
    const shown = frames.slice(-1)[0] ? frames.filter((frame) => frame.time >= frames.at(-1).time - this.seconds * 1000) : [];
    const nodes = [...new Set(shown.flatMap((frame) => Object.keys(frame.nodes).map(Number)))].sort((a, b) => a - b);
    this.events = events.filter((event) => ['join', 'leaving', 'leave'].includes(event.kind));
    this.shown = shown;
    if (String(nodes) !== String(this.nodes) || this.charts.length === 0) this.rebuild(nodes);
    const times = shown.map((frame) => frame.time / 1000);
    for (const chart of this.charts) {
      const index = series.indexOf(chart.of.series);
      const curves = nodes.map((node) => shown.map((frame) => frame.nodes[node]?.[index] ?? null));
      chart.curves = curves;
      chart.plot.setData([times, ...curves]);
      if (!chart.hovered) this.read(chart, times.length - 1, false);
    }
  }

  rebuild(nodes) {
    this.nodes = nodes;
    this.legend.replaceChildren(...nodes.map((node) =>
      el('li', {}, el('i', { className: 'swatch', colour: colourOf(node) }), `node ${node}`)));
    for (const { plot } of this.charts) plot.destroy();
    this.place.replaceChildren();
    this.charts = kCharts.map((of) => this.newChart(of));
  }

  newChart(of) {
    const chart = { of, output: el('output'), curves: [], hovered: false };
    const body = el('div', { role: 'img', ariaLabel: `${of.title}, a curve for each node` });
    this.place.append(el('div', { className: 'chart' },
      el('header', {}, el('h3', { textContent: of.title }), chart.output), body));
    chart.body = body;
    const axis = { stroke: () => css('--quiet'), grid: { stroke: () => css('--line'), width: 1 }, ticks: { show: false },
      font: '11px system-ui, sans-serif' };
    chart.plot = new uPlot({
      width: body.clientWidth || 300, height: kHeight, legend: { show: false }, padding: [8, 28, 0, 0],
      cursor: { y: false, sync: { key: 'time', setSeries: false }, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { range: (u, low, high) => high === null ? [0, 20] : [Math.min(low, high - 20), high] }, y: { range: (u, low, high) => [0, Math.max(high * 1.1, of.least ?? 0) || 1] } },
      axes: [
        { ...axis, size: 24, space: 70, values: (u, splits) => splits.map((s) => clock(s * 1000)) },
        { ...axis, size: 62, space: 34, ...(of.steps ? { incrs: of.steps } : {}), values: (u, splits) => splits.map((v) => of.show(v)) },
      ],
      series: [{}, ...this.nodes.map((node) => ({
        stroke: () => css(`--n${node % 8}`), width: 1.75, points: { show: false }, spanGaps: false,
      }))],
      hooks: {
        setCursor: [(u) => {
          chart.hovered = u.cursor.idx !== null && u.cursor.left >= 0;
          this.read(chart, chart.hovered ? u.cursor.idx : (u.data[0]?.length ?? 0) - 1, chart.hovered);
        }],
        drawClear: [(u) => this.markEvents(u)],
      },
    }, [[], ...this.nodes.map(() => [])], body);
    return chart;
  }

  /** What the curves say at one time, in the chart's head. */
  read(chart, index, perNode) {
    const { of, curves, output } = chart;
    const values = curves.map((curve) => curve[index]);
    if (index < 0 || values.length === 0) return output.replaceChildren();
    const all = `${of.show(of.total(values))}${of.unit ?? ''}`;
    if (!perNode) return output.replaceChildren(all);
    const parts = values.flatMap((value, i) => value === null || value === undefined ? [] :
      [el('i', { colour: colourOf(this.nodes[i]) }), of.show(value)]);
    output.replaceChildren(clock(this.shown[index].time), ...(parts.length <= 8 ? parts : [` ${all}`]));
  }

  /** A line where a node came or went. */
  markEvents(u) {
    const [low, high] = [u.scales.x.min, u.scales.x.max];
    u.ctx.save();
    u.ctx.strokeStyle = css('--quiet');
    u.ctx.globalAlpha = 0.55;
    u.ctx.setLineDash([4, 4]);
    for (const event of this.events ?? []) {
      const second = event.time / 1000;
      if (second < low || second > high) continue;
      const x = Math.round(u.valToPos(second, 'x', true));
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
    }
    u.ctx.restore();
  }

  resize() {
    for (const { plot, body } of this.charts)
      if (body.clientWidth > 0 && body.clientWidth !== plot.width) plot.setSize({ width: body.clientWidth, height: kHeight });
  }
}
