"use strict";
// Points on the line and in the plane: Figure 1 of Goodfellow et al. (2014), alive.

const GAN_SAMPLES = 6000; // of p_g, drawn some at a time, so that it is seen to grow ...
const GAN_ROUND = 500; // ... at most so many at once
const GAN_ROUND_MS = 60; // ... or what takes about so long
const GAN_GROW_MS = 3000; // large networks draw fewer: what they can in this time
const GAN_BINS = 80;
const GAN_CELLS = 64; // of the heat map, along a side
const GAN_ARROWS = 40;

/** The part of the explorer for points: {start(), repaint()}. */
function ganPoints(section, state) {
  const onLine = state.payload.shape[0] === 1;
  const chart = onLine ? ganFigure1(state) : ganPlane(state);
  const text = ganElement("p", { class: "explorer-readout", role: "status" });
  const count = ganElement("p", { class: "explorer-readout explorer-count" });
  const draw = () => {
    chart.draw();
    const words = ganReadout(state);
    if (text.textContent !== words) text.textContent = words; // or it would be read aloud again
    count.textContent = `${state.samples.length / state.payload.shape[0]} samples`;
  };
  const moved = ganNewest(async () => {
    await ganSee(state);
    draw();
  });
  const sliders = ganNoiseSliders(state, moved);
  state.turn = 0;
  const begin = ganNewest(async () => {
    await ganLook(state, onLine);
    await ganSee(state);
    await ganGrow(state, draw);
  });
  const anew = () => {
    state.turn += 1; // ends what grows now
    return begin();
  };
  const seed = ganSeedRow(state, () => {
    state.z = ganDraw(state.payload.noise, state.seed, 0, 1);
    sliders.show(state.z);
    anew();
  });
  const left = ganElement("div", { class: "explorer-left explorer-wide" });
  left.append(chart.canvas, ganLegend(chart.legend), text, count);
  const right = ganElement("div", { class: "explorer-right" });
  right.append(seed, ...ganClassButtons(state, anew), sliders.box);
  const columns = ganElement("div", { class: "explorer-columns explorer-points" });
  columns.append(left, right);
  section.append(columns);
  const repaint = () => state.samples && draw();
  new ResizeObserver(repaint).observe(left);
  return { start: anew, repaint };
}

/** The label of this class; null for a model that takes none. */
function ganLabel(state) {
  return state.payload.classes.length ? state.label : null;
}

/** D's outputs on points: probabilities, or scores where D's output is no log-odds. */
async function ganJudge(state, points) {
  const judge = state.payload.discriminator;
  if (!judge) return null;
  const labels = ganLabels(state, points.length / judge.input);
  const { values } = await state.engine.ask("discriminator", points, labels);
  return judge.log_odds ? values.map((v) => 1 / (1 + Math.exp(-v))) : values;
}

/** Learn what stays the same for all samples: the ends of the axes, D, and arrows. */
async function ganLook(state, onLine) {
  const { noise, density } = state.payload;
  const dim = onLine ? 1 : 2;
  const first = ganDraw(noise, state.seed, 0, 400);
  const { values } = await state.engine.ask("generator", first, ganLabels(state, 400));
  state.ends = Array.from({ length: dim }, (_, axis) => ganEnds(density, values, axis, dim));
  if (!onLine) state.ends = ganSquare(state.ends);
  state.density = density ? ganDensity(density, ganLabel(state)) : null;
  const grid = onLine ? ganLineGrid(state.ends[0]) : ganPlaneGrid(state.ends);
  state.judged = await ganJudge(state, grid);
  state.grid = grid;
  if (onLine) await ganAimArrows(state);
}

/** Ends of two axes about the same middles, equally long, so that circles look round. */
function ganSquare(ends) {
  const half = Math.max(...ends.map(([low, high]) => high - low)) / 2;
  return ends.map(([low, high]) => [(low + high) / 2 - half, (low + high) / 2 + half]);
}

/** Points along the line. */
function ganLineGrid([low, high]) {
  return Float32Array.from({ length: 241 }, (_, i) => low + ((high - low) * i) / 240);
}

