"use strict";
// Everything a user wrote reaches the page as text: by textContent or as an attribute, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const PAGE = 50;

function make(tag, attributes = {}, ...children) {
  const element = ["svg", "rect", "text", "polyline", "title"].includes(tag) && (attributes.svg || tag === "svg")
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

function spark(histogram, width, height) {
  const svg = make("svg", {width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"});
  if (!histogram || !histogram.length) return svg;
  const most = Math.max(1, ...histogram.map(bin => bin.count)), step = width / histogram.length;
  histogram.forEach((bin, at) => {
    const tall = Math.max(bin.count ? 1 : 0, height * bin.count / most);
    svg.append(make("rect", {svg: 1, class: "bar", x: at * step, y: height - tall, width: Math.max(1, step - 1), height: tall}));
  });
  return svg;
}

function histogramOf(feature) {
  const bins = feature.histogram;
  if (!bins || !bins.length) return make("p", {class: "none"}, "No histogram.");
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
  const width = 460, height = 190, floor = height - 24;
  const svg = make("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": `Histogram of ${feature.name}`});
  const most = Math.max(1, ...bins.map(bin => bin.count)), step = width / bins.length;
  bins.forEach((bin, at) => {
    const tall = (floor - 14) * bin.count / most;
    const rect = make("rect", {svg: 1, class: "bar", x: at * step + 1, y: floor - tall, width: Math.max(1, step - 2), height: tall});
    rect.append(make("title", {svg: 1}, `${bin.value}: ${shown(bin.count)} (${share(bin.ratio)})`));
    svg.append(rect);
  });
  const ends = typeof bins[0].low === "number" ? [shown(bins[0].low), shown(bins[bins.length - 1].high)] : [bins[0].value, bins[bins.length - 1].value];
  svg.append(make("text", {svg: 1, class: "axis", x: 0, y: height - 6}, ends[0]));
  svg.append(make("text", {svg: 1, class: "axis", x: width, y: height - 6, "text-anchor": "end"}, ends[1]));
  svg.append(make("text", {svg: 1, class: "axis", x: 0, y: 10}, "most in a bin: " + shown(most)));
  return svg;
}

// -- a table with search, sort and pages

function explore(root, rows, columns, detail) {
  let page = 0, sorted = null, down = false, opened = null, found = rows;
  const search = make("input", {type: "search", placeholder: root.dataset.search || "Search (press /)", "aria-label": root.dataset.search || "Search"});
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
        if (at === 0 && detail) {
          const button = make("button", {type: "button", class: "open", "aria-expanded": String(opened === row)}, content);
          button.addEventListener("click", () => { opened = opened === row ? null : row; draw(); [...body.querySelectorAll("button.open")].find(each => each.textContent === content)?.focus(); });
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
  search.addEventListener("input", () => { page = 0; draw(); });
  before.addEventListener("click", () => { page--; draw(); });
  after.addEventListener("click", () => { page++; draw(); });
  root.append(make("div", {class: "tools"}, search, count, before, after), make("div", {class: "scroll"}, make("table", {}, make("thead", {}, head), body)));
  draw();
}

// -- features

function facts(feature) {
  const table = make("table");
  const rows = data.figures.map(({name, label, format}) => [label, format === "share" ? share(feature[name]) : feature[name]]);
  rows.push(...(feature.percentiles || []));
  for (const [name, value] of rows) if (value !== null && value !== undefined && value !== "") table.append(make("tr", {}, make("td", {}, name), make("td", {class: "number"}, shown(value))));
  return table;
}

function detailOf(feature) {
  const left = make("div", {}, histogramOf(feature));
  if (feature.description) left.prepend(make("p", {}, feature.description));
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
  {title: "mean", of: row => row.mean, number: true}, {title: "deviation", of: row => row.stddev, number: true}, {title: "min", of: row => row.min, number: true, show: row => brief(row.min)}, {title: "max", of: row => row.max, number: true, show: row => brief(row.max)},
  {title: "histogram", sort: false, of: row => "", show: row => spark(row.histogram, 110, 26)},
];

function heat(root, map) {
  if (!map || !map.names.length) { root.append(make("p", {class: "none"}, "No correlations are kept. Ask for them with statistics_config={'correlations': True}.")); return; }
  const size = Math.max(14, Math.min(28, Math.floor(760 / map.names.length))), side = size * map.names.length, margin = 190;
  const canvas = make("canvas", {width: side + margin, height: side, tabindex: "0", role: "img", "aria-label": "Heat map of correlations; the table of each feature names its strongest"});
  const told = make("p", {class: "count", role: "status", "aria-live": "polite"}, "Point at a cell, or move with the arrow keys.");
  const context = canvas.getContext("2d");
  context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  context.fillStyle = "#7c8a99"; // read on light and on dark
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
  const width = 700, height = 130, top = Math.max(lines.limit || 0, ...lines.points.map(point => point.value), 1e-9) * 1.1;
  const x = at => lines.points.length === 1 ? width / 2 : 10 + at * (width - 20) / (lines.points.length - 1), y = value => height - 10 - value / top * (height - 24);
  const svg = make("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": lines.title});
  svg.append(make("text", {svg: 1, class: "axis", x: 0, y: 11}, lines.title));
  if (lines.limit) svg.append(make("polyline", {svg: 1, points: `0,${y(lines.limit)} ${width},${y(lines.limit)}`, "stroke-dasharray": "5 4", style: "stroke: var(--bad)"}));
  svg.append(make("polyline", {svg: 1, points: lines.points.map((point, at) => `${x(at)},${y(point.value)}`).join(" ")}));
  lines.points.forEach((point, at) => {
    const dot = make("rect", {svg: 1, class: "bar", x: x(at) - 3, y: y(point.value) - 3, width: 6, height: 6});
    dot.append(make("title", {svg: 1}, `${point.name}: ${shown(point.value)}`));
    svg.append(dot);
  });
  root.append(svg);
}


for (const root of document.querySelectorAll("[data-explore]")) {
  const given = data[root.dataset.explore];
  if (root.dataset.explore.startsWith("features")) explore(root, given.map(row => ({...row, text: `${row.name} ${row.type} ${row.role || ""} ${row.description || ""}`})), FEATURES, detailOf);
  else explore(root, given.rows.map(row => ({...row, name: row.cells[0], text: row.cells.join(" ")})), given.columns.map((title, at) => ({title, of: row => row.cells[at], number: given.rows.length > 0 && given.rows.every(row => typeof row.cells[at] === "number" || row.cells[at] === null), wrap: given.rows.some(row => String(row.cells[at]).length > 40)})));
}
for (const root of document.querySelectorAll("[data-heat]")) heat(root, data[root.dataset.heat]);
for (const root of document.querySelectorAll("[data-trend]")) trend(root, data[root.dataset.trend]);

document.addEventListener("keydown", event => {
  if (event.key === "/" && !["INPUT", "SELECT", "TEXTAREA"].includes(document.activeElement.tagName)) { event.preventDefault(); document.querySelector("input[type=search]")?.focus(); }
});
const themes = document.getElementById("theme");
const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
if (remembered) document.documentElement.dataset.theme = remembered;
themes.addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", document.documentElement.dataset.theme); } catch { /* a file opened from disk may have no storage */ }
});
