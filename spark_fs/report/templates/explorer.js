"use strict";
// Everything a user wrote reaches the page as text: by textContent or as an attribute, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const PAGE = 50;

function make(tag, attributes = {}, ...children) {
  const element = ["svg", "rect", "text", "polyline", "title", "line", "path"].includes(tag) && (attributes.svg || tag === "svg")
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (name !== "svg") element.setAttribute(name, value);
  for (const child of children) element.append(child);
  return element;
}

function shown(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US");
  return value !== 0 && (Math.abs(value) >= 1e7 || Math.abs(value) < 1e-4) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

const brief = value => typeof value === "string" ? value.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*/, "$1 $2").slice(0, 20) : shown(value);

const share = value => value === null || value === undefined ? "" : (100 * value).toFixed(value === 1 || value === 0 ? 0 : 1) + "%";

// -- histograms

// Bins of numbers come as their edges and counts, others written out.
function binsOf(feature) {
  const found = feature.histogram || [];
  if (Array.isArray(found)) return found;
  const {edges, counts, each_number: eachNumber} = found, values = feature.count - (feature.num_null_values || 0);
  return counts.map((count, at) => ({
    low: edges[at], high: edges[at + 1], count, ratio: values ? count / values : 0,
    value: eachNumber ? String(edges[at]) : `${edges[at]} to ${edges[at + 1]}`, label: eachNumber ? String(edges[at]) : undefined,
  }));
}

