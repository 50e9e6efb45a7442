// One slider of time over all folders of pictures.

let player = null;

function startPlayer() {
  const data = storedData("pictures-data");
  const range = document.getElementById("time");
  if (!data || !range) return;
  const strips = [...document.querySelectorAll(".strip, .beside figure[data-folder]")];
  const lead = Object.entries(data.folders)[0];
  if (!lead) return;
  player = { data, range, strips, steps: data.steps || lead[1].map((frame) => frame.step), timer: 0 };
  for (const image of document.querySelectorAll("img.real")) image.src = data.real;
  for (const strip of strips) {
    const frames = data.folders[strip.dataset.folder] || [];
    const first = strip.querySelector("img.first");
    if (!first || !frames.length) continue;
    first.src = frames[0].src;
    strip.querySelector(".first-step").textContent = frames[0].step.toLocaleString("en");
  }
  const kept = memory.read().time;
  if (kept !== undefined && kept < player.steps.length) range.value = kept;
  range.addEventListener("input", () => {
    // At the end the slider follows new pictures.
    const isLast = Number(range.value) >= Number(range.max);
    memory.write({ time: isLast ? undefined : Number(range.value) });
    showTime();
  });
  document.getElementById("play").addEventListener("click", togglePlay);
  document.addEventListener("keydown", onKey);
  showTime();
}

/** The newest frame that is no later than a step; the first one if all are later. */
function frameAt(frames, step) {
  let chosen = frames[0];
  for (const frame of frames) if (frame.step <= step) chosen = frame;
  return chosen;
}

function showTime() {
  const step = player.steps[Number(player.range.value)];
  document.getElementById("time-step").textContent = "step " + step.toLocaleString("en");
  player.range.setAttribute("aria-valuetext", "step " + step);
  for (const strip of player.strips) {
    const frames = player.data.folders[strip.dataset.folder];
    if (!frames || !frames.length) continue;
    const frame = frameAt(frames, step);
    strip.querySelector("img.current").src = frame.src;
    strip.querySelector(".now-step").textContent = frame.step.toLocaleString("en");
  }
  if (typeof markStep === "function") markStep(step);
}

function moveTime(to) {
  const last = Number(player.range.max);
  player.range.value = Math.max(0, Math.min(last, to));
  player.range.dispatchEvent(new Event("input"));
}

function togglePlay() {
  const button = document.getElementById("play");
  const isPlaying = button.getAttribute("aria-pressed") === "true";
  button.setAttribute("aria-pressed", String(!isPlaying));
  button.textContent = isPlaying ? "▶ play" : "❚❚ pause";
  clearInterval(player.timer);
  if (isPlaying) return;
  if (Number(player.range.value) >= Number(player.range.max)) moveTime(0);
  const pause = Math.max(60, Math.min(400, 8000 / player.steps.length)); // ms between pictures
  player.timer = setInterval(() => {
    moveTime(Number(player.range.value) + 1);
    if (Number(player.range.value) >= Number(player.range.max)) togglePlay();
  }, pause);
}

/** Whether some of an element can be seen. */
function isInView(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/** Arrow keys move the time while pictures can be seen, wherever no control takes them. */
function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const isSlider = event.target === player.range && event.key === " ";
  if (!isSlider && event.target.closest("input, select, textarea, button, a, summary, [tabindex]")) return;
  if (!isInView(document.getElementById("pictures"))) return;
  const now = Number(player.range.value);
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: Number(player.range.max) }[event.key];
  if (to !== undefined) moveTime(to);
  else if (event.key === " ") togglePlay();
  else return;
  event.preventDefault();
}
