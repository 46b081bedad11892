const DATA = JSON.parse(document.getElementById("data").textContent);

/* Creates an element; string children become text nodes. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function button(text, press, attributes = {}) {
  return el("button", { type: "button", onclick: press, ...attributes }, text);
}

/* A cell is text, a number, or a number with its text. */
const isNumber = (cell) => typeof cell === "number" || Array.isArray(cell);
const numberOf = (cell) => (Array.isArray(cell) ? cell[0] : typeof cell === "number" ? cell : null);
const textOf = (cell) => String(Array.isArray(cell) ? cell[1] : cell);
const shown = (cell) => (Number.isInteger(cell) && Math.abs(cell) >= 1000 ? cell.toLocaleString("en-US") : textOf(cell));

/* The text in which a search looks for a point: its configuration, the values of its axes and its trial. */
const searched = DATA.points.rows.map((cells, i) => {
  const named = cells.map((cell, c) => (c ? `${DATA.points.columns[c]}=${textOf(cell)}` : cell));
  return [...named, DATA.points.described[DATA.points.about[i]]].join(" ").toLowerCase();
});

function matches(point, words) {
  return words.every((word) => searched[point].includes(word));
}

function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function later(act, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), wait);
  };
}
