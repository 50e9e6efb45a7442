"use strict";
// Convolutions as products of matrices: im2col before them, col2im after transposed ones.

/**
 * out (rows x pixels) = a (rows x depth) times b (depth x pixels).
 *
 * The inner loop runs along pixels, over four rows of `b`: four products for each load and store
 * of a sum.
 */
function ganProduct(out, a, b, rows, depth, pixels) {
  out.fill(0, 0, rows * pixels);
  const whole = depth - (depth % 4);
  for (let row = 0; row < rows; row++) {
    const start = row * pixels;
    for (let k = 0; k < whole; k += 4) {
      const place = row * depth + k;
      const a0 = a[place], a1 = a[place + 1], a2 = a[place + 2], a3 = a[place + 3];
      const b0 = k * pixels, b1 = b0 + pixels, b2 = b1 + pixels, b3 = b2 + pixels;
      for (let i = 0; i < pixels; i++) {
        out[start + i] += a0 * b[b0 + i] + a1 * b[b1 + i] + a2 * b[b2 + i] + a3 * b[b3 + i];
      }
    }
    for (let k = whole; k < depth; k++) {
      const factor = a[row * depth + k];
      for (let i = 0; i < pixels; i++) out[start + i] += factor * b[k * pixels + i];
    }
  }
}

/** Room for the windows of a convolution; its weights lie as the product needs them. */
function ganPrepareConv(step) {
  const [, height, width] = step.to;
  step.places = { height, width };
  step.depth = step.from[0] * step.kernel ** 2;
  step.windows = new Float32Array(step.depth * height * width);
}

/** Convolution: all windows side by side, times the weights. */
function ganConv(step, x) {
  const { windows, weight, bias, out, places, depth, to } = step;
  const pixels = places.height * places.width;
  ganWindows(step, x, windows, false);
  ganProduct(out, weight, windows, to[0], depth, pixels);
  ganAddBias(out, bias, pixels);
}

/** Room for the products of a transposed convolution; its weights, turned over. */
function ganPrepareDeconv(step) {
  const [inputs, height, width] = step.from;
  const rows = step.to[0] * step.kernel ** 2;
  const turned = new Float32Array(inputs * rows);
  for (let i = 0; i < inputs; i++) {
    for (let row = 0; row < rows; row++) turned[row * inputs + i] = step.weight[i * rows + row];
  }
  step.weight = turned;
  step.rows = rows;
  step.places = { height, width };
  step.windows = new Float32Array(rows * height * width);
}

/** Transposed convolution: each pixel's products, added up where their windows lie. */
function ganDeconv(step, x) {
  const { windows, weight, bias, out, places, rows, from, to } = step;
  ganProduct(windows, weight, x, rows, from[0], places.height * places.width);
  out.fill(0);
  ganWindows(step, out, windows, true);
  ganAddBias(out, bias, out.length / to[0]);
}

/**
 * im2col, or with `add` its adjoint col2im.
 *
 * image: (channels, H, W). windows: (channels kernel kernel, places).
 */
function ganWindows(step, image, windows, add) {
  const { kernel, stride, padding, places } = step;
  const [channels, H, W] = add ? step.to : step.from;
  let w = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let tap = 0; tap < kernel * kernel; tap++) {
      const down = Math.floor(tap / kernel) - padding;
      const across = (tap % kernel) - padding;
      for (let y = 0; y < places.height; y++) {
        const row = y * stride + down;
        const start = (channel * H + row) * W;
        const inside = row >= 0 && row < H;
        for (let x = 0; x < places.width; x++, w++) {
          const column = x * stride + across;
          const here = inside && column >= 0 && column < W;
          if (!add) windows[w] = here ? image[start + column] : 0;
          else if (here) image[start + column] += windows[w];
        }
      }
    }
  }
}

/** One number for all pixels of a channel. */
function ganAddBias(out, bias, pixels) {
  if (!bias) return;
  for (let channel = 0, i = 0; channel < bias.length; channel++) {
    for (const end = i + pixels; i < end; i++) out[i] += bias[channel];
  }
}

/** All functions that a forward pass is made of. */
const GAN_NUMBERS = [
  ganBytes, ganFloats, ganTensor, ganPrepare, ganForward, ganKernels, ganEach, ganLinear,
  ganAffine, ganNorm, ganMax, ganCat, ganOneHot, ganEmbedding, ganSpread, ganCopies, ganAdd,
  ganMul, ganSum, ganMixed, ganKey, ganDrop, ganProduct, ganPrepareConv, ganConv,
  ganPrepareDeconv, ganDeconv, ganWindows, ganAddBias,
];
