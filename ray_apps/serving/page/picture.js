// The picture of a page with its lines on it: one SVG in upright pixels, shown straight or as the page came.

import { say } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

/** Confidence class of a line, as the bulk job's report has them. */
export const certainty = (confidence) => (confidence >= 0.9 ? "high" : confidence >= 0.7 ? "middle" : "low");

/** An SVG element with attributes. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The page as SVG: its picture, and for each line a group (`data-line`) of its polygon and the text fitted into it. */
export function drawPage({ record, url }, asReceived) {
  const { upright } = record;
  const [width, height] = asReceived ? [record.width, record.height] : [upright.width, upright.height];
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": say(asReceived ? "receivedOf" : "pictureOf", record.page_number, record.lines.length),
  });
  const page = svg("g", asReceived ? { transform: `matrix(${inverse(upright.matrix).join(" ")})` } : {});
  page.append(svg("image", { href: url, width: upright.width, height: upright.height }));
  record.lines.forEach((line, index) => page.append(drawLine(line, index, upright.matrix)));
  root.append(page);
  return root;
}

function drawLine(line, index, matrix) {
  const corners = line.polygon.map((point) => apply(matrix, point));
  const [[x, y], right, , below] = corners;
  const width = Math.hypot(right[0] - x, right[1] - y);
  const height = Math.hypot(below[0] - x, below[1] - y);
  const angle = (Math.atan2(right[1] - y, right[0] - x) * 180) / Math.PI;
  const points = corners.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  const text = svg("text", {
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${angle.toFixed(2)})`,
    x: (height * 0.1).toFixed(1), y: (height * 0.76).toFixed(1), "font-size": (height * 0.74).toFixed(1),
    textLength: Math.max(1, width - height * 0.2).toFixed(1), lengthAdjust: "spacingAndGlyphs",
  }, line.text);
  const kind = `line ${certainty(line.confidence)}`;
  return svg("g", { class: kind, "data-line": index }, svg("polygon", { points }), text);
}

const apply = ([[a, c, e], [b, d, f]], [x, y]) => [a * x + c * y + e, b * x + d * y + f];

/** The inverse of a 2 × 3 affine map, in SVG's order (a b c d e f). */
function inverse([[a, c, e], [b, d, f]]) {
  const det = a * d - b * c;
  return [d / det, -b / det, -c / det, a / det, (c * f - d * e) / det, (b * e - a * f) / det];
}
