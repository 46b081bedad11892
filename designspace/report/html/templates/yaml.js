/* Decodes the data written by trials.py, where equal objects are stored once. A Map, unlike an object, has no special keys. */
function unpacked(value) {
  if (!Array.isArray(value)) return value;
  const [kind, ...rest] = value;
  if (kind === -1) return rest.map(unpacked);
  if (kind === -2) return BigInt(rest[0]);
  const [keys, ...values] = DATA.trials.objects[kind];
  return new Map(DATA.trials.keys[keys].map((key, i) => [key, unpacked(values[i])]));
}

const PLAIN = /^[A-Za-z][A-Za-z0-9_.+-]*$/;
const WORDS = /^(true|false|yes|no|on|off|null|y|n|inf|nan)$/i;

/* A scalar as YAML that versions 1.1 and 1.2 read in the same way. */
function scalar(value) {
  if (value === null) return "null";
  if (typeof value === "number") return String(value).replace(/^(-?\d+)e/, "$1.0e").replace(/e(\d)/, "e+$1");
  if (typeof value !== "string") return String(value);
  if (PLAIN.test(value) && !WORDS.test(value)) return value;
  const escape = (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
  return JSON.stringify(value).replace(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, escape);
}

function yaml(value, indent = "") {
  if (value instanceof Map) {
    if (!value.size) return " {}\n";
    return "\n" + [...value].map(([key, item]) => `${indent}${scalar(key)}:${yaml(item, indent + "  ")}`).join("");
  }
  if (!Array.isArray(value)) return ` ${scalar(value)}\n`;
  if (value.every((item) => !(item instanceof Map) && !Array.isArray(item))) return ` [${value.map(scalar).join(", ")}]\n`;
  return "\n" + value.map((item) => `${indent}-${listed(item, indent + "  ")}`).join("");
}

/* The first line of an object is on the same line as the dash of the list item. */
function listed(item, indent) {
  const text = yaml(item, indent);
  return text.startsWith("\n") ? ` ${text.slice(1 + indent.length)}` : text;
}

const document_ = (packed) => yaml(unpacked(packed)).replace(/^[\n ]/, "");
