// The panels beside the picture: the lines as a list, and how the page was read. And problems, in words.

import { certainty, svg } from "./picture.js";
import { ends } from "./reader.js";
import { duration, figure, percent, say, stageName } from "./strings.js";

/** An HTML element; `properties` are set as properties, those with a dash as attributes. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A quiet remark. */
export const quiet = (name, key) => el(name, { className: "muted none" }, say(key));

/** List items of a page's lines. One of them is in the tab order; the arrow keys reach the others. */
export function lineItems(lines) {
  return lines.map((line, index) => {
    const sure = certainty(line.confidence);
    const button = el(
      "button",
      { type: "button", className: `line ${sure}`, tabIndex: index ? -1 : 0, "data-line": index },
      el("span", { className: "words" }, line.text),
      el("span", { className: "unseen" }, `, ${sureness(line.confidence)}`),
      el("span", { className: "sure", "aria-hidden": "true" }, mark(sure), percent(line.confidence)),
    );
    return el("li", {}, button);
  });
}

/** Where lines will be. */
export const awaitedLines = () => [70, 45, 82, 60, 38, 74].map((width) => {
  const line = el("li", { className: "awaited", "aria-hidden": "true" });
  line.style.width = `${width}%`;
  return line;
});

/** The sign of a confidence class: a shape, so that it does not hang on colour. */
export function mark(sure) {
  if (sure === "high") return null;
  return el("span", { className: `mark ${sure}`, "aria-hidden": "true" }, sure === "low" ? "!" : "?");
}

/** What the marks on this page mean; null when all lines are sure. */
export function legend(lines) {
  const parts = ["middle", "low"].flatMap((sure) => {
    const n = lines.filter((line) => certainty(line.confidence) === sure).length;
    const key = sure === "low" ? "legendLow" : "legendMiddle";
    return n ? [el("span", {}, mark(sure), " ", say(key, n))] : [];
  });
  return parts.length ? parts : null;
}

/** A confidence in words. */
export function sureness(confidence) {
  const sure = certainty(confidence);
  return `${say("confidence", percent(confidence))}${sure === "high" ? "" : `, ${say(sure)}`}`;
}

/** How a page stood, as facts for `details`. */
export function angleFacts(record) {
  const facts = [];
  if (record.skew_degrees !== null && record.orientation_degrees !== null) {
    const degrees = signedTurn(record.orientation_degrees + record.skew_degrees);
    facts.push([say("angle"), el("span", { className: "turn" }, dial(degrees), el("b", {}, turnWords(degrees)))]);
  }
  if (record.orientation_degrees !== null) {
    facts.push([say("orientation"), withSureness(`${record.orientation_degrees}°`, record.orientation_confidence)]);
  }
  if (record.skew_degrees !== null) {
    facts.push([say("skew"), withSureness(`${degreesFigure(record.skew_degrees)}°`, record.skew_confidence)]);
  }
  return facts;
}

/** How a page was read: `told`, pairs of a name and what it is; size, device, models, time by stage. */
export function details({ record, request }, told) {
  const facts = [...told];
  const others = Object.entries(record.models).filter(([task]) => !(task in record.timings_ms)).map(([, name]) => name);
  if (record.width) facts.push([say("size"), `${record.width} × ${record.height} px`]);
  if (record.device) facts.push([say("device"), record.device]);
  if (others.length) facts.push([say("model"), others.join(", ")]);
  if (request.id) facts.push([say("requestId"), el("code", {}, request.id)]);
  const list = el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  return [list, timings(record, request)];
}

/** Time of all stages of a page. */
export const stagesMs = (record) => Object.values(record.timings_ms).reduce((sum, ms) => sum + ms, 0);

function timings(record, request) {
  const stages = Object.entries(record.timings_ms);
  const total = stagesMs(record);
  const rows = stages.map(([stage, ms]) => {
    const bar = svg("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { width: total ? ((100 * ms) / total).toFixed(1) : 0, height: 6 }));
    const model = record.models[stage];
    return el("tr", {},
      el("th", { scope: "row" }, stageName(stage), model ? el("small", {}, model) : null),
      el("td", { className: "bars" }, bar), el("td", { className: "n" }, duration(ms)));
  });
  const sums = [
    [say("pageTotal"), total],
    [say("requestTotal", ends(request.pages)), request.totalMs],
    [say("roundTrip"), request.tripMs],
  ].map(([name, ms], index) => el("tr", { className: index ? "sum" : "sum first" },
    el("th", { scope: "row", colSpan: 2 }, name), el("td", { className: "n" }, duration(ms))));
  const head = el("tr", {}, el("th", { scope: "col", colSpan: 2 }, say("stage")),
    el("th", { scope: "col", className: "n" }, say("time")));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, ...sums));
}

/** A problem in words; `retry` is called by its button. */
export function problemWords(problem, retry) {
  const title = problem.kind === "problem" ? problem.title : say(problem.kind);
  const detail = problem.detail || (problem.kind === "unreachable" ? say("unreachableDetail") : "");
  // `detail` mostly says what `errors` and `page_error` say; what it leaves out is listed
  const untold = problem.errors.filter((error) => !detail.includes(error.problem));
  const items = untold.map((error) => `${error.where}: ${error.problem}`);
  if (problem.pageError) items.push([stageName(problem.pageError.stage), problem.pageError.type].join(" · "));
  const request = problem.requestId && `${say("requestId")} ${problem.requestId}`;
  const told = [problem.status && `HTTP ${problem.status}`, request].filter(Boolean).join(" · ");
  return [
    el("h3", {}, title),
    detail ? el("p", {}, detail) : null,
    items.length ? el("ul", {}, ...items.map((item) => el("li", {}, item))) : null,
    told ? el("p", { className: "muted" }, told) : null,
    el("button", { type: "button", id: "retry", onclick: retry }, say("retry")),
  ].filter(Boolean);
}

/** The words for a page that failed while others did not. */
export function pageErrorWords(error) {
  const where = [stageName(error.stage), error.type].filter(Boolean).join(" · ");
  return el("div", { className: "page-error" },
    el("p", {}, el("span", { className: "mark low", "aria-hidden": "true" }, "!"), " ", el("b", {}, say("pageFailed"))),
    el("p", {}, error.message), el("p", { className: "muted" }, where));
}

function withSureness(value, confidence) {
  if (confidence === null) return value;
  const sure = certainty(confidence);
  return el("span", {}, `${value} `, el("span", { className: `sure ${sure}` }, mark(sure), percent(confidence),
    el("span", { className: "unseen" }, ` ${say(sure)}`)));
}

/** A small picture of how the page stood; `degrees` counter-clockwise. */
function dial(degrees) {
  return svg("svg", { viewBox: "0 0 24 24", width: 24, height: 24, "aria-hidden": "true", class: "dial" },
    svg("rect", { x: 7, y: 5, width: 10, height: 14, rx: 1, class: "upright" }),
    svg("g", { transform: `rotate(${(-degrees).toFixed(1)} 12 12)` },
      svg("rect", { x: 7, y: 5, width: 10, height: 14, rx: 1 }), svg("path", { d: "M9.5 8.5h5M9.5 11h5M9.5 13.5h3" })));
}

const signedTurn = (degrees) => ((((degrees + 180) % 360) + 360) % 360) - 180;

const degreesFigure = (degrees) => figure(Math.abs(degrees) < 0.05 ? 0 : degrees, 1);

function turnWords(degrees) {
  if (Math.abs(degrees) < 0.05) return say("straight");
  return say(degrees > 0 ? "counterClockwise" : "clockwise", degreesFigure(Math.abs(degrees)));
}
