// What every page has: stored data, colours, sortable tables, copying, reloading, printing.

/** Data that lie in the page; null if there are none. */
function storedData(identity) {
  const element = document.getElementById(identity);
  return element ? JSON.parse(element.textContent) : null;
}

/** What the reader has set, kept over reloads; a browser may forbid it, then nothing is kept. */
const memory = {
  key: "gan-train:" + location.pathname,
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key)) || {};
    } catch (error) {
      return {};
    }
  },
  write(changes) {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ ...this.read(), ...changes }));
    } catch (error) {
      // Nothing is kept.
    }
  },
};

function startTheme() {
  const button = document.getElementById("theme");
  const names = ["auto", "light", "dark"];
  let chosen = memory.read().theme || "auto";
  const show = () => {
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.textContent = "Colours: " + chosen;
    dispatchEvent(new Event("colours"));
  };
  button.addEventListener("click", () => {
    chosen = names[(names.indexOf(chosen) + 1) % names.length];
    memory.write({ theme: chosen });
    show();
  });
  show();
}

/** What a cell is sorted by: its number if it is one, else its text. */
function sortValue(cell) {
  const text = (cell.dataset.sort ?? cell.textContent).trim();
  const number = Number(text.replaceAll(",", ""));
  return text !== "" && Number.isFinite(number) ? number : text;
}

function compareValues(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === typeof b) return a.localeCompare(b);
  return typeof a === "number" ? -1 : 1; // numbers before words
}

function sortRows(table, column, isDown) {
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const [one, other] = [sortValue(a.cells[column]), sortValue(b.cells[column])];
    if (one === "" || other === "") return (one === "") - (other === ""); // blanks stay last
    const order = compareValues(one, other);
    return isDown ? -order : order;
  });
  table.tBodies[0].append(...rows);
}

function startTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const isDown = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
        sortRows(table, column, isDown);
      });
    });
  }
}

/** A field that hides the rows of a table that do not hold all its words. */
function startFilter() {
  const field = document.getElementById("filter");
  if (!field) return;
  const rows = [...document.querySelectorAll("table.filtered tbody tr")];
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = shownText(row).toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const left = rows.filter((row) => !row.hidden).length;
    document.getElementById("filter-count").textContent = left + " of " + rows.length;
  });
}

/** The text of a row without what is folded. */
function shownText(row) {
  const copy = row.cloneNode(true);
  copy.querySelectorAll("details > :not(summary)").forEach((element) => element.remove());
  return copy.textContent;
}

/** Pictures grow to the size of the window by a click or a key. */
function startEnlarging() {
  const dialog = document.createElement("dialog");
  dialog.className = "large";
  dialog.setAttribute("aria-label", "Picture, enlarged");
  const large = document.createElement("img");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "close";
  dialog.append(large, close);
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const image of document.querySelectorAll(".stage img, .beside img, .thumbs img, .claim img")) {
    const open = () => {
      large.src = image.src;
      large.alt = image.alt;
      dialog.showModal();
    };
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.addEventListener("click", open);
    image.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // else the same key closes it
      open();
    });
  }
}

function startCopying() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", () => {
      const text = button.parentElement.querySelector("code").textContent;
      const copied = () => {
        button.textContent = "copied";
        setTimeout(() => (button.textContent = "copy"), 1500);
      };
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(copied, () => selectText(button));
      else selectText(button);
    });
  }
}

/** Where copying is not allowed, the text is marked, so that a key copies it. */
function selectText(button) {
  getSelection().selectAllChildren(button.parentElement.querySelector("code"));
  button.textContent = "marked: copy it by key";
}

/** A page of a run under way loads itself anew, and comes back to its place. */
function startReloading() {
  const seconds = Number(document.body.dataset.reload || 0);
  const place = memory.read().scroll;
  if (seconds && place !== undefined) scrollTo(0, place);
  if (!seconds) return;
  const isUsed = () => document.activeElement && document.activeElement.matches("input, select, button");
  const tick = () => {
    if (isUsed() || document.querySelector("#play[aria-pressed=true]")) return setTimeout(tick, 1000);
    memory.write({ scroll: scrollY });
    location.reload();
  };
  setTimeout(tick, seconds * 1000);
}

function startPrinting() {
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
}

/** Generators start when the reader comes near: each unpacks its networks and measures its speed. */
function startExplorers() {
  if (typeof startExplorer !== "function") return;
  const watch = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      startExplorer(target, storedData(target.dataset.explorer));
    }
  }, { rootMargin: "600px" });
  for (const place of document.querySelectorAll("[data-explorer]")) watch.observe(place);
}

document.addEventListener("DOMContentLoaded", () => {
  startTheme();
  startTables();
  startFilter();
  startCopying();
  startPrinting();
  startEnlarging();
  if (typeof startCharts === "function") startCharts();
  if (typeof startPlayer === "function") startPlayer();
  if (typeof startSweep === "function") startSweep();
  startExplorers();
  startReloading();
});
