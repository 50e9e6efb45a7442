"use strict";
// Drawing on a canvas: its size and colours, scales, axes, and densities of points.

/** A canvas that is as wide as its box: {canvas, begin()}. */
function ganChart(text, ratio) {
  const canvas = ganElement("canvas", { class: "explorer-chart", role: "img", "aria-label": text });
  const begin = () => {
    const width = Math.max(canvas.clientWidth, 240);
    const height = Math.round(Math.max(width * ratio, 320));
    const dots = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.font = "12px system-ui, sans-serif";
    return { context, width, height, colours: ganColours(canvas) };
  };
  return { canvas, begin };
}

/** The page's colours as they are now, light or dark. */
function ganColours(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim() || style.color;
  return Object.fromEntries(
    ["ink", "paper", "panel", "line", "accent", "muted"].map((name) => [name, colour(name)])
  );
}

/** From data to pixels. */
function ganScale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

/** About `count` round numbers between two ends. */
function ganTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(k * step);
  return ticks.map((tick) => Number(tick.toPrecision(8)));
}

/** A line through points [x, y]. */
function ganLine(context, points, { colour, width = 1.5, dash = [] }) {
  context.save();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  context.restore();
}

/** Numbers below a plot, with small marks. */
function ganAxisX(context, ticks, x, y, colours) {
  context.fillStyle = colours.muted;
  context.textAlign = "center";
  for (const tick of ticks) {
    ganLine(context, [[x(tick), y], [x(tick), y + 4]], { colour: colours.line });
    context.fillText(String(tick), x(tick), y + 16);
  }
}

/** Numbers beside a plot, on its left or right. */
function ganAxisY(context, ticks, x, y, colours, onRight = false) {
  context.fillStyle = colours.muted;
  context.textAlign = onRight ? "left" : "right";
  for (const tick of ticks) context.fillText(String(tick), x + (onRight ? 6 : -6), y(tick) + 4);
}

/** Density of a mixture of round Gaussians; of one component alone if a label says which. */
function ganDensity(density, label) {
  const chosen = label === null ? density.means.map((_, k) => k) : [label];
  const total = chosen.reduce((sum, k) => sum + density.weights[k], 0);
  const dim = density.means[0].length;
  return (...x) =>
    chosen.reduce((sum, k) => {
      const variance = density.stds[k] ** 2;
      const squared = x.reduce((s, v, i) => s + (v - density.means[k][i]) ** 2, 0);
      const height = density.weights[k] / total / (2 * Math.PI * variance) ** (dim / 2);
      return sum + height * Math.exp(-squared / (2 * variance));
    }, 0);
}

/** Low and high end of one axis: of p_data, if it is known, and of most samples. */
function ganEnds(density, samples, axis, dim) {
  const values = [];
  for (let i = axis; i < samples.length; i += dim) values.push(samples[i]);
  values.sort((a, b) => a - b);
  const at = (share) => values[Math.round(share * (values.length - 1))];
  let [low, high] = [at(0.005), at(0.995)];
  if (density) {
    density.means.forEach((mean, k) => {
      low = Math.min(low, mean[axis] - 4 * density.stds[k]);
      high = Math.max(high, mean[axis] + 4 * density.stds[k]);
    });
  }
  const margin = 0.04 * (high - low) || 1;
  return [low - margin, high + margin];
}

/** The names of what is drawn; each has a mark of its own. */
function ganLegend(entries) {
  const list = ganElement("ul", { class: "explorer-legend" });
  for (const [kind, text] of entries) {
    const mark = ganElement("span", { class: `explorer-mark ${kind}`, "aria-hidden": "true" });
    list.append(ganElement("li", {}, mark, text));
  }
  return list;
}
