"use strict";
// Layers without kernels: each writes into step.out.

/** Each number by itself. */
function ganEach(step, x, f) {
  const out = step.out;
  for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
}

/** W x + b, row by row; four sums at once, because each waits for its own last addition. */
function ganLinear(step, x) {
  const { weight, bias, out } = step;
  const n = x.length;
  const even = n - (n % 4);
  for (let row = 0; row < out.length; row++) {
    const start = row * n;
    let a = 0, b = 0, c = 0, d = 0;
    for (let i = 0; i < even; i += 4) {
      a += weight[start + i] * x[i];
      b += weight[start + i + 1] * x[i + 1];
      c += weight[start + i + 2] * x[i + 2];
      d += weight[start + i + 3] * x[i + 3];
    }
    for (let i = even; i < n; i++) a += weight[start + i] * x[i];
    out[row] = a + b + c + d + (bias ? bias[row] : 0);
  }
}

/** Scale and shift of each channel: batch norm with its running statistics, among others. */
function ganAffine(step, x) {
  const { scale, shift, out } = step;
  const pixels = out.length / scale.length;
  for (let channel = 0, i = 0; channel < scale.length; channel++) {
    for (const end = i + pixels; i < end; i++) out[i] = x[i] * scale[channel] + shift[channel];
  }
}

/** Group norm; with one group layer norm, with as many as channels instance norm. */
function ganNorm(step, x) {
  const { groups, channels, eps, scale, shift, out } = step;
  const length = out.length / groups;
  const pixels = out.length / channels;
  for (let group = 0; group < groups; group++) {
    const start = group * length;
    let mean = 0, variance = 0;
    for (let i = start; i < start + length; i++) mean += x[i];
    mean /= length;
    for (let i = start; i < start + length; i++) variance += (x[i] - mean) ** 2;
    const factor = 1 / Math.sqrt(variance / length + eps);
    for (let i = start; i < start + length; i++) {
      const channel = Math.floor(i / pixels);
      const y = (x[i] - mean) * factor;
      out[i] = y * (scale ? scale[channel] : 1) + (shift ? shift[channel] : 0);
    }
  }
}

/** The largest of each few neighbours: maxout. */
function ganMax(step, x) {
  const { pieces, out } = step;
  for (let i = 0; i < out.length; i++) {
    let most = x[i * pieces];
    for (let j = 1; j < pieces; j++) most = Math.max(most, x[i * pieces + j]);
    out[i] = most;
  }
}

/** All inputs one after the other. */
function ganCat(step, x, inputs) {
  let place = 0;
  for (const input of inputs) {
    step.out.set(input, place);
    place += input.length;
  }
}

/** A label as numbers, of which one is 1. */
function ganOneHot(step, label) {
  step.out.fill(0);
  step.out[label] = 1;
}

/** The row of a label. */
function ganEmbedding(step, label) {
  const width = step.out.length;
  step.out.set(step.weight.subarray(label * width, (label + 1) * width));
}

/** Each number as a plane of pixels. */
function ganSpread(step, x) {
  for (let i = 0; i < x.length; i++) {
    step.out.fill(x[i], i * step.pixels, (i + 1) * step.pixels);
  }
}

/** Copies of each pixel to the right and below. */
function ganCopies(step, x) {
  const { factor, from, out } = step;
  const [channels, height, width] = from;
  for (let row = 0, i = 0; row < channels * height * factor; row++) {
    const start = Math.floor(row / factor) * width;
    for (let column = 0; column < width * factor; column++, i++) {
      out[i] = x[start + Math.floor(column / factor)];
    }
  }
}

/** The sum of two values. */
function ganAdd(step, x, inputs) {
  for (let i = 0; i < step.out.length; i++) step.out[i] = x[i] + inputs[1][i];
}

/** The product of two values. */
function ganMul(step, x, inputs) {
  for (let i = 0; i < step.out.length; i++) step.out[i] = x[i] * inputs[1][i];
}

/** The sum of all numbers of a vector. */
function ganSum(step, x) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i];
  step.out[0] = sum;
}

/** 64 bits, each of which depends on all bits of the input (SplitMix64), as in training. */
function ganMixed(bits) {
  const word = (number) => BigInt.asUintN(64, number);
  let mixed = word(bits + 0x9e3779b97f4a7c15n);
  mixed = word((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = word((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  return mixed ^ (mixed >> 31n);
}

/** The number that stands for a z: a function of all its bits. */
function ganKey(z) {
  const bits = new Int32Array(Float32Array.from(z).buffer);
  let key = 0n;
  bits.forEach((word, i) => (key += ganMixed(BigInt(word) + ganMixed(BigInt(i)))));
  return BigInt.asUintN(64, key);
}

/** Dropout that stays on in sampling: which units are dropped is a function of z alone. */
function ganDrop(step, x, inputs, z) {
  const { p, layer, out } = step;
  const start = ganMixed(ganKey(z) + BigInt(layer));
  const least = Math.fround(p * 2 ** 24);
  for (let i = 0; i < out.length; i++) {
    const bits = ganMixed(start + BigInt(i) * 0x9e3779b97f4a7c15n);
    out[i] = Number(bits & 0xffffffn) >= least ? x[i] / (1 - p) : 0;
  }
}
