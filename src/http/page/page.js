"use strict";
// Draws v1/status. Knows no more than what it says; changes only what has changed.

const EVERY_MS = 1500;
const ROWS = 50; // on one page: 500 partitions stay light
const at = (id) => document.getElementById(id);

// ---- texts -------------------------------------------------------------------------------------------------------

const count = (n) => n == null ? "–" : Math.round(n).toLocaleString("en");
const rate = (n) => n < 10 && n % 1 ? n.toFixed(1) : count(n);
const bytes = (n) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
};
const span = (ms) => {
  if (ms == null) return "–";
  if (ms < 0) return "−" + span(-ms);
  const s = Math.floor(ms / 1000);
  if (s < 1) return "0 s";
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  const minutes = Math.floor(s / 60) % 60;
  if (s < 172800) return `${Math.floor(s / 3600)} h` + (minutes ? ` ${minutes} min` : "");
  if (s < 86400 * 730) return `${Math.floor(s / 86400)} days`;
  return `${Math.floor(s / 86400 / 365.25)} years`;
};
const time = (ms) => {
  if (ms == null) return "–";
  const date = new Date(ms);
  return isNaN(date) ? `${ms} ms` : date.toISOString().slice(0, 19).replace("T", " ");
};
const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

// ---- small tools -------------------------------------------------------------------------------------------------

