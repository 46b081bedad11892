const LEVEL_DASH = "6px,4px";
const FONT = "system-ui, 'Liberation Sans', sans-serif";

function extent(values, log) {
  const kept = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  if (!kept.length) return null;
  const [low, high] = kept.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  return log ? [Math.log10(low), Math.log10(high)] : [low, high];
}

function padded([low, high], share) {
  const pad = (high - low) * share || Math.abs(high) * 0.1 || 0.1;
  return [low - pad, high + pad];
}

/* The range of the y axis. Levels far from all values are ignored and not drawn. */
function yRange(curves, levels, log) {
  const bounds = curves.flatMap((c) => c.values.flatMap((v, k) => [v, c.ends[k][1], Math.max(c.ends[k][0], log ? v / 3 : -Infinity)]));
  const range = extent(bounds, log);
  if (!range) return [0, 1];
  const reach = Math.max((range[1] - range[0]) / 2, log ? 0.3 : 0);
  const near = levels.map((v) => (log ? Math.log10(v) : v)).filter((v) => v > range[0] - reach && v < range[1] + reach);
  return padded([Math.min(range[0], ...near), Math.max(range[1], ...near)], 0.06);
}

/* Ticks at the positions of points, as many as there is room for. */
function xTicks(curves, range, log, width) {
  const values = [...new Set(curves.flatMap((c) => c.x))].sort((a, b) => a - b);
  if (!log) return {};
  if (values.length > 24) return logTicks(range);
  const at = (v) => ((Math.log10(v) - range[0]) / (range[1] - range[0])) * width;
  const kept = [];
  for (const v of values) if (!kept.length || at(v) - at(kept.at(-1)) > 14 + 4 * String(v).length) kept.push(v);
  return { tickvals: kept, ticktext: kept.map((v) => String(Number(v.toPrecision(4)))) };
}

const between = (v, [low, high]) => v >= low && v <= high;

const MANTISSAS = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 5], [1, 1.5, 2, 3, 4, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9]];

/* At least four ticks, as round as possible, written as powers of ten only if the numbers would be long. */
function logTicks(range) {
  const powers = Array.from({ length: Math.ceil(range[1] - range[0]) + 2 }, (_, k) => Math.floor(range[0]) + k);
  const within = (mantissas) => powers.flatMap((p) => mantissas.map((m) => Number(`${m}e${p}`))).filter((v) => between(Math.log10(v), range));
  const found = MANTISSAS.map(within).find((ticks) => ticks.length >= 4);
  if (!found) return {};
  const tickvals = found.filter((_, k) => k % Math.ceil(found.length / 9) === 0);
  const long = tickvals.some((v) => v < 1e-3 || v >= 1e6);
  return { tickvals, ticktext: tickvals.map((v) => (long ? power(v) : String(v))) };
}

function power(value) {
  const [mantissa, exponent] = value.toExponential().split("e");
  return `${mantissa === "1" ? "" : `${mantissa}×`}10<sup>${Number(exponent)}</sup>`;
}

function axis(title, log, range, more) {
  const { text, soft, grid } = theme();
  return {
    title: { text: shortened(title, 56), font: { color: text, size: 13 }, standoff: 8 },
    type: log ? "log" : "linear",
    range,
    gridcolor: grid,
    linecolor: soft,
    tickcolor: soft,
    tickfont: { color: soft },
    zeroline: false,
    showline: true,
    ticks: "outside",
    exponentformat: "power",
    ...more,
  };
}

function frame(height) {
  const { soft, text, paper } = theme();
  return {
    width: printing ? 640 : undefined,
    height,
    margin: { l: 62, r: 14, t: 12, b: 50 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: FONT, size: 12, color: text },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: text },
    hovermode: "closest",
    hoverlabel: { bgcolor: paper, bordercolor: soft, font: { family: FONT, color: text, size: 12 }, align: "left" },
    dragmode: "zoom",
  };
}

/* The shapes of a level: a line and, if it has a spread, a band; place(a, b) are the coordinates from a to b. */
function levelShapes({ value, sd }, place) {
  const line = { type: "line", ...place(value, value), layer: "below", line: { color: theme().soft, width: 1.2, dash: LEVEL_DASH } };
  const band = { type: "rect", ...place(value - sd, value + sd), layer: "below", line: { width: 0 }, fillcolor: theme().soft, opacity: 0.13 };
  return sd ? [band, line] : [line];
}

/* Shifts the points of different curves apart, by less than the distance to the next position on the axis. */
function asides(curves, count, log) {
  const [to, from] = log ? [Math.log10, (t) => 10 ** t] : [(x) => x, (t) => t];
  const values = [...new Set(curves.flatMap((c) => c.x))].map(to).sort((a, b) => a - b);
  const gap = Math.min(...values.slice(1).map((v, k) => v - values[k]), 1);
  const width = Math.min(0.3 * gap, 0.03 * (values.at(-1) - values[0]));
  return (x, k) => from(to(x) + width * (k / Math.max(count - 1, 1) - 0.5) * Math.min((count - 1) / 3, 1));
}
