// A sweep's settings against its objective: parallel coordinates, and one scatter for each key.

const FEW_VALUES = 8; // of a key, which then stand side by side

function startSweep() {
  const sweep = storedData("sweep-data");
  if (!sweep || !sweep.jobs.length) return;
  const parallel = document.querySelector("#parallel-chart .plot");
  const drawParallel = () => parallel && draw(parallel, parallelSpec(sweep));
  drawParallel();
  addEventListener("colours", drawParallel);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawParallel);
  document.querySelectorAll("#scatters .plot").forEach((plot, index) => draw(plot, scatterSpec(sweep, index)));
}

/** Colours from worse to better: the better, the more it stands out from the page. */
function strengths() {
  const chosen = document.documentElement.dataset.theme;
  const isDark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return isDark ? ["#3c4a5c", "#8cc4ff"] : ["#b9c7d6", "#0b6bcb"];
}

function draw(plot, spec) {
  if (!spec) {
    plot.textContent = "No job has a value.";
    return;
  }
  vegaEmbed(plot, spec, { renderer: "svg", actions: false }).catch((error) => {
    plot.textContent = "This chart cannot be drawn: " + error.message;
  });
}

/** The numbers of a list of texts; null if one of them is none. */
function numbersOf(texts) {
  const numbers = texts.map((text) => (text === "" ? NaN : Number(text)));
  return numbers.every(Number.isFinite) ? numbers : null;
}

/** Whether numbers spread so far that a logarithmic axis shows them better. */
function isWide(numbers) {
  return numbers.length > 0 && Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) > 20;
}

/** An axis: where each value lies between 0 and 1, and its ticks. Wide ranges are logarithmic. */
function placesOn(texts) {
  const numbers = numbersOf(texts);
  const distinct = [...new Set(texts)];
  if (!numbers) {
    distinct.sort();
    const at = (text) => (distinct.length > 1 ? distinct.indexOf(text) / (distinct.length - 1) : 0.5);
    return { places: texts.map(at), ticks: distinct.map((text) => ({ at: at(text), label: text })) };
  }
  const isLog = isWide(numbers);
  const scale = (value) => (isLog ? Math.log(value) : value);
  const low = scale(Math.min(...numbers));
  const high = scale(Math.max(...numbers));
  const at = (value) => (high > low ? (scale(value) - low) / (high - low) : 0.5);
  const ticks = [...new Set(numbers)].sort((a, b) => a - b);
  const step = Math.ceil(ticks.length / 6);
  const shown = ticks.filter((_, index) => index % step === 0 || index === ticks.length - 1);
  return { places: numbers.map(at), ticks: shown.map((value) => ({ at: at(value), label: String(Number(value.toPrecision(4))) })) };
}

/** As `placesOn`; jobs without a value (an empty text) have no place. */
function axisWithGaps(name, texts) {
  const { places, ticks } = placesOn(texts.filter(Boolean));
  let next = 0;
  return { name, ticks, places: texts.map((text) => (text ? places[next++] : null)) };
}

/** The axes of the parallel coordinates: what was swept, then the objective. */
function axesOf(sweep, jobs) {
  const axes = sweep.swept.map((name, index) => axisWithGaps(name, jobs.map((job) => job.values[index])));
  const objectives = jobs.map((job) => (job.objective === null ? "" : String(job.objective)));
  return objectives.some(Boolean) ? [...axes, axisWithGaps(sweep.objective, objectives)] : axes;
}

function parallelSpec(sweep) {
  const axes = axesOf(sweep, sweep.jobs);
  const objective = axes.length > sweep.swept.length ? axes[axes.length - 1] : null;
  const rows = [];
  const ticks = [];
  axes.forEach((axis, index) => {
    sweep.jobs.forEach((job, number) => {
      if (axis.places[number] === null) return;
      const good = objective && objective.places[number] !== null
        ? (sweep.direction === "maximize" ? objective.places[number] : 1 - objective.places[number]) : null;
      rows.push({ job: job.job, axis: index, at: axis.places[number], good, state: job.state });
    });
    axis.ticks.forEach((tick) => ticks.push({ axis: index, ...tick }));
  });
  const x = { field: "axis", type: "quantitative", axis: null, scale: { domain: [-0.15, axes.length - 1 + 0.35] } };
  const y = { field: "at", type: "quantitative", axis: null, scale: { domain: [-0.05, 1.16] } };
  const names = axes.map((axis, index) => ({ axis: index, at: 1.12, label: axis.name }));
  return {
    width: "container", height: 300, config: { background: null, view: { stroke: null } },
    autosize: { type: "fit", contains: "padding" },
    layer: [
      { data: { values: axes.map((_, index) => ({ axis: index, low: 0, high: 1 })) },
        mark: { type: "rule", color: "#8a8f98" }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } } },
      { data: { values: rows },
        params: [{ name: "pick", select: { type: "point", fields: ["job"], on: "pointerover", clear: "pointerout", nearest: false } }],
        mark: { type: "line", strokeWidth: 2, point: { size: 26 } },
        encoding: { x, y, detail: { field: "job" },
          color: { field: "good", type: "quantitative", legend: null, scale: { domain: [0, 1], range: strengths() } },
          opacity: { condition: { param: "pick", value: 0.95, empty: true }, value: 0.08 },
          tooltip: [{ field: "job" }, { field: "state" }] } },
      { data: { values: ticks }, mark: { type: "text", align: "left", dx: 7, fontSize: 10.5 },
        encoding: { x, y, text: { field: "label" } } },
      { data: { values: names }, mark: { type: "text", fontSize: 11.5, fontWeight: 600, align: "center" },
        encoding: { x, y, text: { field: "label" } } },
    ],
  };
}

function scatterSpec(sweep, index) {
  const jobs = sweep.jobs.filter((job) => job.objective !== null && job.values[index] !== "");
  if (!jobs.length) return null;
  const isFew = new Set(jobs.map((job) => job.values[index])).size <= FEW_VALUES;
  const numbers = numbersOf(jobs.map((job) => job.values[index]));
  const values = jobs.map((job, number) => ({
    job: job.job, x: numbers ? numbers[number] : job.values[index], y: job.objective,
    low: job.objective - (job.error || 0), high: job.objective + (job.error || 0),
  }));
  const isScale = numbers && !isFew;
  const isLog = isScale && isWide(numbers);
  const x = { field: "x", type: isScale ? "quantitative" : "ordinal", title: sweep.swept[index],
    scale: isScale ? (isLog ? { type: "log", padding: 12 } : { zero: false, padding: 12 }) : undefined,
    axis: { labelAngle: 0, labelLimit: 90 } };
  const y = { field: "y", type: "quantitative", title: null, scale: { zero: false } };
  return {
    data: { values }, width: "container", height: 200, config: { background: null, view: { stroke: null } },
    autosize: { type: "fit", contains: "padding" },
    layer: [
      { mark: { type: "rule", color: "#3b82c4", opacity: 0.6 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" } } },
      { mark: { type: "circle", size: 55, color: "#3b82c4", opacity: 0.85 },
        encoding: { x, y, tooltip: [{ field: "job" }, { field: "y", title: plainTitle(sweep.objective), format: ".4~g" }] } },
    ],
  };
}
