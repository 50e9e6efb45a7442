"use strict";
// The part of a report where the generator lives.

/**
 * Fill an empty element with the explorer.
 *
 * section: the element. payload: as gan_cli.page.explore makes it. Promises true as soon as the
 * first samples are drawn; false, with a sentence in the element, if this browser cannot.
 */
async function startExplorer(section, payload) {
  section.classList.add("explorer");
  section.append(ganNote("Unpacking the networks ..."));
  try {
    await ganFill(section, payload);
    return true;
  } catch (error) {
    section.replaceChildren(ganNote(`This browser cannot run the generator (${error.message}).`));
    return false;
  }
}

/** The networks, then what draws with them, then what was measured. */
async function ganFill(section, payload) {
  const stored = { generator: payload.generator };
  if (payload.discriminator) stored.discriminator = payload.discriminator;
  const engine = await ganEngine(stored);
  const state = { payload, engine, seed: 1, label: 0, z: ganDraw(payload.noise, 1, 0, 1) };
  section.replaceChildren(ganNote(ganWeights(payload)));
  const { start, repaint } = (payload.range ? ganPictures : ganPoints)(section, state);
  await start();
  ganFollowColours(repaint);
  const foot = ganNote("");
  section.append(foot);
  const measured = await ganMeasure(payload, engine);
  foot.textContent = ganMeasuredText(measured, engine);
  section.dataset.ready = "true";
}

/** What lies in the page. */
function ganWeights(payload) {
  const number = payload.generator.weights.toLocaleString("en");
  const which = payload.averaged ? "averaged weights" : "weights";
  const parts = [`G of step ${payload.step.toLocaleString("en")} computes here, in your browser: ` +
    `its ${number} ${which} lie in this page.`];
  if (!payload.range && payload.without) parts.push(`D is left out. ${payload.without}`);
  return parts.join(" ");
}

/** How exact and how fast it is, and where noise comes from. */
function ganMeasuredText({ difference, perSecond }, engine) {
  const exact = difference < 0.01
    ? `Largest difference from PyTorch, on four samples: ${(100 * difference).toPrecision(2)} % ` +
      "of the range of values."
    : "This browser's samples differ from PyTorch's. Do not rely on them.";
  const rate = Number(perSecond.toPrecision(2)).toLocaleString("en");
  return `${exact} Computed ${engine.place}, ${rate} samples a second. z comes from mulberry32 ` +
    "with the seed shown: the same seed gives other samples in gan-sample.";
}

/** Draw again when the page turns light or dark. */
function ganFollowColours(repaint) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint());
  const watch = new MutationObserver(() => repaint());
  watch.observe(document.documentElement, { attributeFilter: ["class", "data-theme"] });
}
