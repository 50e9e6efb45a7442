// The numbers of a chart as a table.

/** The numbers of a chart as a table, made when it is opened. */
function offerTable(chart, figure) {
  figure.querySelector(".numbers")?.remove();
  const details = document.createElement("details");
  details.className = "numbers";
  const summary = document.createElement("summary");
  summary.textContent = "numbers as a table";
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector("table")) details.append(tableOf(chart));
  });
  figure.append(details);
}

function tableOf(chart) {
  const values = new Map();
  rowsOf(chart).forEach((row) => values.set(row.x, { ...values.get(row.x), [row.s]: row.y }));
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const text of ["step", ...chart.series.map(({ label }) => label)]) {
    const cell = document.createElement("th");
    cell.textContent = text;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const [step, found] of [...values].sort((a, b) => a[0] - b[0])) {
    const row = body.insertRow();
    row.insertCell().textContent = step.toLocaleString("en");
    chart.series.forEach((_, index) => {
      const value = found["s" + index];
      row.insertCell().textContent = value === undefined ? "" : String(Number(value.toPrecision(4)));
    });
  }
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.append(table);
  return scroll;
}