function spark(feature, width, height) { // one path, whatever the number of bins
  const svg = make("svg", {width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
  const counts = Array.isArray(feature.histogram) ? feature.histogram.map(bin => bin.count) : feature.histogram ? feature.histogram.counts : [];
  if (!counts.length) return svg;
  const most = Math.max(1, ...counts), step = width / counts.length, wide = Math.max(1, step - 1);
  const bars = counts.map((count, at) => count ? `M${at * step} ${height}v${-Math.max(1, height * count / most)}h${wide}V${height}z` : "");
  svg.append(make("path", {svg: 1, class: "bar", d: bars.join("")}));
  return svg;
}

function histogramOf(feature) {
  const bins = binsOf(feature);
  if (!bins.length) return make("p", {class: "none"}, "No histogram.");
  if (bins[0].low === undefined) { // categories: a bar beside each name
    const table = make("table", {});
    const most = Math.max(...bins.map(bin => bin.count));
    for (const bin of bins) {
      const bar = make("svg", {width: 160, height: 12, "aria-hidden": "true"});
      bar.append(make("rect", {svg: 1, class: "bar", x: 0, y: 0, width: Math.max(1, 160 * bin.count / most), height: 12}));
      table.append(make("tr", {}, make("td", {class: "wrap"}, shown(bin.value)), make("td", {}, bar), make("td", {class: "number"}, shown(bin.count)), make("td", {class: "number"}, share(bin.ratio))));
    }
    return table;
  }
  const bars = bins, nulls = feature.num_null_values || 0;
  const width = Math.min(460, innerWidth - 90), height = 210, left = 46, floor = height - 26, top = 14;
  const svg = make("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": `Histogram of ${feature.name}`});
  const most = Math.max(1, nulls, ...bars.map(bar => bar.count)), room = width - left - (nulls ? 40 : 0), step = room / bars.length;
  for (const part of [0, 0.5, 1]) { // the lines of the counts
    const y = floor - (floor - top) * part;
    svg.append(make("line", {svg: 1, class: "grid-line", x1: left, x2: width, y1: y, y2: y}));
    svg.append(make("text", {svg: 1, class: "axis", x: left - 6, y: y + 4, "text-anchor": "end"}, shown(Math.round(most * part))));
  }
  const draw = (x, wide, bar, kind) => {
    const tall = (floor - top) * bar.count / most;
    const rect = make("rect", {svg: 1, class: kind, x, y: floor - Math.max(bar.count ? 1 : 0, tall), width: Math.max(1, wide), height: Math.max(bar.count ? 1 : 0, tall)});
    rect.append(make("title", {svg: 1}, `${bar.value}: ${shown(bar.count)}` + (bar.ratio === undefined ? "" : ` (${share(bar.ratio)})`)));
    svg.append(rect);
  };
  bars.forEach((bar, at) => draw(left + at * step + 1, step - 2, bar, "bar"));
  const label = (x, text, anchor) => svg.append(make("text", {svg: 1, class: "axis", x, y: height - 8, "text-anchor": anchor}, text));
  if (bars.length <= 16 && bars.every(bar => bar.label !== undefined)) bars.forEach((bar, at) => label(left + (at + 0.5) * step, bar.label, "middle"));
  else {
    const first = bars[0], last = bars[bars.length - 1];
    label(left, brief(first.label ?? first.low), "start");
    if (typeof first.low === "number" && !first.label) label(left + room / 2, shown((first.low + last.high) / 2), "middle");
    label(left + room, brief(last.label ?? last.high ?? last.value), "end");
  }
  if (nulls) { draw(width - 30, 22, {value: "null", count: nulls}, "null"); label(width - 19, "null", "middle"); }
  return svg;
}

// -- a table with search, sort and pages

const plain = cell => cell !== null && typeof cell === "object" ? cell.text : cell;

const link = cell => cell !== null && typeof cell === "object" ? make("a", {href: cell.href}, cell.text) : shown(cell);

// The address tells what is opened (#features=seats) or searched for (#features~sea), so it can be sent.
function decode(text) { try { return decodeURIComponent(text); } catch { return text; } } // of a % that stands for itself
function setHash(text) { try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { /* a file in a frame has no history */ } }

function explore(root, rows, columns, detail) {
  let page = 0, sorted = null, down = false, opened = null, found = rows;
  const name = root.dataset.explore, title = root.dataset.title || name;
  const search = make("input", {type: "search", placeholder: root.dataset.search || "Search", "aria-label": `Search: ${title}`});
  const count = make("span", {class: "count", role: "status", "aria-live": "polite"});
  const before = make("button", {type: "button"}, "Previous"), after = make("button", {type: "button"}, "Next");
  const head = make("tr"), body = make("tbody");
  for (const column of columns) {
    const cell = make("th", {scope: "col", class: column.number ? "number" : ""});
    if (column.sort === false) cell.append(column.title);
    else {
      const button = make("button", {type: "button"}, column.title);
      button.addEventListener("click", () => { down = sorted === column ? !down : Boolean(column.number); sorted = column; page = 0; draw(); });
      cell.append(button);
      column.cell = cell;
    }
    head.append(cell);
  }
  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter(row => words.every(word => (row.text || row.name || "").toLowerCase().includes(word)));
    if (sorted) found = [...found].sort((a, b) => {
      const x = sorted.of(a), y = sorted.of(b);
      if (x === y) return 0;
      if (x === null || x === undefined || x === "") return 1;
      if (y === null || y === undefined || y === "") return -1;
      return (x < y ? -1 : 1) * (down ? -1 : 1);
    });
    for (const column of columns) if (column.cell) {
      if (column === sorted) column.cell.setAttribute("aria-sort", down ? "descending" : "ascending"); else column.cell.removeAttribute("aria-sort");
    }
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    count.textContent = `${found.length.toLocaleString("en-US")} of ${rows.length.toLocaleString("en-US")}` + (pages > 1 ? `, page ${page + 1} of ${pages}` : "");
    before.disabled = page === 0;
    after.disabled = page >= pages - 1;
    before.hidden = after.hidden = pages === 1;
    body.replaceChildren();
    for (const row of found.slice(page * PAGE, (page + 1) * PAGE)) {
      const line = make("tr");
      columns.forEach((column, at) => {
        const cell = make("td", {class: (column.number ? "number" : "") + (column.wrap ? " wrap" : "")});
        const content = column.show ? column.show(row) : shown(column.of(row));
        if (content instanceof Node) cell.append(content);
        else if (at === 0 && detail) {
          const button = make("button", {type: "button", class: "open", "aria-expanded": String(opened === row)}, content);
          button.addEventListener("click", () => { opened = opened === row ? null : row; setHash(opened ? `${name}=${encodeURIComponent(row.name)}` : ""); draw(); [...body.querySelectorAll("button.open")].find(each => each.textContent === content)?.focus(); });
          cell.append(button);
        } else if (at === 0 && row.href) cell.append(make("a", {href: row.href}, content));
        else cell.append(content);
        line.append(cell);
      });
      body.append(line);
      if (detail && opened === row) body.append(make("tr", {class: "detail"}, make("td", {colspan: columns.length}, detail(row))));
    }
    if (!found.length) body.append(make("tr", {}, make("td", {colspan: columns.length, class: "none"}, rows.length ? "Nothing matches." : root.dataset.none || "Nothing yet.")));
  }
  search.addEventListener("input", () => { page = 0; setHash(search.value ? `${name}~${encodeURIComponent(search.value)}` : ""); draw(); });
  body.addEventListener("keydown", event => {
    if (event.key === "Escape" && opened) body.querySelector("button[aria-expanded=true]").click();
  });
  before.addEventListener("click", () => { page--; draw(); });
  after.addEventListener("click", () => { page++; draw(); });
  const tools = make("div", {class: "tools"}, search, count, before, after);
  tools.hidden = rows.length <= 10;
  root.append(tools, make("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": title}, make("table", {}, make("caption", {}, title), make("thead", {}, head), body)));
  function follow() { // the address of the page
    const [, asked, kind, text] = location.hash.match(/^#([\w-]+)([=~])(.*)$/) || [];
    if (asked !== name) return;
    const wanted = decode(text);
    sorted = opened = null;
    page = 0;
    if (kind === "~") search.value = wanted;
    else {
      search.value = "";
      opened = rows.find(row => row.name === wanted) || null;
      if (opened) page = Math.floor(rows.indexOf(opened) / PAGE);
    }
    draw();
    root.scrollIntoView();
    if (opened) body.querySelector("button[aria-expanded=true]")?.scrollIntoView({block: "center"});
  }
  draw();
  follow();
  addEventListener("hashchange", follow);
}

