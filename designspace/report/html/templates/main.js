const trials = Trials(document.getElementById("trial-list"));
const show = (point) => (trials.has(point) ? () => trials.open(point) : null);
const figures = [];

/* The comparisons with the best of each budget, together with the value and standard error from the table. */
function comparison({ table, compared }) {
  const both = ["value", "se"].map((key) => table.keys.indexOf(key));
  const known = new Map(table.rows.map(([point, , ...cells]) => [point, both.map((k) => cells[k])]));
  const rows = compared.rows.map(([point, best, ...cells]) => [point, best, ...known.get(point), ...cells]);
  return { columns: [...both.map((k) => table.columns[k]), ...compared.columns], rows };
}

for (const [k, section] of DATA.sections.entries()) {
  const host = document.getElementById(`section-${k}`);
  const table = Table(section.table, { label: section.label, show });
  const parts = [table];
  const figure = Figure(section, { isolated: (points) => table.set({ marked: new Set(points) }) });
  const find = later((text) => [figure, ...parts].forEach((part) => part.set({ words: wordsOf(text), all: false })), 150);
  const field = el("input", { type: "search", placeholder: "words, such as heun nfe=19", oninput: (event) => find(event.target.value) });
  document.getElementById(`drawn-${k}`).append(figure.element);
  host.querySelector(".listed").append(el("label", { class: "find" }, "Filter ", field), table.element);
  const compared = host.querySelector(".compared");
  if (compared) {
    compared.addEventListener("toggle", () => {
      if (parts.length > 1) return;
      parts.push(Table(comparison(section), { label: `${section.label}, compared with the best`, show }));
      parts[1].set({ words: wordsOf(field.value) });
      compared.append(parts[1].element);
    });
  }
  figure.start();
  figures.push({ figure, table });
}

for (const copy of document.querySelectorAll("[data-copies]")) {
  copy.addEventListener("click", async () => {
    if (await copied(document.getElementById(copy.dataset.copies).textContent)) copy.textContent = "Copied";
  });
}

const redraw = () => figures.forEach(({ figure }) => figure.draw());
isDark.addEventListener("change", redraw);
addEventListener("beforeprint", () => {
  printing = true;
  figures.forEach(({ table }) => table.set({ all: true }));
  for (const folded of document.querySelectorAll("details.rest")) folded.open = true;
  redraw();
});
addEventListener("afterprint", () => {
  printing = false;
  redraw();
});
