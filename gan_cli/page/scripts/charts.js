// Curves over steps, drawn by Vega-Lite: controls, zoom, legends, and the step of the pictures.

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
  const range = () => {
    const ends = [number(field("from").value), number(field("to").value)];
    if (ends[0] !== null && ends[1] !== null && ends[0] > ends[1]) ends.reverse();
    change({ from: ends[0], to: ends[1] });
  };
  field("smoothing").addEventListener("input", (event) => change({ smoothing: Number(event.target.value) }));
  field("from").addEventListener("change", range);
  field("to").addEventListener("change", range);
  field("reset-zoom").addEventListener("click", () => change({ from: null, to: null }));
  field("log-axis").addEventListener("change", (event) => change({ log: event.target.checked }));
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
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
  const folded = figure.closest("details:not([open])");
  if (folded) return folded.addEventListener("toggle", () => drawChart(chart), { once: true });
  const rows = rowsOf(chart);
  if (charts.views[chart.id]) charts.views[chart.id].finalize();
  delete charts.views[chart.id];
  try {
    if (rows.length) {
      const { view } = await vegaEmbed(plot, specOf(chart), { renderer: "svg", actions: false });
      charts.views[chart.id] = view;
      listenToBrush(view, plot);
      nameChart(plot, chart);
    } else plot.textContent = "No logged step lies in this range.";
  } catch (error) {
    plot.textContent = "This chart cannot be drawn: " + error.message;
  }
  tellOfAxis(chart, figure, rows);
  drawLegend(chart, figure);
  offerTable(chart, figure);
}

/** A name for screen readers, in place of the library's, and a place in the order of tabs. */
function nameChart(plot, chart) {
  const name = chart.title + ", over steps. Its numbers are in the table below.";
  const svg = plot.querySelector("svg");
  for (const attribute of ["aria-roledescription", "aria-label"]) svg.removeAttribute(attribute);
  svg.setAttribute("aria-hidden", "true"); // the figure around it has the name
  plot.setAttribute("aria-label", name);
  plot.tabIndex = 0;
}

/** Say why an axis is not logarithmic where one was asked for. */
function tellOfAxis(chart, figure, rows) {
  figure.querySelector(".axis-note")?.remove();
  if (!charts.log || !rows.length || isLogarithmic(chart, rows)) return;
  const note = document.createElement("p");
  note.className = "note axis-note";
  note.textContent = "It has values of 0 or below, so its axis stays linear.";
  figure.querySelector(".legend").before(note);
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
    swatch.classList.toggle("dashed", isDashed(chart, index));
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
    if (!figure) continue;
    showValues(figure, step);
    markLine(chart, figure, step);
  }
  const told = document.getElementById("values-at");
  if (told) told.textContent = "Values beside the names: at step " + step.toLocaleString("en") + ", that of the slider.";
}

/** A line at a step, over the chart: to draw the chart anew would be slow. */
function markLine(chart, figure, step) {
  const view = charts.views[chart.id];
  const plot = figure.querySelector(".plot");
  plot.querySelector(".now-line")?.remove();
  if (!view) return;
  const place = view.scale("x")(step);
  if (!(place >= 0 && place <= view.width())) return;
  const line = document.createElement("div");
  line.className = "now-line";
  line.style.left = view.origin()[0] + place + "px";
  line.style.height = view.height() + view.origin()[1] + "px";
  plot.append(line);
}
