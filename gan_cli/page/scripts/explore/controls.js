"use strict";
// Elements of the explorer. All text goes in as text, never as HTML: names may come from anybody.

let ganLastId = 0;

/** An element with attributes and children (elements or text). */
function ganElement(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A button. */
function ganButton(text, onClick, attributes = {}) {
  const button = ganElement("button", { type: "button", ...attributes }, text);
  button.addEventListener("click", onClick);
  return button;
}

/** A slider with its label and value: {row, set(value), value()}. */
function ganSlider({ text, min, max, value, onInput, digits = 2, step = (max - min) / 200 }) {
  const id = `explorer-${++ganLastId}`;
  const input = ganElement("input", { type: "range", id, min, max, step: String(step) });
  const output = ganElement("output", { for: id });
  const show = () => (output.textContent = Number(input.value).toFixed(digits));
  const set = (number) => {
    input.value = String(number);
    show();
  };
  input.addEventListener("input", () => {
    show();
    onInput(Number(input.value));
  });
  set(value);
  const row = ganElement("div", { class: "explorer-slider" });
  row.append(ganElement("label", { for: id }, text), input, output);
  return { row, set, value: () => Number(input.value) };
}

/** Buttons of which one is pressed: {group, press(index)}. */
function ganChoice(title, names, onChoose) {
  const buttons = names.map((name, index) =>
    ganButton(name, () => {
      press(index);
      onChoose(index);
    })
  );
  const press = (chosen) =>
    buttons.forEach((b, index) => b.setAttribute("aria-pressed", String(index === chosen)));
  press(0);
  const group = ganElement("div", { class: "explorer-choice", role: "group", "aria-label": title });
  group.append(ganElement("span", { class: "explorer-name" }, title), ...buttons);
  return { group, press };
}

/** The field of the seed, and the button for the next one: {row, seed()}. */
function ganSeedRow(state, onSeed) {
  const id = `explorer-${++ganLastId}`;
  const input = ganElement("input", { type: "number", id, min: 0, max: 2 ** 32 - 1, step: 1 });
  input.value = String(state.seed);
  const take = () => {
    const isSeed = input.value !== "" && input.checkValidity();
    if (!isSeed) input.value = String(state.seed); // what is no seed is put back
    state.seed = Number(input.value);
    onSeed();
  };
  input.addEventListener("change", take);
  const next = ganButton("New sample", () => {
    input.value = String((state.seed + 1) % 2 ** 32);
    take();
  }, { class: "explorer-main" });
  const row = ganElement("div", { class: "explorer-seed" });
  row.append(next, ganElement("label", { for: id }, "Seed"), input);
  return row;
}

/** The sliders of z, ten at first, and a button for ten more: {box, show(z)}. */
function ganNoiseSliders(state, onChange) {
  const { noise } = state.payload;
  const [min, max] = ganReach(noise);
  const list = ganElement("div", { class: "explorer-sliders" });
  const sliders = [];
  const add = () => {
    const until = Math.min(sliders.length + 10, noise.dim);
    for (let k = sliders.length; k < until; k++) {
      const onInput = (value) => {
        state.z[k] = value;
        onChange();
      };
      sliders.push(ganSlider({ text: `z${k + 1}`, min, max, value: state.z[k], onInput }));
      list.append(sliders[k].row);
    }
    tell(sliders.length);
  };
  const tell = (shown) => {
    sliders.forEach(({ row }, k) => (row.hidden = k >= shown));
    more.hidden = shown === noise.dim;
    fewer.hidden = shown <= 10;
    more.textContent = `Show more (${shown} of ${noise.dim})`;
  };
  const shown = () => sliders.filter(({ row }) => !row.hidden).length;
  const more = ganButton("", () => (shown() < sliders.length ? tell(Math.min(sliders.length, shown() + 10)) : add()));
  const fewer = ganButton("Show fewer", () => tell(10));
  add();
  const box = ganElement("fieldset", { class: "explorer-noise" });
  box.append(ganElement("legend", {}, ganNoiseName(noise)), list, more, fewer);
  if (noise.kind === "spherical") box.append(ganNote("G sees z divided by its length."));
  return { box, show: (z) => sliders.forEach((slider, k) => slider.set(z[k])) };
}

/** The prior in words. */
function ganNoiseName(noise) {
  if (noise.kind === "uniform") return `z, uniform from ${noise.low} to ${noise.high}`;
  if (noise.kind === "spherical") return "z, on the unit sphere";
  return noise.std === 1 ? "z, normal" : `z, normal, standard deviation ${noise.std}`;
}

/** A quiet line of text. */
function ganNote(text) {
  return ganElement("p", { class: "explorer-note" }, text);
}