// -- features

function facts(feature) {
  const table = make("table");
  const rows = data.figures.map(({name, label, format}) => [label, format === "share" ? share(feature[name]) : feature[name]]);
  rows.push(...(feature.percentiles || []).map((value, at) => [data.percentiles[at], value]));
  for (const [name, value] of rows) if (value !== null && value !== undefined && value !== "") table.append(make("tr", {}, make("td", {}, name), make("td", {class: "number"}, shown(value))));
  return table;
}

function overTime(feature, root) {
  const draw = (title, values, options) => {
    const points = values.map((value, at) => ({name: data.history[at], value})).filter(point => point.value !== null);
    if (points.length > 1) trend(root, {title, points, width: Math.min(460, innerWidth - 90), ...options});
  };
  draw(`Mean of ${feature.name}, by commit`, feature.over_time.means, {zoomed: true});
  if (feature.over_time.nulls.some(Boolean)) draw(`Share of nulls of ${feature.name}, by commit`, feature.over_time.nulls, {format: "share"});
}

function detailOf(feature) {
  const left = make("div", {}, histogramOf(feature));
  if (feature.over_time) overTime(feature, left);
  if (feature.description) left.prepend(make("p", {}, feature.description));
  if (feature.used_by && feature.used_by.length) {
    const list = make("ul", {class: "used"});
    for (const number of feature.used_by) list.append(make("li", {}, link(data.readers[number])));
    left.append(make("h3", {}, "Used by"), list);
  }
  if (feature.related && feature.related.length) {
    const table = make("table", {});
    for (const [name, value] of feature.related) table.append(make("tr", {}, make("td", {}, name), make("td", {class: "number"}, value.toFixed(3))));
    left.append(make("h3", {}, "Correlates most with"), table);
  }
  return make("div", {class: "grid"}, left, facts(feature));
}

