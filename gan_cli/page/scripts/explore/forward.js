"use strict";
// The forward pass of a network, in plain numbers: no library, no document.
//
// All functions of forward.js, layers.js and convolutions.js stand alone, so that a worker can be
// made of their source text (GAN_NUMBERS).

/** Bytes from base64. */
function ganBytes(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Numbers of 32 bits from base64; little-endian, whatever this machine is. */
function ganFloats(text) {
  const bytes = ganBytes(text);
  const view = new DataView(bytes.buffer);
  const values = new Float32Array(bytes.length / 4);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(4 * i, true);
  return values;
}

/** A constant of the payload: floats, or whole numbers of 16 bits with one scale for each row. */
function ganTensor(stored) {
  if (stored.bits === 32) return ganFloats(stored.data);
  const bytes = ganBytes(stored.data);
  const view = new DataView(bytes.buffer);
  const scales = ganFloats(stored.scales);
  const values = new Float32Array(bytes.length / 2);
  const length = values.length / scales.length;
  for (let row = 0, i = 0; row < scales.length; row++) {
    for (const end = i + length; i < end; i++) {
      values[i] = view.getInt16(2 * i, true) * scales[row];
    }
  }
  return values;
}

/** A network of the payload, ready to compute: constants decoded, room for each step's result. */
function ganPrepare(stored) {
  const steps = stored.steps.map((step) => {
    const ready = { ...step, out: new Float32Array(step.size) };
    for (const [key, value] of Object.entries(step)) {
      if (value && value.data !== undefined) ready[key] = ganTensor(value);
    }
    ready.run = ganKernels()[step.name];
    if (!ready.run) throw new Error(`unknown step ${step.name}`);
    if (step.name === "deconv") ganPrepareDeconv(ready);
    if (step.name === "conv") ganPrepareConv(ready);
    return ready;
  });
  return { input: stored.input, size: stored.size, output: stored.output, steps };
}

/**
 * The outputs of a prepared network, one after the other.
 *
 * net: of ganPrepare. z: Float32Array of n inputs. labels: n numbers, or null.
 */
function ganForward(net, z, labels) {
  const n = z.length / net.input;
  const outputs = new Float32Array(n * net.size);
  const values = new Array(2 + net.steps.length);
  for (let i = 0; i < n; i++) {
    values[0] = z.subarray(i * net.input, (i + 1) * net.input);
    values[1] = labels ? labels[i] : 0;
    for (let s = 0; s < net.steps.length; s++) {
      const step = net.steps[s];
      const inputs = step.inputs.map((number) => values[number]);
      step.run(step, inputs[0], inputs, values[0]);
      values[2 + s] = step.out;
    }
    outputs.set(values[net.output], i * net.size);
  }
  return outputs;
}

/** What computes each step: (step, first input, all inputs, the network's input) -> step.out. */
function ganKernels() {
  return {
    linear: ganLinear,
    conv: ganConv,
    deconv: ganDeconv,
    affine: ganAffine,
    norm: ganNorm,
    max: ganMax,
    cat: ganCat,
    one_hot: ganOneHot,
    embedding: ganEmbedding,
    spread: ganSpread,
    copies: ganCopies,
    add: ganAdd,
    mul: ganMul,
    sum: ganSum,
    drop: ganDrop,
    relu: (step, x) => ganEach(step, x, (v) => (v > 0 ? v : 0)),
    leaky: (step, x) => ganEach(step, x, (v) => (v > 0 ? v : v * step.slope)),
    tanh: (step, x) => ganEach(step, x, Math.tanh),
    sigmoid: (step, x) => ganEach(step, x, (v) => 1 / (1 + Math.exp(-v))),
    silu: (step, x) => ganEach(step, x, (v) => v / (1 + Math.exp(-v))),
    cos: (step, x) => ganEach(step, x, Math.cos),
  };
}
