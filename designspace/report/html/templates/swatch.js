const SVG = "http://www.w3.org/2000/svg";
const CORNERS = {
  square: [4, 45],
  "triangle-up": [3, 0],
  diamond: [4, 0],
  "triangle-down": [3, 180],
  pentagon: [5, 0],
  "triangle-left": [3, 270],
  star: [5, 0, 0.42],
  "triangle-right": [3, 90],
  hexagon: [6, 0],
  cross: [4, 0, 0.4],
  x: [4, 45, 0.4],
};

function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function corners([count, turn, inner]) {
  const steps = inner ? 2 * count : count;
  return Array.from({ length: steps }, (_, k) => {
    const angle = ((360 * k) / steps + turn - 90) * (Math.PI / 180);
    const radius = inner && k % 2 ? 5 * inner : 5;
    return `${(15 + radius * Math.cos(angle)).toFixed(2)},${(7 + radius * Math.sin(angle)).toFixed(2)}`;
  }).join(" ");
}

function lineSwatch(colour, dash) {
  const drawn = svg("svg", { viewBox: "0 0 30 14", width: 30, height: 14, "aria-hidden": "true" });
  const line = { x1: 0, y1: 7, x2: 30, y2: 7, stroke: colour, "stroke-width": 1.8 };
  if (dash !== "solid") line["stroke-dasharray"] = dash.replaceAll("px", "");
  drawn.append(svg("line", line));
  return drawn;
}

/* A sample of a curve's line and marker for the legend. */
function swatch({ colour, dash, symbol }) {
  const drawn = lineSwatch(colour, dash);
  const shape = CORNERS[symbol];
  const marker = shape ? svg("polygon", { points: corners(shape), fill: colour }) : svg("circle", { cx: 15, cy: 7, r: 4, fill: colour });
  drawn.append(marker);
  return drawn;
}
