"use strict";
// Images: a sample to play with, a grid to choose from, a path, and arithmetic.

const GAN_GRID = 12; // samples to choose from
const GAN_SLOTS = { start: 0, end: 1, A: 0, B: 1, C: 2 }; // which of them are chosen at first

/** Draw one image, values in `range`, (C, H, W), pixel by pixel. */
function ganPaint(canvas, values, payload) {
  const [channels, height, width] = payload.shape;
  const [low, high] = payload.range;
  const image = new ImageData(width, height);
  const area = height * width;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      const value = values[(channels >= 3 ? c : 0) * area + i];
      image.data[4 * i + c] = Math.round((255 * (value - low)) / (high - low));
    }
    image.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** A canvas for an image. */
function ganImage(text, kind) {
  const attributes = text ? { role: "img", "aria-label": text } : { "aria-hidden": "true" };
  return ganElement("canvas", { class: `explorer-image ${kind}`, ...attributes });
}

/** The labels for n samples; null for a model that takes none. */
function ganLabels(state, n) {
  return state.payload.classes.length ? new Array(n).fill(state.label) : null;
}

/** The part of the explorer for images: {start(), repaint()}. */
function ganPictures(section, state) {
  const { payload, engine } = state;
  const { noise } = payload;
  const big = ganImage("The sample of this z", "explorer-big");
  const drawBig = ganNewest(async () => {
    const z = ganOntoSupport(noise, Float32Array.from(state.z));
    const { values } = await engine.ask("generator", z, ganLabels(state, 1));
    ganPaint(big, values, payload);
  });
  const sliders = ganNoiseSliders(state, () => {
    grid.mark(-1);
    drawBig();
  });
  const show = (index) => {
    state.z = ganDraw(noise, state.seed, index, 1);
    sliders.show(state.z);
    grid.mark(index);
    drawBig();
  };
  const grid = ganGrid(state, show);
  const redraw = () => Promise.all([drawBig(), grid.draw()]);
  const seed = ganSeedRow(state, () => {
    show(0);
    grid.draw();
  });
  const left = ganElement("div", { class: "explorer-left" });
  left.append(big, seed, ...ganClassButtons(state, redraw));
  const top = ganElement("div", { class: "explorer-columns" });
  top.append(left, sliders.box);
  section.append(top, grid.box);
  grid.mark(0);
  return { start: redraw, repaint: () => {} }; // samples have the same colours in the dark
}

/** Buttons for the classes, if the model takes labels. */
function ganClassButtons(state, onChange) {
  if (!state.payload.classes.length) return [];
  const choose = (index) => {
    state.label = index;
    onChange();
  };
  return [ganChoice("Class", state.payload.classes, choose).group];
}

/** The grid, and what is made of samples chosen in it: {box, draw(), mark(index)}. */
function ganGrid(state, show) {
  const slots = ganSlotButtons(state);
  const tiles = Array.from({ length: GAN_GRID }, (_, index) => {
    const canvas = ganImage("", "explorer-tile");
    const button = ganButton(canvas, () => {
      if (slots.fill(index)) draw();
      else show(index);
    }, { "aria-label": `Sample ${index + 1}` });
    return { canvas, button };
  });
  const draw = ganNewest(async () => {
    const z = ganDraw(state.payload.noise, state.seed, 0, GAN_GRID);
    const { values } = await state.engine.ask("generator", z, ganLabels(state, GAN_GRID));
    const size = values.length / GAN_GRID;
    const images = tiles.map((_, i) => values.subarray(i * size, (i + 1) * size));
    tiles.forEach((tile, i) => ganPaint(tile.canvas, images[i], state.payload));
    await slots.draw(images);
  });
  const mark = (chosen) =>
    tiles.forEach(({ button }, i) => button.setAttribute("aria-pressed", String(i === chosen)));
  const box = ganElement("div", { class: "explorer-choose" });
  const row = ganElement("div", { class: "explorer-grid", role: "group" });
  row.setAttribute("aria-label", "Samples to choose from");
  row.append(...tiles.map((tile) => tile.button));
  box.append(ganElement("h3", {}, "Between samples"), slots.hint, row, slots.path, slots.sum);
  return { box, draw, mark };
}

