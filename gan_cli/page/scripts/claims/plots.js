"use strict";
// Plots of the claims, in SVG: its lines take the page's colours by themselves.

/** An SVG element with attributes and children. */
function aliveSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * A plot as wide as its box: {svg, show(figure)}.
 *
 * text: what it shows, for who cannot see it. ratio: of height to width; 1 makes scales equal.
 * A figure has x and y: [low, high]; right: true, if a second axis goes from 0 to 1; names {x, y,
 * right}; lines: [{kind, points, onRight, filled}], where kind is a class of alive.css; and marks:
 * [{kind, at}], small circles.
 */
function alivePlot(text, { ratio = 0.45 } = {}) {
  const svg = aliveSvg("svg", { class: "alive-plot", role: "img", "aria-label": text });
  if (ratio === 1) svg.classList.add("alive-square");
  let last = null;
  const show = (figure) => {
    last = figure;
    const width = Math.max(svg.getBoundingClientRect().width, 240);
    svg.replaceChildren(...aliveParts(figure, width, ratio));
    const height = aliveFrame(figure, width, ratio).bottom + 38;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
  };
  let seen = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (last && contentRect.width !== seen) show(last);
    seen = contentRect.width;
  }).observe(svg);
  return { svg, show };
}

/** Where the axes lie, in pixels. */
function aliveFrame({ right }, width, ratio) {
  const ends = { left: 44, right: width - (right ? 44 : 12), top: 10 };
  const height = ratio === 1 ? ends.right - ends.left : Math.max(width * ratio, 190);
  return { ...ends, bottom: ends.top + height };
}

/** Everything in a plot, from back to front. */
function aliveParts(figure, width, ratio) {
  const frame = aliveFrame(figure, width, ratio);
  const x = ganScale(...figure.x, frame.left, frame.right);
  const y = ganScale(...figure.y, frame.bottom, frame.top);
  const share = ganScale(0, 1, frame.bottom, frame.top);
  const inside = (value) => Math.min(frame.bottom, Math.max(frame.top, value)).toFixed(2);
  const lines = figure.lines.map(({ kind, points, onRight, filled }) => {
    const height = onRight ? share : y;
    const way = points.map((p) => `${x(p[0]).toFixed(2)} ${inside(height(p[1]))}`).join("L");
    const closed = filled ? `L${frame.right} ${frame.bottom}L${frame.left} ${frame.bottom}Z` : "";
    return aliveSvg("path", { class: `alive-line ${kind}`, d: way && `M${way}${closed}` });
  });
  const marks = (figure.marks || []).map(({ kind, at }) =>
    aliveSvg("circle", { class: `alive-mark ${kind}`, cx: x(at[0]), cy: y(at[1]), r: 5 })
  );
  return [...aliveAxes(figure, frame, { x, y, share }), ...lines, ...marks];
}

/** Axes with round numbers, and their names. */
function aliveAxes({ x, y, right, names }, frame, scale) {
  const middle = (frame.top + frame.bottom) / 2;
  const text = (words, at, anchor, more = {}) =>
    aliveSvg("text", { x: at[0], y: at[1], "text-anchor": anchor, ...more }, words);
  const upright = (words, at) =>
    text(words, at, "middle", { transform: `rotate(-90 ${at[0]} ${at[1]})` });
  const parts = [
    aliveSvg("path", {
      class: "alive-axis",
      d: `M${frame.left} ${frame.top}V${frame.bottom}H${frame.right}${right ? `V${frame.top}` : ""}`,
    }),
    text(names.x, [(frame.left + frame.right) / 2, frame.bottom + 33], "middle"),
    upright(names.y, [12, middle]),
  ];
  for (const tick of ganTicks(...x, Math.max(3, (frame.right - frame.left) / 55))) {
    parts.push(text(String(tick), [scale.x(tick), frame.bottom + 16], "middle"));
  }
  for (const tick of ganTicks(...y, Math.max(5, (frame.bottom - frame.top) / 90))) {
    parts.push(text(String(tick), [frame.left - 5, scale.y(tick) + 4], "end"));
  }
  if (!right) return parts;
  for (const tick of [0, 0.5, 1]) {
    parts.push(text(String(tick), [frame.right + 5, scale.share(tick) + 4], "start"));
  }
  parts.push(upright(names.right, [frame.right + 36, middle]));
  return parts;
}

/** The names of lines, each with its mark: entries [kind, name]. */
function aliveLegend(entries) {
  const list = ganElement("ul", { class: "alive-legend" });
  for (const [kind, name] of entries) {
    const isDot = kind === "start" || kind === "end";
    const line = isDot
      ? aliveSvg("circle", { class: `alive-mark ${kind}`, cx: 13, cy: 6, r: 5 })
      : aliveSvg("path", { class: `alive-line ${kind}`, d: "M1 6H25" });
    const size = { viewBox: "0 0 26 12", width: 26, height: 12, "aria-hidden": "true" };
    list.append(ganElement("li", {}, aliveSvg("svg", size, line), name));
  }
  return list;
}

/** Numbers with names: {list, set(values)}. */
function aliveNumbers(names) {
  const list = ganElement("dl", { class: "alive-numbers" });
  const places = names.map((name) => {
    const place = ganElement("dd");
    list.append(ganElement("div", {}, ganElement("dt", {}, name), place));
    return place;
  });
  return { list, set: (values) => values.forEach((value, i) => (places[i].textContent = value)) };
}

/** A number with four decimals; a large one with three digits. */
function aliveFixed(value) {
  if (!Number.isFinite(value)) return "not finite";
  return Math.abs(value) < 100 ? value.toFixed(4) : value.toPrecision(3);
}
