"use strict";
// Proposition 1, theorem 1 and the divergences: p_g is moved by hand, and D* follows.

/**
 * A place where p_g = N(mean, std^2) is held against p_data.
 *
 * settings: data, a density; mean and std, where p_g starts; means and stds: ends of the sliders;
 * pushed: whether D may be pushed away from D*.
 */
aliveWidgets.densities = (place, settings) => {
  const { data } = settings;
  const plot = alivePlot("p_data, p_g and the best D over x; the numbers below say the same.");
  const numbers = aliveNumbers([
    settings.pushed ? "V of this D" : "V(D*, G)",
    "-log 4 + 2 JSD", "JSD, at most 0.6931", "KL(data, g)", "KL(g, data)",
  ]);
  const said = ganElement("p", { class: "alive-said", role: "status" });
  let isEqual = false;
  const draw = () => {
    const model = isEqual ? data : aliveNormal(mean.value(), std.value());
    const push = settings.pushed ? pushed.value() : 0;
    plot.show(aliveDensityFigure(data, model, settings, push));
    const { value, jsd, forward, backward } = aliveDivergences(data, model);
    const here = push ? aliveValue(data, model, (x, a, b) => a - b + push) : value;
    numbers.set([here, 2 * jsd - Math.log(4), jsd, forward, backward].map(aliveFixed));
    equal.setAttribute("aria-pressed", String(isEqual));
    const words = aliveDensityWords(isEqual, push, value - here);
    if (said.textContent !== words) said.textContent = words; // or it would be read aloud again
  };
  const moved = () => {
    isEqual = false;
    draw();
  };
  const slider = (text, [min, max], value) => ganSlider({ text, min, max, value, onInput: moved });
  const mean = slider("Mean of p_g", settings.means, settings.mean);
  const std = slider("Deviation of p_g", settings.stds, settings.std);
  const pushed = ganSlider({ text: "Push D's log-odds", min: -3, max: 3, value: 0, onInput: draw });
  const equal = ganButton("p_g = p_data", () => {
    isEqual = !isEqual;
    if (data.means.length === 1) {
      mean.set(data.means[0]);
      std.set(data.stds[0]);
    }
    draw();
  });
  const controls = ganElement("div", { class: "alive-controls" }, mean.row, std.row);
  if (settings.pushed) controls.append(pushed.row);
  controls.append(equal);
  const judge = settings.pushed ? "D" : "D* = p_data / (p_data + p_g)";
  const legend = aliveLegend([
    ["data", "p_data"], ["model", "p_g"],
    ...(settings.pushed ? [["best", "D* = p_data / (p_data + p_g)"]] : []), ["judge", judge],
  ]);
  place.append(controls, legend, plot.svg, numbers.list, said);
  draw();
};

/** Both densities and D, for a plot. */
function aliveDensityFigure(data, model, { means, stds }, push) {
  const [low, high] = [means[0] - stds[1], means[1] + stds[1]];
  const x = Array.from({ length: 401 }, (_, i) => low + ((high - low) * i) / 400);
  const density = (of) => x.map((v) => [v, Math.exp(aliveLogDensity(of, v))]);
  const odds = x.map((v) => aliveLogDensity(data, v) - aliveLogDensity(model, v));
  const judged = (by) => x.map((v, i) => [v, aliveSigmoid(odds[i] + by)]);
  const [real, made] = [density(data), density(model)];
  const most = (points) => Math.max(...points.map(([, y]) => y));
  const judge = { kind: "judge", points: judged(push), onRight: true };
  const best = { kind: "best", points: judged(0), onRight: true };
  return {
    x: [low, high],
    y: [0, 1.05 * Math.min(Math.max(most(real), most(made)), 2.5 * most(real))],
    right: true,
    names: { x: "x", y: "density", right: "D(x)" },
    lines: [
      { kind: "data", points: real, filled: true }, { kind: "model", points: made },
      ...(push ? [best] : []), judge,
    ],
  };
}

/** What there is to see. */
function aliveDensityWords(isEqual, push, lost) {
  if (push) return `D is not D*, and V is ${aliveFixed(lost)} lower than that of D*.`;
  if (!isEqual) return "";
  return "p_g = p_data: the best D says 1/2 everywhere, and V is at its least, -log 4 = -1.3863.";
}
