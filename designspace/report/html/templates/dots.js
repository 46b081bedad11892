const MOST_DOTS = 60;

/* Configurations with one point each, all at the same cost, are drawn as rows of dots, with the best at the top. */
function isFlat(curves) {
  return curves.length > 1 && new Set(curves.flatMap((c) => c.x)).size === 1 && curves.every((c) => c.x.length === 1);
}

/* Blue are the best and what does not differ significantly from it, unless all are. */
function dotTrace(curves, isBest, only, hover) {
  const { best } = DATA.look;
  const every = curves.every(isBest);
  const colour = curves.map((c) => (isBest(c) && !every ? readable(best) : theme().soft));
  return {
    type: "scatter",
    mode: "markers",
    x: curves.map((c) => c.values[0]),
    y: curves.map((_, k) => -k),
    error_x: { ...errorBars(curves.map((c) => c.values[0]), curves.map((c) => c.ends[0])), color: theme().soft },
    marker: { color: colour, size: 8, opacity: curves.map((c) => (only === null || c.i === only ? 1 : 0.15)) },
    hoverinfo: "text",
    hovertext: curves.map((c) => hover(c.name, c.points[0])),
    customdata: curves.map((c) => c.i),
    showlegend: false,
  };
}

const LONGEST = { narrow: 20, wide: 36 };
const longest = () => LONGEST[innerWidth < 640 ? "narrow" : "wide"];

/* A long name on two lines, parted after an equals sign, a comma or a space if there is one. */
function folded(name, most) {
  if (name.length <= most) return [name];
  const found = [/[=, ]/g, /[._]/g].map((signs) => [...name.slice(0, most).matchAll(signs)].pop()).find(Boolean);
  const at = found ? found.index + 1 : most;
  return [name.slice(0, at), name.slice(at).trimStart()];
}

/* The height of a row: that of two lines if any name needs them. */
const pitch = (curves) => (curves.some((c) => c.name.length > longest()) ? 32 : 21);

function dotAxis(curves) {
  const ticktext = curves.map((c) => folded(c.name, longest()).map((part) => shortened(part, longest())).join("<br>"));
  const ticks = { tickvals: curves.map((_, k) => -k), ticktext, automargin: true };
  return { ...axis("", false, [0.6 - curves.length, 0.6], ticks), title: undefined };
}
