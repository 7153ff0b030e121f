// Pictures of the shipped dashboards, from a live Prometheus: `node render.mjs http://127.0.0.1:9090 OUT [SECONDS]`.
// Reads the JSON that Grafana reads, asks the same queries, draws with uPlot and @grafana/data; it is not Grafana.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const [server, out, seconds = '120'] = process.argv.slice(2);
const WIDTH = 1600;
const ROW = 34; // pixels for one unit of Grafana's grid
const HEAD = 64;

const end = Math.floor(Date.now() / 1000);
const start = end - Number(seconds);
const step = Math.max(1, Math.round(Number(seconds) / 240));

function plain(expr) {
  return expr.replaceAll('$__rate_interval', '15s').replaceAll('$__range', `${seconds}s`).replaceAll(/\$(job|instance|pipeline)\b/g, '.+');
}

function legend(format, labels) {
  return format.replaceAll(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? '');
}

// What is instant is asked for now alone: what was there before and is no more has no place in it.
async function ask(target) {
  const query = plain(target.expr);
  const [page, words] = target.instant ? ['query', { query, time: end }] : ['query_range', { query, start, end, step }];
  const answer = await (await fetch(`${server}/api/v1/${page}?${new URLSearchParams(words)}`)).json();
  if (answer.status !== 'success') throw new Error(`${target.expr}: ${JSON.stringify(answer)}`);
  return answer.data.result.map(({ metric, value, values = [value] }) => ({
    name: legend(target.legendFormat, metric),
    points: values.map(([time, number]) => [time, Number(number)]),
  }));
}

mkdirSync(out, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'tidemill-pictures-'));
const bundle = buildSync({
  entryPoints: [join(here, 'page.mjs')], bundle: true, write: false, format: 'iife', minify: true, logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"' },
}).outputFiles[0].text;
const style = readFileSync(join(here, 'node_modules/uplot/dist/uPlot.min.css'), 'utf8') + readFileSync(join(here, 'page.css'), 'utf8');
for (const name of ['flow', 'memory', 'why-not-closing']) {
  const dashboard = JSON.parse(readFileSync(join(here, '..', `${name}.json`), 'utf8'));
  const panels = await Promise.all(dashboard.panels.map(async (panel) =>
    panel.type === 'row' ? panel : { ...panel, series: (await Promise.all(panel.targets.map(ask))).flat() }));
  const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const height = HEAD + rows * ROW + 24;
  const data = JSON.stringify({ title: dashboard.title, width: WIDTH, row: ROW, head: HEAD, start, end, step, panels });
  const page = join(folder, `${name}.html`);
  writeFileSync(page, `<!doctype html><meta charset="utf-8"><style>${style}</style><body></body>
<script>window.data = ${data.replaceAll('<', '\\u003c')}</script><script>${bundle.replaceAll('</script', '<\\/script')}</script>`);
  execFileSync('chromium', ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
    `--user-data-dir=${join(folder, 'profile')}`, `--window-size=${WIDTH},${height}`, '--virtual-time-budget=4000',
    `--screenshot=${join(out, `dashboard-${name}.png`)}`, `file://${page}`], { stdio: 'ignore' });
  console.log(`dashboard-${name}.png: ${panels.length} panels`);
}
rmSync(folder, { recursive: true, force: true });
