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

function dotAxis(curves) {
  const most = innerWidth < 640 ? 20 : 36;
  const ticktext = curves.map((c) => shortened(c.name, most));
  const ticks = { tickvals: curves.map((_, k) => -k), ticktext, automargin: true };
  return { ...axis("", false, [0.6 - curves.length, 0.6], ticks), title: undefined };
}
