"use strict";
// Algorithm 1 on the line, small enough to read: G(z) = t + s z and D(x) = sigmoid(a + b x + c x^2).
// For data N(mean, std^2) the best D is of this form, and G can equal the data.

/** D's log-odds. */
function aliveLogit([a, b, c], x) {
  return a + b * x + c * x * x;
}

/** Gradient of D's loss -V in (a, b, c), on real and generated points. */
function aliveGradientD(d, real, made) {
  const gradient = [0, 0, 0];
  const add = (x, slope) => [1, x, x * x].forEach((power, i) => (gradient[i] += slope * power));
  for (const x of real) add(x, -aliveSigmoid(-aliveLogit(d, x)) / real.length);
  for (const x of made) add(x, aliveSigmoid(aliveLogit(d, x)) / made.length);
  return gradient;
}

/** Gradient of G's loss in (t, s), on noise: of log(1 - D) for minimax, of -log D else. */
function aliveGradientG(d, [t, s], noise, loss) {
  const gradient = [0, 0];
  for (const z of noise) {
    const x = t + s * z;
    const l = aliveLogit(d, x);
    const outer = loss === "minimax" ? -aliveSigmoid(l) : -aliveSigmoid(-l);
    const slope = (outer * (d[1] + 2 * d[2] * x)) / noise.length; // through D alone
    gradient[0] += slope;
    gradient[1] += slope * z;
  }
  return gradient;
}

/** A game before its first move. */
function aliveGame({ mean, std, batch, start, seed }) {
  const normal = ganNormals(ganRandom(seed));
  const draw = (centre, width) => Array.from({ length: batch }, () => centre + width * normal());
  return { mean, std, d: [0, 0, 0], g: [...start], step: 0, moved: 0, moves: 0, draw };
}

/** The next move of Algorithm 1, on fresh draws: "d" k times, then "g". Says who has moved. */
function aliveMove(game, { k, rate, loss }) {
  const down = (numbers, gradient) => numbers.map((v, i) => v - rate * gradient[i]);
  const noise = game.draw(0, 1);
  game.moves += 1;
  if (game.moved < k) {
    const made = noise.map((z) => game.g[0] + game.g[1] * z);
    game.d = down(game.d, aliveGradientD(game.d, game.draw(game.mean, game.std), made));
    game.moved += 1;
    return "d";
  }
  game.g = down(game.g, aliveGradientG(game.d, game.g, noise, loss));
  game.moved = 0;
  game.step += 1;
  return "g";
}

/** Moves until G has moved. */
function aliveStep(game, settings) {
  while (aliveMove(game, settings) !== "g");
}

/** Where the game stands: {model, jsd, value, isFinite}; V by integration. */
function aliveStanding(game) {
  const numbers = [...game.d, ...game.g];
  if (!numbers.every((v) => Math.abs(v) < 1e4)) return { isFinite: false };
  const data = aliveNormal(game.mean, game.std);
  const model = aliveNormal(game.g[0], Math.max(Math.abs(game.g[1]), 1e-3)); // s = 0 has no density
  const value = aliveValue(data, model, (x) => aliveLogit(game.d, x));
  return { isFinite: true, data, model, value, jsd: aliveDivergences(data, model).jsd };
}
