"use strict";
// z in the page: a small seeded generator, the prior, and ways between two z.

/** Numbers in [0, 1) from a seed of 32 bits: mulberry32 (Tommy Ettinger, 2017). */
function ganRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normal numbers (Box and Muller 1958). */
function ganNormals(random) {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The z of samples `first` and on, one after the other; sample i hangs on seed and i alone. */
function ganDraw(noise, seed, first, n) {
  const z = new Float32Array(n * noise.dim);
  for (let i = 0; i < n; i++) {
    const mixed = Math.imul(seed, 0x9e3779b1) + Math.imul(first + i + 1, 0x85ebca6b);
    const random = ganRandom(mixed);
    const normal = ganNormals(random);
    for (let k = 0; k < noise.dim; k++) {
      z[i * noise.dim + k] =
        noise.kind === "uniform"
          ? noise.low + (noise.high - noise.low) * random()
          : normal() * (noise.std || 1);
    }
    if (noise.kind === "spherical") ganOntoSphere(z.subarray(i * noise.dim, (i + 1) * noise.dim));
  }
  return z;
}

/** Divide a vector by its length, in place. */
function ganOntoSphere(z) {
  const length = Math.max(ganLength(z), 1e-12);
  for (let k = 0; k < z.length; k++) z[k] /= length;
  return z;
}

/** Euclidean norm. */
function ganLength(z) {
  return Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));
}

/** Move a combination of draws, in place, to where draws lie. */
function ganOntoSupport(noise, z) {
  return noise.kind === "spherical" ? ganOntoSphere(z) : z;
}

/** The z between a (t = 0) and b (t = 1): along a great circle, for uniform noise a line. */
function ganBetween(noise, a, b, t) {
  const cosine = a.reduce((sum, v, k) => sum + v * b[k], 0) / (ganLength(a) * ganLength(b));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  // Of the same direction, or opposite ones, no great circle is meant.
  const round = noise.kind !== "uniform" && Math.sin(angle) >= 1e-6;
  const sine = Math.sin(angle);
  const [left, right] = round
    ? [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine]
    : [1 - t, t];
  return ganOntoSupport(noise, a.map((v, k) => left * v + right * b[k]));
}

/** a - b + c, where draws lie. */
function ganSumOf(noise, a, b, c) {
  return ganOntoSupport(noise, a.map((v, k) => v - b[k] + c[k]));
}

/** The ends of a slider for one number of z. */
function ganReach(noise) {
  if (noise.kind === "uniform") return [noise.low, noise.high];
  return noise.kind === "normal" ? [-3 * noise.std, 3 * noise.std] : [-1, 1];
}