const text = (node, value) => { if (node.textContent !== value) node.textContent = value; };
const kind = (node, value) => { if (node.className !== value) node.className = value; };
const make = (tag, name, value) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (value != null) node.textContent = value;
  return node;
};
// As many children as there are items, each filled in by `fill`.
const list = (parent, items, tag, fill) => {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, index) => {
    if (!parent.children[index]) parent.append(make(tag));
    fill(parent.children[index], item, index);
  });
};
const shape = (svg, tag, name, attributes) => {
  const found = svg.querySelector("." + name) || svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
  found.setAttribute("class", name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
};

function chart(svg, at_s, values, limit, says) {
  const top = Math.max(1, limit || 0, ...values) * 1.05;
  const [from, to] = [at_s[0] ?? 0, at_s[at_s.length - 1] ?? 1];
  const x = (s) => ((s - from) / Math.max(1, to - from) * 100).toFixed(2);
  const y = (value) => (100 - value / top * 100).toFixed(2);
  const points = values.map((value, index) => `${x(at_s[index])} ${y(value)}`).join(" L");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  shape(svg, "path", "area", { d: points ? `M0 100 L${points} L100 100 Z` : "" });
  shape(svg, "path", "path", { d: points ? `M${points}` : "" });
  shape(svg, "path", "limit", { d: limit ? `M0 ${y(limit)} L100 ${y(limit)}` : "" });
  svg.setAttribute("aria-label", says);
}

// ---- the parts ---------------------------------------------------------------------------------------------------

const STATES = ["held", "paused", "restoring", "live"];
const TONES = { held: "bad", paused: "warn", restoring: "", live: "good", running: "good", waiting: "warn",
  starting: "", draining: "warn", stopped: "", stuck: "bad", ERROR: "bad", WARN: "warn" };
const badge = (node, word) => { text(node, word); kind(node, `badge ${TONES[word] ?? ""}`.trim()); };

function head(view) {
  text(at("name"), view.name);
  document.title = `${view.not_ready.length ? "● " : ""}${view.name} · tidemill`;
  text(at("about"), `${view.instance} · group ${view.group} · tidemill ${view.version} · up ${span(view.up_s * 1000)}`);
  const ready = at("ready");
  text(ready, view.not_ready.length ? "not ready" : "ready");
  kind(ready, `badge ${view.lanes.some((lane) => lane.stuck) ? "bad" : view.not_ready.length ? "warn" : "good"}`);
  const shown = view.not_ready.slice(0, 5);
  if (view.not_ready.length > 5) shown.push(`and ${view.not_ready.length - 5} more reasons: see readyz`);
  at("reasons").hidden = !shown.length;
  list(at("reasons"), shown, "li", text);
}

function cards(view) {
  const { history, totals, memory } = view;
  const last = (values) => values[values.length - 1] ?? 0;
  const minutes = span((last(history.at_s) - (history.at_s[0] ?? 0)) * 1000);
  const most = (values) => Math.max(0, ...values);
  const draw = (id, values, now, limit) =>
    chart(at("chart-" + id), history.at_s, values, limit, `${now} now; over the last ${minutes}`);

  text(at("read"), rate(last(history.read_per_s)));
  draw("read", history.read_per_s, `${rate(last(history.read_per_s))} records a second`);
  text(at("read-more"), `at most ${rate(most(history.read_per_s))} in ${minutes} · ${count(totals.read)} in all, of them `
    + `${count(totals.late)} late, ${count(totals.dead)} dead letters`);

  text(at("results"), rate(last(history.results_per_s)));
  draw("results", history.results_per_s, `${rate(last(history.results_per_s))} results a second`);
  text(at("results-more"), `at most ${rate(most(history.results_per_s))} in ${minutes} · ${count(totals.results)} in all · `
    + `${plural(totals.committed, "commit", "commits")}, ${count(totals.failed)} failed`);

  const known = view.partitions.filter((it) => it.lag != null);
  const lag = known.reduce((sum, it) => sum + it.lag, 0);
  text(at("lag"), known.length || !view.partitions.length ? count(lag) : "–");
  draw("lag", history.lag, `${count(lag)} records`);
  const reading = last(history.read_per_s);
  text(at("lag-more"), lag && reading ? `${span(lag / reading * 1000)} at this speed` : `at most ${count(most(history.lag))} in ${minutes}`);

  text(at("memory"), memory.resident_bytes == null ? "–" : bytes(memory.resident_bytes));
  text(at("budget"), memory.budget_bytes == null ? "resident" : `of ${bytes(memory.budget_bytes)}`);
  draw("memory", history.resident_bytes, bytes(memory.resident_bytes ?? 0), memory.budget_bytes);
  text(at("memory-more"), memory.pool_bytes == null ? "the budget is not measured out yet"
    : `pool: ${bytes(memory.lent_bytes)} in use, ${bytes(memory.parked_bytes)} parked, of ${bytes(memory.pool_bytes)}`);
  kind(at("ladder"), `ladder step${memory.step}`);
  const steps = memory.pool_bytes == null ? [] : ["normal", "shared views", "reserve", "back-pressure"];
  list(at("ladder"), steps, "li", (node, name, index) => {
    text(node, name);
    kind(node, index <= memory.step ? "on" : "");
    if (index === memory.step) node.setAttribute("aria-current", "step"); else node.removeAttribute("aria-current");
  });
}

function windows(view) {
  const { size_ms, every_ms, grace_ms, idle, idle_after_ms } = view.window;
  const kindOf = every_ms === size_ms ? span(size_ms) : `${span(size_ms)} every ${span(every_ms)}`;
  const oldest_ms = Math.min(...view.partitions.map((it) => it.oldest_end_ms ?? Infinity));
  text(at("windows-more"), `${kindOf}, grace ${span(grace_ms)}, `
    + (idle === "off" ? "silence closes nothing" : `silence: ${idle} after ${span(idle_after_ms)}`)
    + (oldest_ms < Infinity ? `; the oldest until ${time(oldest_ms)}` : ""));
  const ages = [
    ["not ended yet", (it) => it.open_windows - it.ended_windows],
    ["ended, in their grace", (it) => it.ended_windows - it.overdue_windows],
    ["past their grace by the wall clock", (it) => it.overdue_windows],
    ["closed, waiting for their commit", (it) => it.closed_windows],
  ];
  // Each with all its keys, and counted in each partition.
  list(at("ages"), ages, "div", (node, [name, windowsOf]) => {
    const found = view.partitions.filter(windowsOf);
    if (!node.children.length) {
      node.setAttribute("role", "listitem");
      node.append(make("b"), make("span"), make("div", "quiet"));
    }
    kind(node, found.length ? "on" : "");
    text(node.children[0], plural(found.reduce((sum, it) => sum + windowsOf(it), 0), "window", "windows"));
    text(node.children[1], name);
    text(node.children[2], found.length ? `in ${plural(found.length, "partition", "partitions")}` : "");
  });
}

function lanes(view) {
  list(at("lanes"), view.lanes, "li", (node, lane) => {
    if (!node.children.length) node.append(make("span", "badge"), make("b"), make("div", "quiet"));
    badge(node.children[0], lane.stuck ? "stuck" : lane.phase);
    text(node.children[1], `lane ${lane.lane}`);
    const step = lane.silent_ms < 1000 ? "" : ` · last step ${span(lane.silent_ms)} ago`;
    text(node.children[2], (lane.why ?? plural(lane.partitions, "partition", "partitions")) + step);
  });
}

// ---- partitions --------------------------------------------------------------------------------------------------

const COLUMNS = [
  { head: "partition", name: "name", say: (it) => `${it.topic}[${it.partition}]`, by: (a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition },
  { head: "lane", name: "number", say: (it) => String(it.lane), key: (it) => it.lane },
  { head: "state", name: "state", badge: true, say: (it) => it.state, key: (it) => STATES.indexOf(it.state) },
  { head: "watermark", name: "time", say: (it) => time(it.watermark_ms), key: (it) => it.watermark_ms ?? -Infinity },
  { head: "behind", name: "number", say: (it) => span(it.behind_ms), key: (it) => it.behind_ms ?? -Infinity },
  { head: "lag", name: "number", say: (it) => count(it.lag), key: (it) => it.lag ?? -1 },
  { head: "open", name: "number", say: (it) => count(it.open_windows), key: (it) => it.open_windows },
  { head: "oldest until", name: "time", say: (it) => time(it.oldest_end_ms), key: (it) => it.oldest_end_ms ?? Infinity },
  { head: "the next close waits for", name: "says", say: (it) => it.sentence, by: (a, b) => a.waits_for.localeCompare(b.waits_for) },
];
const TROUBLE = (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || COLUMNS[0].by(a, b);
const order = { column: null, down: false, page: 0 };
let shown = null; // the newest view

function heads() {
  for (const [index, column] of COLUMNS.entries()) {
    const cell = make("th", column.name === "number" ? "number" : "");
    cell.scope = "col";
    cell.setAttribute("role", "columnheader");
    const button = make("button", "", column.head);
    button.type = "button";
    button.addEventListener("click", () => {
      if (order.column !== index) Object.assign(order, { column: index, down: false });
      else if (!order.down) order.down = true;
      else Object.assign(order, { column: null, down: false });
      order.page = 0;
      partitions(shown);
    });
    cell.append(button);
    at("heads").append(cell);
  }
}

function sorted(found) {
  if (order.column == null) return found.sort(TROUBLE);
  const { by, key } = COLUMNS[order.column];
  const compare = by ?? ((a, b) => (key(a) > key(b)) - (key(a) < key(b)) || COLUMNS[0].by(a, b));
  return found.sort(order.down ? (a, b) => compare(b, a) : compare);
}

function partitions(view) {
  if (!view) return;
  const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const says = (it) => `${it.topic}[${it.partition}] ${it.state} lane ${it.lane} ${it.waits_for} ${it.sentence}`.toLowerCase();
  const found = view.partitions.filter((it) => !words.length || words.every((word) => says(it).includes(word)));
  const pages = Math.max(1, Math.ceil(found.length / ROWS));
  order.page = Math.min(order.page, pages - 1);
  const rows = sorted(found).slice(order.page * ROWS, (order.page + 1) * ROWS);

  const states = STATES.map((state) => [state, view.partitions.filter((it) => it.state === state).length]);
  const summary = states.filter(([, number]) => number).map(([state, number]) => `${count(number)} ${state}`).join(" · ");
  text(at("partitions-more"), words.length ? `${found.length} of ${view.partitions.length}` : summary || "none is ours now");
  [...at("heads").children].forEach((cell, index) => {
    if (order.column === index) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  list(at("rows"), rows, "tr", row);
  at("pages").hidden = pages === 1;
  text(at("page-of"), `page ${order.page + 1} of ${pages}`);
  at("before").disabled = order.page === 0;
  at("after").disabled = order.page === pages - 1;
}

function row(node, it) {
  if (!node.children.length) {
    node.setAttribute("role", "row");
    for (const column of COLUMNS) {
      const cell = make("td", column.name);
      cell.setAttribute("role", "cell");
      cell.dataset.label = column.head;
      if (column.badge) cell.append(make("span", "badge"));
      node.append(cell);
    }
  }
  COLUMNS.forEach((column, index) => {
    const cell = node.children[index];
    if (column.badge) badge(cell.firstElementChild, column.say(it));
    else text(cell, column.say(it));
  });
}

function log(view) {
  const lines = view.log.length ? [...view.log].reverse() : [{ text: "none since the start" }];
  list(at("log"), lines, "li", (node, line) => {
    if (!node.children.length) node.append(make("span", "quiet"), make("span", "badge"), make("span"));
    text(node.children[0], line.at_ms ? time(line.at_ms) : "");
    badge(node.children[1], line.level ?? "");
    node.children[1].hidden = !line.level;
    text(node.children[2], line.text);
  });
}

// ---- the loop ----------------------------------------------------------------------------------------------------

let answered = performance.now();

async function look() {
  try {
    const answer = await fetch("v1/status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`v1/status answers ${answer.status}`);
    shown = await answer.json();
    for (const part of [head, cards, windows, lanes, partitions, log]) part(shown);
    answered = performance.now();
    at("stale").hidden = true;
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
  } catch (error) {
    text(at("stale"), `No answer for ${span(performance.now() - answered)}: what stands here is old. (${error.message})`);
    at("stale").hidden = false;
  }
  // Not more often than it is seen: a tab in the background rests.
  setTimeout(() => document.hidden ? document.addEventListener("visibilitychange", look, { once: true }) : look(), EVERY_MS);
}

heads();
at("find").addEventListener("input", () => { order.page = 0; partitions(shown); });
at("before").addEventListener("click", () => { order.page--; partitions(shown); });
at("after").addEventListener("click", () => { order.page++; partitions(shown); });
look();
