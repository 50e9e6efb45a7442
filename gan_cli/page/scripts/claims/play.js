"use strict";
// A GAN that trains while one looks.

const ALIVE_STEPS = 5000; // then it stops by itself
const ALIVE_A_FRAME = 4; // steps
const ALIVE_LOSSES = ["minimax", "non_saturating"];

/**
 * A place where two players play.
 *
 * settings: mean and std of the data, batch, start [t, s] of G, seed; k, rate, with which it begins.
 */
aliveWidgets.play = (place, settings) => {
  const plot = alivePlot("p_data, p_g and D over x, as they are now.");
  const curve = alivePlot("JSD, and the bound that V gives for it, over steps.", { ratio: 0.25 });
  const numbers = aliveNumbers(["Step", "Moves", "G makes", "V(D, G)", "JSD", "(V + log 4) / 2"]);
  const said = ganElement("p", { class: "alive-said", role: "status" });
  const state = { game: null, history: [], loss: ALIVE_LOSSES[0], frame: 0 };
  const chosen = () => ({ k: k.value(), rate: rate.value(), loss: state.loss });
  const draw = () => {
    const standing = aliveStanding(state.game);
    if (!standing.isFinite) return stop("The numbers have run away. Lower the rate, and start again.");
    aliveRemember(state, standing);
    plot.show(alivePlayFigure(state.game, standing));
    curve.show(aliveCurveFigure(state.history));
    const [t, s] = state.game.g;
    const makes = `N(${t.toFixed(2)}, ${Math.abs(s).toFixed(2)}²)`;
    const { value, jsd } = standing;
    const nats = [value, jsd, (value + Math.log(4)) / 2].map(aliveFixed);
    numbers.set([String(state.game.step), String(state.game.moves), makes, ...nats]);
  };
  const stop = (words) => {
    cancelAnimationFrame(state.frame);
    state.frame = 0;
    play.textContent = "Play";
    if (said.textContent !== words) said.textContent = words;
  };
  const tick = () => {
    const each = matchMedia("(prefers-reduced-motion: reduce)").matches ? 250 : ALIVE_A_FRAME;
    for (let i = 0; i < each && state.game.step < ALIVE_STEPS; i++) {
      aliveStep(state.game, chosen());
      if (state.game.step % 10 === 0) aliveRemember(state, aliveStanding(state.game));
    }
    state.frame = requestAnimationFrame(tick);
    draw();
    if (state.frame && state.game.step >= ALIVE_STEPS) stop(`${ALIVE_STEPS} steps are done.`);
  };
  const play = ganButton("Play", () => {
    if (state.frame) return stop(`Paused after step ${state.game.step}.`);
    if (!aliveStanding(state.game).isFinite || state.game.step >= ALIVE_STEPS) begin();
    play.textContent = "Pause";
    said.textContent = "D and G take turns.";
    state.frame = requestAnimationFrame(tick);
  }, { class: "alive-main" });
  const move = ganButton("One move", () => {
    stop(aliveMoveWords(aliveMove(state.game, chosen()), state.game, k.value()));
    draw();
  });
  const step = ganButton("One step", () => {
    aliveStep(state.game, chosen());
    stop(`D has moved, then G: that was step ${state.game.step}.`);
    draw();
  });
  const begin = () => {
    state.game = aliveGame(settings);
    state.history = [];
    stop("No one has moved yet.");
    draw();
  };
  const again = ganButton("Start again", begin);
  const later = { onInput: () => {} }; // the next move takes the new value
  const k = ganSlider({
    text: "k, moves of D a step", min: 1, max: 20, step: 1, value: settings.k, digits: 0, ...later,
  });
  const rate = ganSlider({
    text: "Rate", min: 0.01, max: 0.41, value: settings.rate, digits: 3, ...later,
  });
  const choice = ganChoice("G's loss", ["log(1 - D)", "-log D"], (i) => (state.loss = ALIVE_LOSSES[i]));
  const buttons = ganElement("div", { class: "alive-buttons" }, play, move, step, again);
  const inputs = [k.row, rate.row, choice.group, buttons];
  const controls = ganElement("div", { class: "alive-controls" }, ...inputs);
  const lines = aliveLegend([["data", "p_data"], ["model", "p_g"], ["judge", "D"], ["best", "D*, the best for this G"]]);
  const below = aliveLegend([["judge", "JSD(p_data, p_g)"], ["best", "(V + log 4) / 2, which is less"]]);
  place.append(controls, said, lines, plot.svg, below, curve.svg, numbers.list);
  begin();
};

/** Keep JSD and V's bound of this step; once for each step. */
function aliveRemember({ game, history }, standing) {
  if (!standing.isFinite || (history.length && history[history.length - 1].step === game.step)) return;
  history.push({ step: game.step, jsd: standing.jsd, bound: (standing.value + Math.log(4)) / 2 });
}

/** Who has moved, and who is next. */
function aliveMoveWords(who, game, k) {
  if (who === "g") return `G has moved: step ${game.step} is done. D is next.`;
  const next = game.moved < k ? "D is next, on fresh noise and data." : "G is next, on fresh noise.";
  return `D has moved, ${game.moved} of ${k} in this step. ${next}`;
}

/** Densities, D and D* as they are now, for a plot. */
function alivePlayFigure({ d, mean, std }, { data, model }) {
  const [low, high] = [mean - 8 * std, mean + 6 * std];
  const x = Array.from({ length: 301 }, (_, i) => low + ((high - low) * i) / 300);
  const density = (of) => x.map((v) => [v, Math.exp(aliveLogDensity(of, v))]);
  const odds = (v) => aliveLogDensity(data, v) - aliveLogDensity(model, v);
  const real = density(data);
  return {
    x: [low, high],
    y: [0, 2 * Math.max(...real.map(([, y]) => y))],
    right: true,
    names: { x: "x", y: "density", right: "D(x)" },
    lines: [
      { kind: "data", points: real, filled: true },
      { kind: "model", points: density(model) },
      { kind: "best", points: x.map((v) => [v, aliveSigmoid(odds(v))]), onRight: true },
      { kind: "judge", points: x.map((v) => [v, aliveSigmoid(aliveLogit(d, v))]), onRight: true },
    ],
  };
}

/** JSD and its bound over steps, for a plot; far below 0 the bound says nothing. */
function aliveCurveFigure(history) {
  const last = history[history.length - 1].step;
  return {
    x: [0, Math.max(last, 50)],
    y: [-0.1, Math.LN2 + 0.05],
    names: { x: "step", y: "nats" },
    lines: [
      { kind: "best", points: history.map(({ step, bound }) => [step, bound]) },
      { kind: "judge", points: history.map(({ step, jsd }) => [step, jsd]) },
    ],
  };
}
