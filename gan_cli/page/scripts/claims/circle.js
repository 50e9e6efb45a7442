"use strict";
// The smallest GAN (the Dirac-GAN of Mescheder et al. 2018): data are 0, G makes t, and
// D(x) = sigmoid(p x). The players circle about p = t = 0.

const ALIVE_ARMS = ["minimax", "with R1", "-log D"];

/** (p, t) at the start and after each step: D moves, then G, each down its own loss. */
function alivePath(loss, rate, gamma, steps, start = 0.4) {
  const brake = loss === "with R1" ? gamma : 0; // gradient of gamma/2 p^2 is gamma p
  let [p, t] = [0, start];
  const path = [[p, t]];
  for (let step = 0; step < steps; step++) {
    p -= rate * (aliveSigmoid(p * t) * t + brake * p);
    const pull = loss === "-log D" ? aliveSigmoid(-p * t) : aliveSigmoid(p * t);
    t += rate * pull * p;
    path.push([p, t]);
  }
  return path;
}

/** Steps of one turn, from the two moves' matrix near balance; its determinant is 1 - rate gamma. */
function aliveTurn(rate, gamma) {
  const trace = 2 - rate * gamma - rate ** 2 / 4;
  return Math.round((2 * Math.PI) / Math.acos(trace / 2 / Math.sqrt(1 - rate * gamma)));
}

/**
 * A place where rate, gamma and loss are chosen.
 *
 * settings: rate, gamma and start, as the claim's own experiment has them.
 */
aliveWidgets.circle = (place, { rate, gamma, start }) => {
  const plot = alivePlot("D's weight p and G's number t, step by step.", { ratio: 1 });
  const numbers = aliveNumbers([
    "Steps of a turn", "Distance kept in turn 1", "Kept in a step, on average", "√(1 - rate gamma)",
  ]);
  let loss = ALIVE_ARMS[0];
  const draw = () => {
    const brake = loss === "with R1" ? gammas.value() : 0;
    gammas.row.hidden = loss !== "with R1";
    const turn = aliveTurn(rates.value(), brake);
    const path = alivePath(loss, rates.value(), brake, turns.value() * turn, start);
    const radius = (step) => Math.hypot(...path[step]);
    const kept = radius(turn) / radius(0);
    numbers.set([
      String(turn), `${(100 * kept).toFixed(1)} %`, (kept ** (1 / turn)).toFixed(5),
      loss === "-log D" ? "not for this loss" : Math.sqrt(1 - rates.value() * brake).toFixed(5),
    ]);
    plot.show(aliveCircleFigure(path, start));
  };
  const rates = ganSlider({ text: "Rate", min: 0.01, max: 0.41, value: rate, onInput: draw, digits: 3 });
  const gammas = ganSlider({ text: "gamma of R1", min: 0, max: 0.8, value: gamma, onInput: draw, digits: 3 });
  const turns = ganSlider({ text: "Turns", min: 1, max: 10, step: 1, value: 2, onInput: draw, digits: 0 });
  const names = ["V (minimax)", "V with R1", "-log D"];
  const choice = ganChoice("Loss", names, (index) => {
    loss = ALIVE_ARMS[index];
    draw();
  });
  const sliders = [rates.row, gammas.row, turns.row];
  const legend = aliveLegend([["model", "path"], ["start", "start"], ["end", "end"], ["judge", "balance"]]);
  place.append(
    ganElement("div", { class: "alive-controls" }, choice.group, ...sliders),
    legend, plot.svg, numbers.list
  );
  draw();
};

/** The path about balance, for a plot. */
function aliveCircleFigure(path, start) {
  const most = path.reduce((far, [p, t]) => Math.max(far, Math.abs(p), Math.abs(t)), start);
  const end = 1.08 * most;
  const arm = 0.05 * most;
  return {
    x: [-end, end],
    y: [-end, end],
    names: { x: "D's weight p", y: "G's number t" },
    lines: [
      { kind: "model", points: path },
      { kind: "judge", points: [[-arm, 0], [arm, 0]] },
      { kind: "judge", points: [[0, -arm], [0, arm]] },
    ],
    marks: [{ kind: "start", at: path[0] }, { kind: "end", at: path[path.length - 1] }],
  };
}
