const CHUNK = 200;
const ORDER = new Intl.Collator("en", { numeric: true });

/* Rows are [point, best, ...cells]; the columns that all tables share come first. */
function Table(given, { label, show }) {
  const columns = [...DATA.points.columns, ...given.columns];
  const own = DATA.points.columns.length;
  const numeric = columns.map((_, c) => given.rows.some((row) => c && isNumber(cell(row, c))));
  const state = { sort: null, down: false, words: [], all: false, marked: new Set() };
  const head = el("tr");
  const body = el("tbody");
  const more = el("p", { class: "more", "aria-live": "polite" });
  const table = el("table", { "aria-label": label }, el("thead", {}, head), body);
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);

  function cell(row, c) {
    return c < own ? DATA.points.rows[row[0]][c] : row[c - own + 2];
  }

  /* Missing values come last in either direction. */
  function compare(a, b) {
    const key = (row) => (numeric[state.sort] ? numberOf(cell(row, state.sort)) : shown(cell(row, state.sort)) || null);
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const order = numeric[state.sort] ? x - y : ORDER.compare(x, y);
    return state.down ? -order : order;
  }

  const kind = (c) => [numeric[c] && "number", c > 0 && c < own - 1 && !numeric[c] && "axis"].filter(Boolean).join(" ") || null;

  function line(row) {
    const cells = columns.map((_, c) => {
      const text = shown(cell(row, c));
      const strong = row[1] && c === own;
      const inner = strong ? el("b", {}, text) : text;
      if (c) return el("td", { class: kind(c) }, inner);
      const link = show(row[0]) ? el("button", { type: "button", class: "link", onclick: () => show(row[0])() }, inner) : inner;
      return el("th", { scope: "row" }, link);
    });
    return el("tr", { class: state.marked.has(row[0]) ? "marked" : null, "data-point": row[0] }, ...cells);
  }

  function update() {
    const found = given.rows.filter((row) => matches(row[0], state.words));
    if (state.sort !== null) found.sort(compare);
    const few = state.all ? found : found.slice(0, CHUNK);
    body.replaceChildren(...few.map(line));
    more.replaceChildren(...said(found.length, few.length));
    [...head.children].forEach((th, c) => {
      th.setAttribute("aria-sort", c !== state.sort ? "none" : state.down ? "descending" : "ascending");
    });
  }

  function said(found, drawn) {
    const parts = found < given.rows.length ? [`${found} of ${given.rows.length} rows match. `] : [];
    if (!found) return ["No row matches."];
    if (drawn === found) return parts;
    return [...parts, `The first ${drawn} are shown. `, button(`Show all ${found}`, () => set({ all: true }))];
  }

  function set(change) {
    Object.assign(state, change);
    update();
  }

  const sort = (c) => set({ sort: c, down: state.sort === c && !state.down });
  columns.forEach((name, c) => {
    head.append(el("th", { scope: "col", class: kind(c) }, button(name, () => sort(c))));
  });
  update();
  return { element: el("div", { class: "table" }, scroll, more), set };
}
