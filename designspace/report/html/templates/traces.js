/* Bars from the lower to the upper ends of intervals. */
function errorBars(values, ends) {
  const [array, arrayminus] = [values.map((v, k) => ends[k][1] - v), values.map((v, k) => v - ends[k][0])];
  return { type: "data", symmetric: false, array, arrayminus, thickness: 1.1, width: 2.5 };
}

/* A curve as a Plotly trace. */
function traceOf(curve, style, dim, hover) {
  const { colour, dash, symbol } = style;
  const drawn = curve.ends.some(([low, high]) => high > low);
  return {
    type: "scatter",
    mode: "lines+markers",
    x: curve.x,
    y: curve.values,
    error_y: { ...errorBars(curve.values, curve.ends), color: colour, visible: drawn },
    line: { color: colour, dash, width: 1.8 },
    marker: { color: colour, symbol, size: 7.5, line: { color: theme().paper, width: 0.8 } },
    opacity: dim ? 0.1 : 1,
    hoverinfo: dim ? "skip" : "text",
    hovertext: curve.points.map((r) => hover(curve.name, r)),
    customdata: curve.points.map(() => curve.i),
    showlegend: false,
  };
}

/* The best of the curves that are not highlighted, as many as a browser can draw quickly. */
function faintOnes(curves) {
  let room = MOST_FAINT;
  return [...curves].sort((a, b) => a.best - b.best).filter((curve) => (room -= curve.x.length) >= 0);
}

/* These curves as a single line with gaps, which is faster to draw. */
function faintTrace(curves, dim, hover) {
  const [x, y, text, which] = [[], [], [], []];
  for (const curve of curves) {
    x.push(...curve.x, null);
    y.push(...curve.values, null);
    text.push(...curve.points.map((r) => hover(curve.name, r)), "");
    which.push(...curve.points.map(() => curve.i), null);
  }
  return {
    type: "scatter",
    mode: "lines+markers",
    x,
    y,
    line: { color: theme().faint, width: 0.8 },
    marker: { color: theme().faint, size: 3.5 },
    opacity: dim ? 0.15 : 0.8,
    hoverinfo: dim ? "skip" : "text",
    hovertext: text,
    customdata: which,
    connectgaps: false,
    showlegend: false,
  };
}
