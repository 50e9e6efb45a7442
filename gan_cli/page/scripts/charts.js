// Curves over steps, drawn by Vega-Lite: hover, zoom, smoothing, logarithmic axes, marks.

const COLORS = ["#3b82c4", "#d1495b", "#3f9b6b", "#c88a1d", "#8b6cc4", "#2a9d9d", "#b3578f", "#7a7a52"];
const charts = { data: null, views: [], smoothing: 0, from: null, to: null, log: false, step: null };

function startCharts() {
  charts.data = storedData("curves-data");
  if (!charts.data) return;
  const kept = memory.read().charts || {};
  for (const key of ["smoothing", "from", "to", "log"]) if (kept[key] !== undefined) charts[key] = kept[key];
  startControls();
  drawCharts();
}

function startControls() {
  const form = document.getElementById("controls");
  if (!form) return;
  const field = (name) => document.getElementById(name);
  const show = () => {
    field("smoothing").value = charts.smoothing;
    form.querySelector("output").textContent = charts.smoothing;
    field("from").value = charts.from ?? "";
    field("to").value = charts.to ?? "";
    field("log-axis").checked = charts.log;
  };
  const change = (changes) => {
    Object.assign(charts, changes);
    const { smoothing, from, to, log } = charts;
    memory.write({ charts: { smoothing, from, to, log } });
    show();
    drawCharts();
  };
  charts.change = change;
  const number = (text) => (text === "" ? null : Number(text));
  field("smoothing").addEventListener("input", (event) => change({ smoothing: Number(event.target.value) }));
  field("from").addEventListener("change", (event) => change({ from: number(event.target.value) }));
  field("to").addEventListener("change", (event) => change({ to: number(event.target.value) }));
  field("reset-zoom").addEventListener("click", () => change({ from: null, to: null }));
  field("log-axis").addEventListener("change", (event) => change({ log: event.target.checked }));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}

/** The running mean that TensorBoard uses: weights fall by a factor, and sum to 1 from the start. */
function smoothed(values, factor) {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    sum = factor * sum + (1 - factor) * value;
    weight = factor * weight + (1 - factor);
    return sum / weight;
  });
}

/** The points of a chart within the chosen steps, one row for each curve and step. */
function rowsOf(chart) {
  const rows = [];
  chart.series.forEach(({ curve, label }, index) => {
    const { x, y, low, high } = charts.data.curves[curve];
    const steps = charts.data.steps[x];
    const line = charts.smoothing ? smoothed(y, charts.smoothing) : y;
    const tint = chart.series[index].color ?? index;
    steps.forEach((step, i) => {
      if ((charts.from !== null && step < charts.from) || (charts.to !== null && step > charts.to)) return;
      rows.push({ x: step, s: "s" + index, c: COLORS[tint % COLORS.length], label, y: line[i], raw: y[i],
        low: low ? low[i] : y[i], high: high ? high[i] : y[i] });
    });
  });
  return rows;
}