/** The chosen samples, the path, and the sum: rows, and functions that fill and draw them. */
function ganSlotButtons(state) {
  const chosen = { ...GAN_SLOTS };
  let open = null; // the slot that the next click in the grid fills
  const hint = ganElement("p", { class: "explorer-note", role: "status" });
  const buttons = {};
  const tell = () => {
    for (const [name, { button }] of Object.entries(buttons)) {
      button.setAttribute("aria-pressed", String(name === open));
    }
    hint.textContent = open
      ? `Choose the picture for ${open}, or press Escape.`
      : "Click a picture to see it above. Click start, end, A, B or C, then a picture, to change it.";
  };
  for (const name of Object.keys(chosen)) {
    const canvas = ganImage("", "explorer-tile");
    const text = ganElement("span", {}, name);
    const button = ganButton(canvas, () => {
      open = open === name ? null : name;
      tell();
    });
    button.append(text);
    buttons[name] = { canvas, button };
  }
  const fill = (index) => {
    if (!open) return false;
    chosen[open] = index;
    buttons[open].button.focus();
    open = null;
    tell();
    return true;
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !open) return;
    open = null;
    tell();
  });
  const path = ganPathRow(state, chosen, buttons);
  const sum = ganSumRow(state, chosen, buttons);
  const draw = (images) => {
    for (const [name, { canvas, button }] of Object.entries(buttons)) {
      ganPaint(canvas, images[chosen[name]], state.payload);
      button.setAttribute("aria-label", `${name}: sample ${chosen[name] + 1}`);
    }
    return Promise.all([path.draw(), sum.draw()]);
  };
  tell();
  return { hint, fill, draw, path: path.row, sum: sum.row };
}

/** The z of a sample of the grid. */
function ganGridZ(state, index) {
  return ganDraw(state.payload.noise, state.seed, index, 1);
}

/** Start, slider, end, and the sample on the way. */
function ganPathRow(state, chosen, buttons) {
  const { noise } = state.payload;
  const canvas = ganImage("The sample on the way", "explorer-middle");
  const draw = ganNewest(async () => {
    const ends = [ganGridZ(state, chosen.start), ganGridZ(state, chosen.end)];
    const z = ganBetween(noise, ends[0], ends[1], slider.value());
    const { values } = await state.engine.ask("generator", z, ganLabels(state, 1));
    ganPaint(canvas, values, state.payload);
  });
  const slider = ganSlider({ text: "Path", min: 0, max: 1, value: 0.5, onInput: () => draw() });
  const row = ganElement("div", { class: "explorer-row" });
  row.append(buttons.start.button, slider.row, buttons.end.button, canvas);
  return { row, draw };
}

/** A - B + C, and what G makes of it. */
function ganSumRow(state, chosen, buttons) {
  const { noise } = state.payload;
  const canvas = ganImage("The sample of A minus B plus C", "explorer-middle");
  const draw = ganNewest(async () => {
    const [a, b, c] = ["A", "B", "C"].map((name) => ganGridZ(state, chosen[name]));
    const z = ganSumOf(noise, a, b, c);
    const { values } = await state.engine.ask("generator", z, ganLabels(state, 1));
    ganPaint(canvas, values, state.payload);
  });
  const sign = (text) => ganElement("span", { class: "explorer-sign", "aria-hidden": "true" }, text);
  const row = ganElement("div", { class: "explorer-row" });
  row.append(
    buttons.A.button, sign("−"), buttons.B.button, sign("+"), buttons.C.button, sign("="), canvas
  );
  return { row, draw };
}
