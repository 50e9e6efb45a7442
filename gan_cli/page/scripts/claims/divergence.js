"use strict";
// Densities on the line, and the integrals of them that the papers are about, in nats.
// A density is {means, stds, weights}: a mixture of Gaussians; weights add up to 1.

const ALIVE_REACH = 10; // standard deviations about each mean that a grid covers ...
const ALIVE_POINTS = 1200; // ... with so many points

/** One Gaussian. */
function aliveNormal(mean, std) {
  return { means: [mean], stds: [std], weights: [1] };
}

/** log(e^a + e^b). */
function aliveLogSum(a, b) {
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** -log sigmoid(-v), as PyTorch's softplus. */
function aliveSoftplus(v) {
  return aliveLogSum(0, v);
}

/** 1 / (1 + e^-v). */
function aliveSigmoid(v) {
  return 1 / (1 + Math.exp(-v));
}

/** Log of a density at x; finite everywhere. */
function aliveLogDensity({ means, stds, weights }, x) {
  return means
    .map((mean, k) => {
      const scaled = (x - mean) / stds[k];
      return Math.log(weights[k] / stds[k]) - Math.log(2 * Math.PI) / 2 - scaled ** 2 / 2;
    })
    .reduce(aliveLogSum);
}

/** Rising points that are fine wherever one of the densities is. */
function aliveGrid(...densities) {
  const points = densities.flatMap(({ means, stds }) =>
    means.flatMap((mean, k) =>
      Array.from({ length: ALIVE_POINTS + 1 }, (_, i) => {
        return mean + stds[k] * ALIVE_REACH * ((2 * i) / ALIVE_POINTS - 1);
      })
    )
  );
  return points.sort((a, b) => a - b);
}

/** Integral of f(x, log p(x), log q(x)) by the trapezoid rule, for some f at once. */
function aliveIntegrals(p, q, f) {
  let sums = null, last = null, before = 0;
  for (const x of aliveGrid(p, q)) {
    const values = f(x, aliveLogDensity(p, x), aliveLogDensity(q, x));
    if (last) sums = values.map((v, i) => (sums ? sums[i] : 0) + ((v + last[i]) / 2) * (x - before));
    [last, before] = [values, x];
  }
  return sums;
}

/**
 * V of a D, with D's log-odds given as a function of (x, log p, log q):
 * E_p[log D] + E_q[log(1 - D)].
 */
function aliveValue(p, q, logit) {
  const [value] = aliveIntegrals(p, q, (x, a, b) => {
    const l = logit(x, a, b);
    return [-Math.exp(a) * aliveSoftplus(-l) - Math.exp(b) * aliveSoftplus(l)];
  });
  return value;
}

/** What theorem 1 speaks of: {value, jsd, forward, backward}, D being the best. */
function aliveDivergences(p, q) {
  const [toMiddle, fromMiddle, forward, backward] = aliveIntegrals(p, q, (x, a, b) => {
    const middle = aliveLogSum(a, b) - Math.LN2;
    const [pHere, qHere] = [Math.exp(a), Math.exp(b)];
    return [pHere * (a - middle), qHere * (b - middle), pHere * (a - b), qHere * (b - a)];
  });
  const value = aliveValue(p, q, (x, a, b) => a - b); // D* = p / (p + q)
  return { value, jsd: (toMiddle + fromMiddle) / 2, forward, backward };
}
