"use strict";
// The two charts of points: on the line with arrows from z, and in the plane over D's heat map.

/** Densities and D above, arrows from z to x below: {canvas, draw(), legend}. */
function ganFigure1(state) {
  const { canvas, begin } = ganChart("p_data, p_g, D, and arrows from z to G of z", 0.66);
  const draw = () => {
    const { context, width, height, colours } = begin();
    const [low, high] = state.ends[0];
    const box = { left: 40, right: width - 34, top: 12, base: height * 0.66, z: height - 26 };
    const x = ganScale(low, high, box.left, box.right);
    context.save();
    context.beginPath();
    context.rect(box.left, 0, box.right - box.left, height);
    context.clip();
    const y = ganDrawDensities(context, state, x, box, colours);
    ganDrawD(context, state, x, box, colours);
    ganDrawArrows(context, state, x, box, colours);
    context.restore();
    ganAxisX(context, ganTicks(low, high, width / 60), x, box.base, colours);
    ganAxisY(context, ganTicks(0, y.most, 4), box.left, y, colours);
    ganDrawNames(context, state, box, colours);
  };
  return { canvas, draw, legend: ganNames(state, ["data", "model", "judge", "here"]) };
}

/** Histogram of samples, and the line of p_data; gives the scale of densities. */
function ganDrawDensities(context, state, x, box, colours) {
  const [low, high] = state.ends[0];
  const bins = new Float64Array(GAN_BINS);
  for (const value of state.samples) {
    const bin = Math.floor(((value - low) / (high - low)) * GAN_BINS);
    if (bin >= 0 && bin < GAN_BINS) bins[bin] += 1;
  }
  const heights = bins.map((n) => (n * GAN_BINS) / (high - low) / state.samples.length);
  const line = Array.from(state.grid, (v) => [v, state.density ? state.density(v) : 0]);
  const peak = Math.max(...line.map(([, p]) => p));
  // A model that fails puts all samples into one bin; p_data must stay to be seen.
  const most = Math.min(Math.max(peak, ...heights), (peak || Infinity) * 2.5) * 1.08;
  const y = ganScale(0, most, box.base, box.top);
  y.most = most;
  context.fillStyle = colours.accent;
  context.globalAlpha = 0.45;
  heights.forEach((p, i) => {
    const from = x(low + ((high - low) * i) / GAN_BINS);
    const to = x(low + ((high - low) * (i + 1)) / GAN_BINS);
    const top = Math.max(y(p), box.top);
    context.fillRect(from, top, to - from - 0.5, box.base - top);
  });
  context.globalAlpha = 1;
  const drawn = line.map(([v, p]) => [x(v), y(p)]);
  if (state.density) ganLine(context, drawn, { colour: colours.ink, width: 2, dash: [2, 4] });
  return y;
}

/** D along the line, on an axis from 0 to 1, with the level of not knowing. */
function ganDrawD(context, state, x, box, colours) {
  const shade = ganShade(state);
  if (!shade) return;
  const y = ganScale(0, 1, box.base, box.top);
  const half = [[box.left, y(0.5)], [box.right, y(0.5)]];
  if (state.payload.discriminator.log_odds) ganLine(context, half, { colour: colours.line });
  const points = Array.from(shade, (d, i) => [x(state.grid[i]), y(d)]);
  ganLine(context, points, { colour: colours.ink, width: 1.5 });
}

/** Arrows from z (below) to x = G(z) (above); that of this z is thick. */
function ganDrawArrows(context, state, x, box, colours) {
  const [low, high] = ganReach(state.payload.noise);
  const inner = (box.right - box.left) * 0.04;
  const z = ganScale(low, high, box.left + inner, box.right - inner);
  const top = box.base + 24;
  ganLine(context, [[box.left, box.base], [box.right, box.base]], { colour: colours.line });
  ganLine(context, [[box.left, box.z], [box.right, box.z]], { colour: colours.line });
  for (const [from, to] of state.arrows) {
    ganArrow(context, z(from), box.z, x(to), top, { colour: colours.muted, width: 0.8 });
  }
  const here = { colour: colours.accent, width: 3 };
  ganArrow(context, z(state.here.z), box.z, x(state.here.x[0]), top, here);
  const mark = x(state.here.x[0]);
  ganLine(context, [[mark, box.base], [mark, box.top]], { ...here, width: 1.5, dash: [6, 4] });
}