const FEATURES = [
  {title: "feature", of: row => row.name, show: row => row.name}, {title: "type", of: row => row.type}, {title: "role", of: row => row.role},
  {title: "complete", of: row => row.completeness, show: row => share(row.completeness), number: true}, {title: "distinct", of: row => row.approx_num_distinct_values, number: true},
  {title: "mean", of: row => row.mean, number: true}, {title: "std dev", of: row => row.stddev, number: true}, {title: "min", of: row => row.min, number: true, show: row => brief(row.min)}, {title: "max", of: row => row.max, number: true, show: row => brief(row.max)},
  {title: "histogram", sort: false, of: row => "", show: row => spark(row, 110, 26)},
];
const VIEW_FEATURES = [
  {title: "from", of: row => plain(row.from), show: row => link(row.from)}, {title: "transformation", of: row => row.transformation || ""},
];

function heat(root, map) {
  if (!map || !map.names.length) { root.append(make("p", {class: "none"}, "No correlations are kept. Ask for them with statistics_config={'correlations': True}.")); return; }
  const size = Math.max(14, Math.min(28, Math.floor(760 / map.names.length))), side = size * map.names.length, margin = 190;
  const canvas = make("canvas", {width: side + margin, height: side, tabindex: "0", role: "img", "aria-label": "Heat map of correlations; the table of each feature names its strongest"});
  const told = make("p", {class: "count", role: "status", "aria-live": "polite"}, "Point at a cell, or move with the arrow keys.");
  const context = canvas.getContext("2d");
  context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--soft");
  map.names.forEach((name, y) => context.fillText(name.length > 26 ? name.slice(0, 25) + "\u2026" : name, 0, y * size + size / 2 + 4, margin - 8));
  map.values.forEach((row, y) => row.forEach((value, x) => {
    const depth = value === null ? 0 : Math.abs(value);
    context.fillStyle = value === null ? "#8884" : value < 0 ? `rgba(194, 65, 12, ${depth})` : `rgba(29, 78, 216, ${depth})`;
    context.fillRect(margin + x * size, y * size, size - 1, size - 1);
  }));
  let at = [0, 0];
  const tell = () => { const value = map.values[at[1]][at[0]]; told.textContent = `${map.names[at[1]]} and ${map.names[at[0]]}: ${value === null ? "unknown" : value.toFixed(3)}`; };
  canvas.addEventListener("mousemove", event => {
    const box = canvas.getBoundingClientRect(), last = map.names.length - 1;
    const scale = canvas.width / box.width;
    at = [(event.clientX - box.left) * scale - margin, (event.clientY - box.top) * scale].map(where => Math.max(0, Math.min(last, Math.floor(where / size))));
    tell();
  });
  canvas.addEventListener("keydown", event => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!move) return;
    event.preventDefault();
    at = at.map((where, axis) => Math.max(0, Math.min(map.names.length - 1, where + move[axis])));
    tell();
  });
  root.append(told, canvas);
}

