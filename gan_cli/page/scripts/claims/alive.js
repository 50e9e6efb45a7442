"use strict";
// Experiments that a reader plays with, each in the place of its claim.

/** What fills an element, by the element's data-alive: a function of the element and settings. */
const aliveWidgets = {};

/** Fill each place. Without scripts they stay hidden, and the pictures tell all. */
function startAlive() {
  for (const place of document.querySelectorAll("[data-alive]")) {
    place.hidden = false; // first, so that its width is known
    aliveWidgets[place.dataset.alive](place, JSON.parse(place.dataset.settings));
  }
}

document.addEventListener("DOMContentLoaded", startAlive);