/** The middles of cells of the plane, row by row from below. */
function ganPlaneGrid([[left, right], [low, high]]) {
  const grid = new Float32Array(2 * GAN_CELLS ** 2);
  for (let row = 0, i = 0; row < GAN_CELLS; row++) {
    for (let column = 0; column < GAN_CELLS; column++) {
      grid[i++] = left + ((right - left) * (column + 0.5)) / GAN_CELLS;
      grid[i++] = low + ((high - low) * (row + 0.5)) / GAN_CELLS;
    }
  }
  return grid;
}

/** Arrows from z, in even steps through its prior, to G(z); of more numbers the first counts. */
async function ganAimArrows(state) {
  const { noise } = state.payload;
  const each = 25;
  const z = ganDraw(noise, 0, 0, GAN_ARROWS * each);
  const order = Array.from({ length: GAN_ARROWS * each }, (_, i) => i);
  order.sort((a, b) => z[a * noise.dim] - z[b * noise.dim]);
  const chosen = new Float32Array(GAN_ARROWS * noise.dim);
  for (let i = 0; i < GAN_ARROWS; i++) {
    const from = order[i * each + Math.floor(each / 2)] * noise.dim;
    chosen.set(z.subarray(from, from + noise.dim), i * noise.dim);
  }
  const { values } = await state.engine.ask("generator", chosen, ganLabels(state, GAN_ARROWS));
  state.arrows = Array.from(values, (x, i) => [chosen[i * noise.dim], x]);
}

/** Draw samples of p_g, some at a time. */
async function ganGrow(state, draw) {
  const { noise } = state.payload;
  const { seed, turn } = state;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let made = 0, spent = 0, n = 50;
  state.samples = new Float32Array(0);
  while (turn === state.turn && made < GAN_SAMPLES && spent < GAN_GROW_MS) {
    n = Math.min(n, GAN_SAMPLES - made);
    const z = ganDraw(noise, seed, made, n);
    const { values, ms } = await state.engine.ask("generator", z, ganLabels(state, n));
    const all = new Float32Array(state.samples.length + values.length);
    all.set(state.samples);
    all.set(values, state.samples.length);
    state.samples = all;
    made += n;
    spent += ms;
    n = Math.max(10, Math.min(GAN_ROUND, Math.round((n * GAN_ROUND_MS) / Math.max(ms, 1))));
    if (still) continue;
    draw();
    await new Promise((done) => setTimeout(done, 40));
  }
  draw();
}

/** Where this z goes, and what D says of it. */
async function ganSee(state) {
  const z = ganOntoSupport(state.payload.noise, Float32Array.from(state.z));
  const { values } = await state.engine.ask("generator", z, ganLabels(state, 1));
  const judged = await ganJudge(state, Float32Array.from(values));
  state.here = { z: z[0], x: values, d: judged && judged[0] };
}

/** The same in words. */
function ganReadout(state) {
  const { x, d } = state.here;
  const judge = state.payload.discriminator;
  const parts = [`G(z) = ${Array.from(x, (v) => v.toFixed(2)).join(", ")}`];
  if (d !== null) parts.push(`${judge.log_odds ? "D(x)" : "D's score"} = ${d.toFixed(2)}`);
  if (state.density) parts.push(`p_data(x) = ${state.density(...x).toPrecision(2)}`);
  return parts.join(" · ");
}

/** The names in the legend, each with its mark: of p_data, p_g, D and this z, if they are there. */
function ganNames(state, [data, model, judged, here]) {
  const judge = state.payload.discriminator;
  const modes = data === "modes" ? "p_data, to 3 standard deviations" : "p_data";
  return [
    ...(state.payload.density ? [[data, modes]] : []),
    [model, "p_g, samples of G"],
    ...(judge ? [[judged, judge.log_odds ? "D(x)" : "D's score, scaled"]] : []),
    [here, "this z"],
  ];
}

/** D's outputs from 0 to 1. */
function ganShade(state) {
  if (!state.judged || state.payload.discriminator.log_odds) return state.judged;
  const low = state.judged.reduce((a, b) => Math.min(a, b));
  const high = state.judged.reduce((a, b) => Math.max(a, b));
  return state.judged.map((v) => (v - low) / (high - low || 1));
}