function trend(root, lines) {
  if (!lines || !lines.points.length) return;
  const say = value => lines.format === "share" ? share(value) : shown(Number(value.toPrecision(lines.zoomed ? 5 : 3)));
  const points = lines.points, last = points.length - 1, values = points.map(point => point.value);
  const width = lines.width || Math.max(280, Math.min(720, root.clientWidth)), height = 150, left = 52, floor = height - 22, ceiling = 28;
  const least = lines.zoomed ? Math.min(...values) : Math.min(0, ...values), most = Math.max(lines.limit || 0, ...values);
  const low = least === most && lines.zoomed ? least - 0.5 : least, top = most > low ? most : low + 1;
  const x = at => last ? left + 4 + at * (width - left - 10) / last : (left + width) / 2, y = value => floor - (value - low) / (top - low) * (floor - ceiling);
  const svg = make("svg", {viewBox: `0 0 ${width} ${height}`, width, height, class: "trend", role: "img", "aria-label": `${lines.title}: from ${say(points[0].value)} to ${say(points[last].value)}`});
  const write = (text, at, where, anchor) => svg.append(make("text", {svg: 1, class: "axis", x: at, y: where, "text-anchor": anchor}, text));
  write(lines.title, 0, 12, "start");
  for (const part of [0, 0.5, 1]) {
    const value = low + (top - low) * part;
    svg.append(make("line", {svg: 1, class: "grid-line", x1: left, x2: width, y1: y(value), y2: y(value)}));
    write(say(value), left - 6, y(value) + 4, "end");
  }
  write(points[0].at ?? points[0].name, last ? left : x(0), height - 6, last ? "start" : "middle");
  if (last) write(points[last].at ?? points[last].name, width, height - 6, "end");
  if (lines.limit) {
    svg.append(make("line", {svg: 1, class: "limit", x1: left, x2: width, y1: y(lines.limit), y2: y(lines.limit)}));
    write(`limit ${say(lines.limit)}`, width, y(lines.limit) - 4, "end");
  }
  svg.append(make("polyline", {svg: 1, points: points.map((point, at) => `${x(at)},${y(point.value)}`).join(" ")}));
  points.forEach((point, at) => {
    const dot = make("rect", {svg: 1, class: "bar", x: x(at) - 3, y: y(point.value) - 3, width: 6, height: 6});
    dot.append(make("title", {svg: 1}, `${point.name}: ${say(point.value)}`));
    svg.append(dot);
  });
  root.append(svg);
}

for (const root of document.querySelectorAll("[data-explore]")) {
  const given = data[root.dataset.explore];
  if (root.dataset.explore.startsWith("features")) {
    const optional = ["role", "from", "transformation"]; // shown where a row has it
    const columns = [...FEATURES.slice(0, 3), ...VIEW_FEATURES, ...FEATURES.slice(3)].filter(column => !optional.includes(column.title) || given.some(row => row[column.title]));
    explore(root, given.map(row => ({...row, text: `${row.name} ${row.type} ${row.role || ""} ${row.description || ""} ${plain(row.from) || ""}`})), columns, detailOf);
  } else {
    const isNumber = cell => typeof plain(cell) === "number" || cell === null;
    const rows = given.rows.map(row => ({...row, name: String(plain(row.cells[0])), text: row.cells.map(plain).join(" ")}));
    const isShown = (_, at) => !rows.length || rows.some(row => row.cells[at] !== null && row.cells[at] !== "");
    explore(root, rows, given.columns.map((title, at) => ({
      title, of: row => plain(row.cells[at]), show: row => link(row.cells[at]),
      number: rows.some(row => row.cells[at] !== null) && rows.every(row => isNumber(row.cells[at])), wrap: rows.some(row => String(plain(row.cells[at])).length > 28),
    })).filter(isShown));
  }
}
for (const root of document.querySelectorAll("[data-heat]")) heat(root, data[root.dataset.heat]);
for (const root of document.querySelectorAll("[data-trend]")) trend(root, data[root.dataset.trend]);

document.addEventListener("keydown", event => {
  const writes = ["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName);
  const search = document.querySelector("input[type=search]");
  if (search && (event.key === "/" && !writes || event.key === "k" && (event.ctrlKey || event.metaKey))) { event.preventDefault(); search.focus(); search.select(); }
});
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
  const code = button.nextElementSibling;
  try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(code); button.textContent = "Selected: press Ctrl-C"; }
});
const isDark = () => document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const themes = document.getElementById("theme");
const nameTheme = () => { themes.textContent = isDark() ? "Light" : "Dark"; };
const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
if (remembered) document.documentElement.dataset.theme = remembered;
nameTheme();
themes.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* a file opened from disk may have no storage */ }
});
