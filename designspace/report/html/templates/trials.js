const LISTED = 50;

/* The list of resolved specs and provenance; each entry is only rendered when it is opened. */
function Trials(host) {
  const { rows } = DATA.trials;
  const list = el("div", { class: "trials" });
  const more = el("p", { class: "more", "aria-live": "polite" });
  const items = new Map();
  let words = [];
  let count = LISTED;

  function copier(text) {
    const copy = button("Copy as YAML", async () => {
      const done = await copied(text);
      copy.textContent = done ? "Copied" : "Select the text and copy it";
    });
    return copy;
  }

  function body([, , , spec, recorded]) {
    const text = document_(spec);
    const run = el("p", { class: "run" }, "To run it again, save this as trial.yaml: ", el("code", {}, "designspace run trial.yaml"));
    const parts = [run, el("p", {}, copier(text)), el("pre", { class: "spec", tabindex: 0 }, text)];
    return [...parts, el("h4", {}, "Provenance"), el("pre", { tabindex: 0 }, document_(recorded))];
  }

  /* The configuration, its steps and evaluations, and the seed if there are several. */
  function title([, point, seed]) {
    const { rows: cells, columns, costs } = DATA.points;
    const named = costs.map((c) => `${shown(cells[point][c])} ${columns[c]}`);
    return [cells[point][0], ...named, ...(seed === null ? [] : [`seed ${seed}`])].join(", ");
  }

  function item(row) {
    if (items.has(row)) return items.get(row);
    const details = el("details", {}, el("summary", {}, title(row), " ", el("code", {}, row[0])));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length < 2) details.append(...body(row));
    });
    items.set(row, details);
    return details;
  }

  function update() {
    const found = rows.filter(([id, point]) => words.every((word) => id.includes(word) || searched[point].includes(word)));
    list.replaceChildren(...found.slice(0, count).map(item));
    const next = () => {
      count += 10 * LISTED;
      update();
    };
    more.replaceChildren(...(found.length > count ? [`${count} of ${found.length} are listed. `, button("List more", next)] : []));
  }

  function find(text) {
    words = wordsOf(text);
    count = LISTED;
    update();
  }

  /* Open the first trial of a point, listing it if it is not listed yet. */
  function open(point) {
    const row = rows.find((r) => r[1] === point);
    const details = item(row);
    if (!details.isConnected) list.prepend(details);
    details.open = true;
    details.scrollIntoView({ block: "start" });
    details.firstChild.focus();
  }

  const field = el("input", { type: "search", oninput: later((event) => find(event.target.value), 150) });
  if (rows.length > LISTED / 4) host.append(el("label", { class: "find" }, "Find ", field));
  host.append(list, more);
  update();
  const known = new Set(rows.map((row) => row[1]));
  return { open, has: (point) => known.has(point) };
}

/* Some browsers do not give local pages access to the clipboard. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
