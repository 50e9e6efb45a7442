// A chart as Vega-Lite takes it: its rows, axes, reference lines and layers.

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
    const start = rows.length;
    steps.forEach((step, i) => {
      if ((charts.from !== null && step < charts.from) || (charts.to !== null && step > charts.to)) return;
      rows.push({ x: step, s: "s" + index, c: COLORS[tint % COLORS.length], label, y: line[i], raw: y[i],
        low: low ? low[i] : y[i], high: high ? high[i] : y[i], dash: isDashed(chart, index) });
    });
    if (rows.length === start + 1) rows[start].lone = true; // a line through one point is nothing
  });
  return rows;
}

/** Whether a curve is dashed: where it says so, or where it would hide an equal one. */
function isDashed(chart, index) {
  const { curve, dash } = chart.series[index];
  const { x, y } = charts.data.curves[curve];
  const isEqual = (other) => other.x === x && other.y.every((value, i) => value === y[i]);
  return Boolean(dash) || chart.series.slice(0, index).some((s) => isEqual(charts.data.curves[s.curve]));
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
  const scale = isLogarithmic(chart, rows) ? { type: "log", nice: false } : { zero: false };
  if (low === high && low !== 0) scale.domain = [Math.min(0.5 * low, 1.5 * low), Math.max(0.5 * low, 1.5 * low)];
  if (chart.limits && rows.length && scale.type !== "log") scale.domain = withinLimits(chart, rows);
  const size = Math.max(Math.abs(low), Math.abs(high));
  const axis = { tickCount: 6, format: size < 0.01 ? ".2~e" : size >= 1e5 ? "~s" : undefined };
  return { field: "y", type: "quantitative", title: chart.unit || null, scale, axis };
}

/** From the smallest to the largest value with some room, and not beyond what is possible. */
function withinLimits(chart, rows) {
  const low = Math.min(...rows.map((row) => row.low));
  const high = Math.max(...rows.map((row) => row.high));
  const room = Math.max(0.08 * (high - low), 0.02);
  return [Math.max(chart.limits[0], low - room), Math.min(chart.limits[1], high + room)];
}

/** The side of each reference line's label: away from curves, and from labels that lie near. */
function sidesOf(rules, rows) {
  const ys = rows.map((row) => row.y);
  const size = Math.max(...ys, ...rules.map((r) => r.y)) - Math.min(...ys, ...rules.map((r) => r.y)) || 1;
  const from = Math.min(...rows.map((row) => row.x));
  const to = Math.max(...rows.map((row) => row.x));
  const placed = [];
  return rules.map((rule) => {
    const gap = (side) => {
      const near = rows.filter(({ x }) => (side === "left" ? x - from : to - x) <= 0.4 * (to - from));
      const free = Math.min(...near.map(({ y }) => (y > rule.y ? y - rule.y : 2 * (rule.y - y))));
      const labels = placed.filter((other) => other.side === side).map(({ y }) => Math.abs(y - rule.y));
      return Math.min(...labels, Infinity) < 0.14 * size ? -1 : free;
    };
    const side = gap("left") > gap("right") ? "left" : "right";
    placed.push({ y: rule.y, side });
    return { ...rule, side };
  });
}

/** Reference lines that lie near what is shown; far ones would flatten the curves. */
function rulesOf(chart, rows) {
  const values = rows.flatMap((row) => [row.y]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = Math.max(high - low, Math.abs(high) * 0.1, 1e-9) * 2;
  const isLog = isLogarithmic(chart, rows);
  const near = chart.rules.filter(({ y }) => y >= low - room && y <= high + room && !(isLog && y <= 0));
  return rows.length ? sidesOf(near, rows) : [];
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
  const strokeDash = { field: "dash", type: "nominal", scale: { domain: [false, true], range: [[1, 0], [6, 4]] }, legend: null };
  layers.push({ mark: { type: "line", strokeWidth: 1.8, clip: true, point: rows.length < 60 ? { size: 18 } : false },
    encoding: { x, y, color, detail, strokeDash } });
  const lone = rows.filter((row) => row.lone);
  if (lone.length) {
    layers.push({ data: { values: lone }, mark: { type: "point", filled: true, size: 55 }, encoding: { x, y, color } });
  }
  for (const rule of rulesOf(chart, rows)) {
    layers.push({ data: { values: [{ y: rule.y, label: rule.label }] }, layer: [
      { mark: { type: "rule", strokeDash: [5, 4], color: "#8a8f98" }, encoding: { y: { ...y, field: "y" } } },
      { mark: { type: "text", align: rule.side, dx: rule.side === "left" ? 4 : -4, dy: -8, fontSize: 10.5 },
        encoding: { x: { value: rule.side === "left" ? 0 : "width" }, y: { ...y, field: "y" }, text: { field: "label" } } },
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
    description: chart.title + ", over steps", data: { values: rows }, width: "container", height: 200, layer: layers,
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
  return label.length > 40 ? label.slice(0, 39) + "…" : label;
}