/** A line with a head. */
function ganArrow(context, x0, y0, x1, y1, { colour, width }) {
  ganLine(context, [[x0, y0], [x1, y1]], { colour, width });
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const size = 4 + width;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x1, y1);
  for (const turn of [2.7, -2.7]) {
    context.lineTo(x1 + size * Math.cos(angle + turn), y1 + size * Math.sin(angle + turn));
  }
  context.fill();
}

/** What stands on the axes. */
function ganDrawNames(context, state, box, colours) {
  const judge = state.payload.discriminator;
  if (judge && judge.log_odds) {
    ganAxisY(context, [0, 0.5, 1], box.right, ganScale(0, 1, box.base, box.top), colours, true);
  }
  context.fillStyle = colours.muted;
  context.textAlign = "left";
  context.fillText("x", 4, box.base + 16);
  context.fillText(state.payload.noise.dim > 1 ? "z1" : "z", 4, box.z + 4);
}

/** Samples over p_data and D's heat map: {canvas, draw(), legend}. */
function ganPlane(state) {
  const { canvas, begin } = ganChart("Samples of G in the plane, over p_data and D", 0.92);
  const draw = () => {
    const { context, width, height, colours } = begin();
    const side = Math.min(width - 52, height - 38);
    const box = { left: 40, right: 40 + side, top: 12, base: 12 + side };
    const [across, up] = state.ends;
    const x = ganScale(...across, box.left, box.right);
    const y = ganScale(...up, box.base, box.top);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.right - box.left, box.base - box.top);
    context.clip();
    ganDrawHeat(context, state, x, y, colours);
    ganDrawModes(context, state, x, y, colours);
    ganDrawCloud(context, state, x, y, colours);
    context.restore();
    ganAxisX(context, ganTicks(...across, side / 60), x, box.base, colours);
    ganAxisY(context, ganTicks(...up, 5), box.left, y, colours);
  };
  return { canvas, draw, legend: ganNames(state, ["modes", "cloud", "heat", "ring"]) };
}

/** D's outputs as shade. */
function ganDrawHeat(context, state, x, y, colours) {
  const shade = ganShade(state);
  if (!shade) return;
  const [[left, right], [low, high]] = state.ends;
  const wide = (x(right) - x(left)) / GAN_CELLS;
  const tall = (y(low) - y(high)) / GAN_CELLS;
  context.fillStyle = colours.muted;
  shade.forEach((d, i) => {
    context.globalAlpha = 0.75 * d;
    const row = Math.floor(i / GAN_CELLS);
    // Half a pixel more, or seams show between cells.
    context.fillRect(
      x(left) + (i % GAN_CELLS) * wide, y(low) - (row + 1) * tall, wide + 0.5, tall + 0.5
    );
  });
  context.globalAlpha = 1;
  ganLine(context, [[x(left), y(low)], [x(right), y(low)], [x(right), y(high)], [x(left), y(high)],
    [x(left), y(low)]], { colour: colours.line });
}

/** A circle of three standard deviations about each mode of p_data. */
function ganDrawModes(context, state, x, y, colours) {
  const { density } = state.payload;
  if (!density) return;
  const label = ganLabel(state);
  context.strokeStyle = colours.ink;
  density.means.forEach((mean, k) => {
    if (label !== null && label !== k) return;
    context.beginPath();
    const radius = Math.max(3 * density.stds[k] * Math.abs(x(1) - x(0)), 3);
    context.arc(x(mean[0]), y(mean[1]), radius, 0, 2 * Math.PI);
    context.stroke();
  });
}

/** Samples as dots, and this z's as a ring with a cross. */
function ganDrawCloud(context, state, x, y, colours) {
  context.fillStyle = colours.accent;
  context.globalAlpha = 0.5;
  for (let i = 0; i < state.samples.length; i += 2) {
    context.fillRect(x(state.samples[i]) - 1, y(state.samples[i + 1]) - 1, 2, 2);
  }
  context.globalAlpha = 1;
  const [a, b] = [x(state.here.x[0]), y(state.here.x[1])];
  for (const [colour, width] of [[colours.paper, 6], [colours.accent, 3]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(a, b, 8, 0, 2 * Math.PI);
    context.stroke();
  }
}
