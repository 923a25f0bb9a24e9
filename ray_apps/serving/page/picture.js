// Pictures with what was found on them, as SVG: a page with its lines in upright pixels, shown straight or as the page
// came; a photo of a meter with its display and digits in its own.

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
  const text = svg("text", {
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${angle.toFixed(2)})`,
    x: (height * 0.1).toFixed(1), y: (height * 0.76).toFixed(1), "font-size": (height * 0.74).toFixed(1),
    textLength: Math.max(1, width - height * 0.2).toFixed(1), lengthAdjust: "spacingAndGlyphs",
  }, line.text);
  const kind = `line ${certainty(line.confidence)}`;
  return svg("g", { class: kind, "data-line": index }, svg("polygon", { points: points(corners) }), text);
}

/** A photo of a meter as SVG, in its own pixels: the display's outline, and a box for each digit (`data-digit`). */
export function drawPhoto(record, url) {
  const { width, height } = record;
  const label = say("photoOf", record.page_number, record.screen_corners !== null);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  if (url) root.append(svg("image", { href: url, width, height, preserveAspectRatio: "none" }));
  if (record.screen_corners) root.append(svg("polygon", { class: "screen", points: points(record.screen_corners) }));
  root.append(...digitBoxes(record));
  return root;
}

/** The display alone, turned so that its digits stand upright. */
export function drawDisplay(record, url) {
  const [[x, y], right, , below] = record.screen_corners;
  const [width, height] = [Math.hypot(right[0] - x, right[1] - y), Math.hypot(below[0] - x, below[1] - y)];
  const angle = (Math.atan2(right[1] - y, right[0] - x) * 180) / Math.PI;
  const margin = 0.35 * height;
  const label = say("displayOf", record.reading);
  const root = svg("svg", { viewBox: `0 0 ${width + 2 * margin} ${height + 2 * margin}`, role: "img", "aria-label": label });
  const turned = `translate(${margin} ${margin}) rotate(${-angle}) translate(${-x} ${-y})`;
  const size = { width: record.width, height: record.height, preserveAspectRatio: "none" };
  root.append(svg("g", { transform: turned }, svg("image", { href: url, ...size }), ...digitBoxes(record)));
  return root;
}

const digitBoxes = ({ digits, fraction_digits: behind }) => digits.map((digit, index) => {
  const sure = digit.character === "x" ? "low" : certainty(digit.confidence);
  const fraction = index >= digits.length - behind ? " fraction" : "";
  return svg("polygon", { class: `digit ${sure}${fraction}`, "data-digit": index, points: points(digit.box) });
});

const points = (corners) => corners.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");

const apply = ([[a, c, e], [b, d, f]], [x, y]) => [a * x + c * y + e, b * x + d * y + f];

/** The inverse of a 2 × 3 affine map, in SVG's order (a b c d e f). */
function inverse([[a, c, e], [b, d, f]]) {
  const det = a * d - b * c;
  return [d / det, -b / det, -c / det, a / det, (c * f - d * e) / det, (b * e - a * f) / det];
}
