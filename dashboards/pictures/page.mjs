// One dashboard, drawn from `window.data` (see render.mjs).
import { formattedValueToString, getValueFormat } from '@grafana/data';
import uPlot from 'uplot';

const PALETTE = ['#73bf69', '#f2cc0c', '#5794f2', '#ff780a', '#f2495c', '#b877d9', '#8ab8ff', '#fade2a', '#96d98d', '#ffb357', '#ff7383', '#ca95e5'];
const COLOURS = { green: '#73bf69', orange: '#ff9830', red: '#f2495c' };
const LEGEND_MAX = 12;
const { title, width, row, head, start, end, step, panels } = window.data;

const add = (parent, tag, name, text) => {
  const node = parent.appendChild(document.createElement(tag));
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};
const last = (series) => series.points.at(-1)?.[1];

add(document.body, 'h1', '', title);
add(document.body, 'div', 'note', 'drawn from the shipped JSON with uPlot, not by Grafana');
for (const panel of panels) {
  const { x, y, w, h } = panel.gridPos;
  const box = add(document.body, 'div', panel.type === 'row' ? 'row' : 'panel', panel.type === 'row' ? `▾ ${panel.title}` : undefined);
  const unit = (width - 16) / 24;
  Object.assign(box.style, { left: `${8 + x * unit}px`, top: `${head + y * row}px`, width: `${w * unit - 8}px`, height: `${h * row - 8}px` });
  if (panel.type !== 'row') draw(panel, box);
}

function draw(panel, box) {
  add(box, 'h2', '', panel.title);
  const { unit, thresholds, custom } = panel.fieldConfig.defaults;
  const show = (value) => value == null || Number.isNaN(value) ? '–' : formattedValueToString(getValueFormat(unit)(value));
  const colour = (value) => COLOURS[thresholds.steps.filter((it) => it.value === null || value >= it.value).at(-1).color];
  if (panel.series.length === 0) return add(box, 'div', 'none', 'No data');
  if (panel.type === 'stat') {
    const values = add(box, 'div', 'stat');
    for (const series of panel.series) {
      const value = add(values, 'div', '', show(last(series)));
      value.style.color = colour(last(series));
      if (panel.series.length > 1) add(value, 'small', '', series.name);
    }
    return;
  }
  const times = [];
  for (let time = start; time <= end; time += step) times.push(time);
  const all = [...panel.series].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const columns = all.map((series) => {
    const known = new Map(series.points);
    return times.map((time) => { const value = known.get(time); return value === undefined || !Number.isFinite(value) ? null : value; });
  });
  const stacked = custom.stacking?.mode === 'normal';
  const drawn = columns.map((column) => [...column]);
  if (stacked) for (let i = 1; i < drawn.length; i++) drawn[i] = drawn[i].map((value, at) => (value ?? 0) + (drawn[i - 1][at] ?? 0));
  const lines = Math.ceil(Math.min(all.length, LEGEND_MAX + 1) * (Math.max(...all.map((it) => it.name.length)) * 7 + 90) / box.clientWidth);
  const legendHeight = 15 * lines + 6;
  const axis = { stroke: '#8e8e99', grid: { stroke: '#2a2d33', width: 1 }, ticks: { show: false }, font: '11px DejaVu Sans' };
  const marks = thresholds.steps.filter((it) => it.value !== null);
  new uPlot({
    width: box.clientWidth - 16, height: box.clientHeight - 34 - legendHeight, legend: { show: false }, cursor: { show: false },
    tzDate: (at) => uPlot.tzDate(new Date(at * 1e3), 'UTC'),
    scales: { y: { range: (_, low, high) => {
      if (unit === 'dateTimeAsIso' || low < 0) return [low - (high - low || 1) * 0.1, high + (high - low || 1) * 0.1];
      return [0, (high || 1) * 1.1];
    } } },
    axes: [{ ...axis, values: '{HH}:{mm}:{ss}', space: 90 }, { ...axis, size: unit === 'dateTimeAsIso' ? 150 : 76, space: 28, values: (_, splits) => splits.map(show) }],
    series: [{}, ...drawn.map((_, index) => ({
      stroke: PALETTE[index % PALETTE.length], width: 1.3, points: { show: false }, spanGaps: false,
      fill: stacked || all.length === 1 ? `${PALETTE[index % PALETTE.length]}${stacked ? '55' : '1f'}` : undefined,
    }))],
    bands: stacked ? drawn.slice(1).map((_, index) => ({ series: [index + 2, index + 1] })) : undefined,
    hooks: { draw: [(plot) => {
      const { ctx } = plot;
      for (const mark of marks) {
        const y = plot.valToPos(mark.value, 'y', true);
        if (y < plot.bbox.top || y > plot.bbox.top + plot.bbox.height) continue;
        ctx.save();
        Object.assign(ctx, { strokeStyle: COLOURS[mark.color], lineWidth: 1 });
        ctx.setLineDash([6, 6]);
        ctx.beginPath();
        ctx.moveTo(plot.bbox.left, y);
        ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
        ctx.stroke();
        ctx.restore();
      }
    }] },
  }, [times, ...drawn], box);
  const legend = add(box, 'div', 'legend');
  all.slice(0, LEGEND_MAX).forEach((series, index) => {
    const item = add(legend, 'span');
    add(item, 'i').style.background = PALETTE[index % PALETTE.length];
    item.append(series.name || panel.title);
    add(item, 'b', '', ` ${show(last(series))}`);
  });
  if (all.length > LEGEND_MAX) add(legend, 'span', '', `and ${all.length - LEGEND_MAX} more`);
}