function marksOf() {
  const { marks = [], spans = [] } = charts.data.events || {};
  const all = [
    ...marks.map((mark) => ({ x: mark.step, text: mark.text, kind: mark.kind })),
    ...spans.map((span) => ({ x: span.from, text: span.text + " begins", kind: "health" })),
  ];
  const inside = (x) => (charts.from === null || x >= charts.from) && (charts.to === null || x <= charts.to);
  const seen = new Set();
  return all.filter(({ x, kind }) => {
    const key = kind + x;
    if (!inside(x) || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Whether a chart can have a logarithmic axis: all it shows is positive. */
function isLogarithmic(chart, rows) {
  return (charts.log || chart.log) && rows.every((row) => row.y > 0 && row.low > 0);
}

function axisOf(chart, rows) {
  const values = rows.map((row) => row.y);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const scale = isLogarithmic(chart, rows) ? { type: "log" } : { zero: false };
  if (low === high && low !== 0) scale.domain = [Math.min(0.5 * low, 1.5 * low), Math.max(0.5 * low, 1.5 * low)];
  const size = Math.max(Math.abs(low), Math.abs(high));
  const axis = { tickCount: 6, format: size < 0.01 ? ".2~e" : size >= 1e5 ? "~s" : undefined };
  return { field: "y", type: "quantitative", title: chart.unit || null, scale, axis };
}

/** Reference lines that lie near what is shown; far ones would flatten the curves. */
function rulesOf(chart, rows) {
  const values = rows.flatMap((row) => [row.y]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = Math.max(high - low, Math.abs(high) * 0.1, 1e-9) * 2;
  const isLog = isLogarithmic(chart, rows);
  return chart.rules.filter(({ y }) => y >= low - room && y <= high + room && !(isLog && y <= 0));
}

function specOf(chart) {
  const rows = rowsOf(chart);
  const y = axisOf(chart, rows);
  const x = { field: "x", type: "quantitative", title: "step", scale: { zero: false, nice: false },
    axis: { tickCount: 5, format: "~s" } };
  const color = { field: "c", type: "nominal", scale: null };
  const detail = { field: "s" };
  const hasBand = rows.some((row) => row.low !== row.high);
  const layers = [];
  if (hasBand) {
    layers.push({ mark: { type: "area", opacity: 0.18, clip: true },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color, detail } });
  }
  if (charts.smoothing) {
    layers.push({ mark: { type: "line", opacity: 0.3, strokeWidth: 1, clip: true },
      encoding: { x, y: { ...y, field: "raw" }, color, detail } });
  }
  layers.push({ mark: { type: "line", strokeWidth: 1.8, clip: true, point: rows.length < 60 ? { size: 18 } : false },
    encoding: { x, y, color, detail } });
  for (const rule of rulesOf(chart, rows)) {
    layers.push({ data: { values: [{ y: rule.y, label: rule.label }] }, layer: [
      { mark: { type: "rule", strokeDash: [5, 4], color: "#8a8f98" }, encoding: { y: { ...y, field: "y" } } },
      { mark: { type: "text", align: "right", dx: -4, dy: -6, fontSize: 10.5 },
        encoding: { x: { value: "width" }, y: { ...y, field: "y" }, text: { field: "label" } } },
    ] });
  }
  const marks = marksOf();
  if (marks.length) {
    layers.push({ data: { values: marks }, mark: { type: "rule", strokeDash: [2, 3], strokeWidth: 1.5 },
      encoding: { x: { ...x, field: "x" },
        color: { field: "kind", scale: { domain: ["health", "resumed"], range: ["#c62f2f", "#8a8f98"] }, legend: null },
        tooltip: [{ field: "x", title: "step", format: "," }, { field: "text", title: "what" }] } });
  }
  layers.push(hoverLayer(chart, x));
  return {
    data: { values: rows }, width: "container", height: 190, layer: layers,
    autosize: { type: "fit", contains: "padding" },
    config: { background: null, view: { stroke: null }, axis: { labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" } },
  };
}

/** A line at the pointer's step with all values there, and the brush that zooms. */
function hoverLayer(chart, x) {
  const values = chart.series.map(({ label }, index) => ({ field: "s" + index, type: "quantitative",
    format: ".4~g", title: plainTitle(label) }));
  return {
    transform: [{ pivot: "s", value: "y", groupby: ["x"] }],
    params: [
      { name: "hover", select: { type: "point", fields: ["x"], nearest: true, on: "pointermove", clear: "pointerout" } },
      { name: "brush", select: { type: "interval", encodings: ["x"], clear: "dblclick" } },
    ],
    mark: { type: "rule", strokeWidth: 1, color: "#8a8f98" },
    encoding: { x,
      opacity: { condition: { param: "hover", value: 0.9, empty: false }, value: 0 },
      tooltip: [{ field: "x", type: "quantitative", title: "step", format: "," }, ...values] },
  };
}

/** A label as Vega may take it; names of runs may hold anything. */
function plainTitle(label) {
  return label.length > 60 ? label.slice(0, 59) + "…" : label;
}

async function drawCharts() {
  const drawing = (charts.drawing = {});
  for (const chart of charts.data.charts) {
    if (charts.drawing !== drawing) return; // a newer setting is being drawn
    await drawChart(chart);
  }
  if (charts.step !== null) markStep(charts.step);
  document.documentElement.dataset.charts = "drawn";
}

async function drawChart(chart) {
  const figure = document.getElementById(chart.id);
  if (!figure) return;
  const plot = figure.querySelector(".plot");
  try {
    const result = await vegaEmbed(plot, specOf(chart), { renderer: "svg", actions: false });
    if (charts.views[chart.id]) charts.views[chart.id].finalize();
    charts.views[chart.id] = result.view;
    listenToBrush(result.view, plot);
  } catch (error) {
    plot.textContent = "This chart cannot be drawn: " + error.message;
  }
  drawLegend(chart, figure);
}

function listenToBrush(view, plot) {
  let chosen = null;
  view.addSignalListener("brush", (name, value) => (chosen = value && value.x ? value.x : null));
  plot.onpointerup = () => {
    if (!chosen || !charts.change || chosen[1] - chosen[0] < 1) return;
    charts.change({ from: Math.floor(chosen[0]), to: Math.ceil(chosen[1]) });
  };
  plot.ondblclick = () => charts.change && charts.change({ from: null, to: null });
}

/** The legend as text, with each curve's value at the step of the pictures. */
function drawLegend(chart, figure) {
  const legend = figure.querySelector(".legend");
  legend.replaceChildren(...chart.series.map(({ curve, label, color }, index) => {
    const item = document.createElement("li");
    const swatch = document.createElement("i");
    swatch.style.background = COLORS[(color ?? index) % COLORS.length];
    const value = document.createElement("b");
    value.dataset.curve = curve;
    item.append(swatch, label + " ", value);
    return item;
  }));
  if (charts.step !== null) showValues(figure, charts.step);
}

function showValues(figure, step) {
  for (const element of figure.querySelectorAll("b[data-curve]")) {
    const { x, y } = charts.data.curves[element.dataset.curve];
    const steps = charts.data.steps[x];
    let at = -1;
    while (at + 1 < steps.length && steps[at + 1] <= step) at += 1;
    element.textContent = at < 0 ? "" : String(Number(y[at].toPrecision(4)));
    element.title = at < 0 ? "" : "at step " + steps[at];
  }
}

/** Show the values at a step in all legends. */
function markStep(step) {
  charts.step = step;
  if (!charts.data) return;
  for (const chart of charts.data.charts) {
    const figure = document.getElementById(chart.id);
    if (figure) showValues(figure, step);
  }
}
