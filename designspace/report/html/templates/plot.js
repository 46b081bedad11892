const TOLD_APART = 12;
const MOST_FAINT = 20000;
/* The same symbols as in the static figures. */
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "pentagon", "triangle-left", "star", "triangle-right", "hexagon"];
const DASHES = ["solid", "8px,3px", "2px,3px", "10px,3px,2px,3px", "8px,3px,2px,3px,2px,3px"];
const THEMES = {
  light: { text: "#222222", soft: "#5a5a5a", grid: "#e4e4e4", paper: "#ffffff", faint: DATA.look.faint },
  dark: {
    text: "#e6e4df",
    soft: "#a9a7a1",
    grid: "#33373c",
    paper: "#16181b",
    faint: "#565b61",
  },
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

const theme = () => THEMES[isDark.matches && !printing ? "dark" : "light"];

/* Plotly interprets text as a subset of HTML, and as TeX between dollar signs. */
const escaped = (text) => String(text).replace(/[&<>$]/g, (c) => `&#${c.charCodeAt(0)};`);

const shortened = (name, most) => escaped(name.length > most ? `${name.slice(0, most - 1)}…` : name);

function wrapped(text) {
  const lines = [""];
  for (const part of text.split(", ")) {
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + part.length > 56) lines.push(part);
    else lines[last] += (lines[last] ? ", " : "") + part;
  }
  return lines.map(escaped).join(",<br>");
}

/* A colour on the present paper: mixed with white on a dark one, until it is light enough. */
function readable(colour) {
  if (theme() === THEMES.light) return colour;
  let parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  while (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 115) parts = parts.map((part) => part + 0.1 * (255 - part));
  return `rgb(${parts.map(Math.round).join(",")})`;
}

/* The colour, marker and line of a curve, which are those of the static figures. */
function styleOf({ look: [colour, marker, line] }) {
  return { colour: readable(colour), symbol: SYMBOLS[marker], dash: DASHES[line] };
}

/* The curves of a section: which of them are highlighted, and the text of each point. */
function Curves(section) {
  const { rows } = section.table;
  const column = (key) => 2 + section.table.keys.indexOf(key);
  const value = (r) => numberOf(rows[r][column("value")]);
  const ends = (r) => section.intervals[r] || [value(r), value(r)];

  function hover(name, r) {
    const row = rows[r];
    const told = DATA.points.described[DATA.points.about[row[0]]];
    const se = shown(row[column("se")]);
    const spent = DATA.points.counts.map((c) => `${DATA.points.columns[c]} ${shown(DATA.points.rows[row[0]][c])}`);
    return [
      `<b>${escaped(name)}</b>`,
      `${escaped(section.label)}: <b>${escaped(shown(row[column("value")]))}</b>${se ? ` ± ${escaped(se)}` : ""}`,
      `${escaped(spent.join(", "))}, n = ${escaped(shown(row[column("n")]))}`,
      wrapped(told),
    ].join("<br>");
  }

  function all(against) {
    return section.against[against].curves.map(([name, points, x, look], i) => {
      const values = points.map(value);
      const best = section.higher ? -Math.max(...values) : Math.min(...values);
      return { i, name, points, x, look, values, ends: points.map(ends), best };
    });
  }

  /* The curves to highlight: those found by a search, otherwise the best ones. */
  function standing(curves, words, most = TOLD_APART) {
    const found = words.length ? curves.filter((c) => c.points.some((r) => matches(rows[r][0], words))) : curves;
    const kept = [...found].sort((a, b) => a.best - b.best).slice(0, most);
    return kept.sort((a, b) => a.i - b.i);
  }

  return { all, standing, hover, pointsOf: (curve) => curve.points.map((r) => rows[r][0]), isBest: (curve) => rows[curve.points[0]][1] === 1 };
}
