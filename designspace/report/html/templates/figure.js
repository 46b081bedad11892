const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "resetScale2d"]] };

/* A plot with its legend and its switches. */
function Figure(section, { isolated }) {
  const curves = Curves(section);
  const least = Math.min(...section.table.rows.map((row) => numberOf(row[2]) ?? Infinity));
  const state = { against: 0, words: [], only: null, x: scaleOf(0), y: section.higher === false && least > 0 ? "log" : "linear" };
  const plot = el("div", { class: "plot", role: "img", "aria-label": `${section.label}, plotted; the table below has its numbers` });
  const legend = el("div", { class: "legend", role: "group", "aria-label": "Configurations" });
  const levelKeys = el("div", { class: "levels" });
  const note = el("p", { class: "note", "aria-live": "polite" });
  const switches = { x: scaleSwitch("x"), y: scaleSwitch("y") };
  const bar = el("div", { class: "switches" }, ...chooser(), switches.x, switches.y);

  /* A logarithmic x axis would hide points at 0. */
  function scaleOf(against) {
    return section.against[against].curves.every(([, , x]) => x.every((v) => v > 0)) ? "log" : "linear";
  }

  function scaleSwitch(which) {
    return button("", () => set({ [which]: state[which] === "log" ? "linear" : "log" }), { "data-axis": which });
  }

  function chooser() {
    if (section.against.length < 2) return [];
    const options = section.against.map(({ label }, i) => el("option", { value: i }, label));
    const change = ({ target: { value } }) => set({ against: Number(value), only: null, x: scaleOf(Number(value)) });
    return [el("label", {}, "against ", el("select", { onchange: change }, ...options))];
  }

  function isolate(i) {
    set({ only: state.only === i ? null : i });
    const found = curves.all(state.against).find((c) => c.i === state.only);
    isolated(found ? curves.pointsOf(found) : []);
  }

  function drawLevels(seen) {
    const key = ({ name }) => el("span", { class: "level" }, lineSwatch(theme().soft, LEVEL_DASH), name);
    levelKeys.replaceChildren(...seen.map(key));
  }

  function drawLegend(standing, rest, faint) {
    const keys = standing.map((curve) => {
      const pressed = { "aria-pressed": String(state.only === curve.i), "data-curve": curve.i };
      const key = button(swatch(styleOf(curve)), () => isolate(curve.i), pressed);
      key.append(el("span", {}, curve.name));
      return key;
    });
    const grey = faint < rest ? `the best ${faint} of them in grey` : "in grey";
    const told = el("span", { class: "rest" }, `and ${rest} more, ${grey}; filter to single them out`);
    legend.replaceChildren(...keys, ...(rest ? [told] : []));
  }

  /* The axis of the metric, and the levels within its range. */
  function valueAxis(all) {
    const log = state.y === "log";
    const levels = section.level && (!log || section.level.value > 0) ? [section.level] : [];
    const range = yRange(all, levels.map(({ value }) => value), log);
    const seen = levels.filter(({ value }) => between(log ? Math.log10(value) : value, range));
    drawLevels(seen);
    return { seen, axis: axis(section.label, log, range, log ? logTicks(range) : {}) };
  }

  function lines(all) {
    const standing = curves.standing(all, state.words);
    const others = all.filter((curve) => !standing.includes(curve));
    const log = state.x === "log";
    const range = padded(extent(all.flatMap((c) => c.x), log) || [0, 1], 0.05);
    const dim = (curve) => state.only !== null && curve.i !== state.only;
    const aside = asides(all, standing.length, log);
    const faint = faintOnes(others);
    const traces = faint.length ? [faintTrace(faint, state.only !== null, curves.hover)] : [];
    traces.push(...standing.map((c, k) => traceOf({ ...c, x: c.x.map((x) => aside(x, k)) }, styleOf(c), dim(c), curves.hover)));
    const only = others.filter((curve) => curve.i === state.only);
    traces.push(...only.map((c) => traceOf(c, { colour: theme().text, symbol: "circle", dash: "solid" }, false, curves.hover)));
    drawLegend(standing, others.length, faint.length);
    const { axis: yaxis, seen } = valueAxis(all);
    const xaxis = axis(section.against[state.against].label, log, range, xTicks(all, range, log, plot.clientWidth - 80));
    const shapes = seen.flatMap((one) => levelShapes(one, (y0, y1) => ({ xref: "paper", x0: 0, x1: 1, y0, y1 })));
    return [traces, { ...frame(400), xaxis, yaxis, shapes }];
  }

  function rows(all) {
    const kept = curves.standing(all, state.words, MOST_DOTS).sort((a, b) => a.best - b.best);
    const { axis: xaxis, seen } = valueAxis(kept);
    const shapes = seen.flatMap((one) => levelShapes(one, (x0, x1) => ({ yref: "paper", y0: 0, y1: 1, x0, x1 })));
    legend.replaceChildren();
    const layout = { ...frame(90 + pitch(kept) * kept.length), xaxis, yaxis: dotAxis(kept), shapes };
    return [[dotTrace(kept, curves.isBest, state.only, curves.hover)], layout];
  }

  function draw() {
    const all = curves.all(state.against);
    const flat = isFlat(all);
    Plotly.react(plot, ...(flat ? rows(all) : lines(all)), CONFIG);
    for (const which of ["x", "y"]) switches[which].textContent = `${which}: ${state[which]}`;
    switches.x.hidden = flat;
    if (flat) switches.y.textContent = `values: ${state.y}`;
    const hidden = all.flatMap((c) => c.values.filter((v, k) => (state.y === "log" && v <= 0) || (!flat && state.x === "log" && c.x[k] <= 0))).length;
    note.textContent = hidden ? `${hidden} values at or below 0 cannot be drawn on a logarithmic axis.` : "";
  }

  function set(change) {
    Object.assign(state, change);
    draw();
  }

  function start() {
    draw();
    plot.on("plotly_click", ({ points: [point] }) => Number.isInteger(point.customdata) && isolate(point.customdata));
  }

  return { element: el("div", { class: "figure" }, bar, legend, plot, levelKeys, note), start, draw, set };
}
