// A document as it was read: the picture with its lines, the text beside it, how it was read.

import { saveFile } from "./browser.js";
import { $, copy, moveAmong, on, setDisabled } from "./controls.js";
import { angleFacts, awaitedLines, details, el, legend, lineItems, mark, pageErrorWords, quiet, stagesMs } from "./panels.js";
import { certainty, drawPage } from "./picture.js";
import { duration, percent, say } from "./strings.js";

export const COLUMNS = "columns";
const ZOOMS = [1, 1.5, 2, 3, 4.5];
const SIDE = 1600; // px, long side of a picture of usual proportions
const SIDE_LONGEST = 6000;

let reading = null; // the document on the page
let shown = null; // what of `reading` is drawn: a page's entry
let asReceived = false;
let zoom = 0; // index into ZOOMS
const sides = new WeakMap(); // file -> promise of the long side to ask for

/** The address that reads a range of pages of a file. */
export async function ask(base, range, file) {
  if (!sides.has(file)) sides.set(file, pictureSide(file));
  return `${base}v1/documents?upright=jpeg&upright_max_side=${await sides.get(file)}&pages=${range}`;
}

/** Long side to ask for: more for a picture of a very long page, which would be too narrow to be read. */
async function pictureSide(file) {
  try {
    const picture = await createImageBitmap(file);
    const { width, height } = picture;
    picture.close();
    const longer = Math.max(width, height) / Math.min(width, height);
    return longer < 2.5 ? SIDE : Math.min(SIDE_LONGEST, Math.round((SIDE * longer) / 1.5));
  } catch {
    return SIDE; // PDF, TIFF: not known here
  }
}

/** Another document takes the page. */
export function begin(opened) {
  reading = opened;
  asReceived = false;
  zoom = 0;
  $("stage").replaceChildren();
}

/** What is told of a page that was read. */
export const done = ({ record }) => say("done", record.lines.length, duration(stagesMs(record)));

/** Bring the buttons up to date. */
export function refresh(entry) {
  const { pages } = reading;
  $("copy-all").hidden = pages.size < 2;
  $("copy-all").textContent = say("copyAll", pages.size);
  $("copy").disabled = !entry?.record.text;
  $("download").disabled = !pages.size;
}

/** Draw a page; null where it has not been read. */
export function show(entry) {
  shown = entry;
  const record = entry?.record;
  const lines = record?.lines ?? [];
  $("lines").replaceChildren(...lineItems(lines));
  $("line-hint").hidden = !lines.length;
  $("line-count").textContent = record?.status === "ok" ? say("lineCount", lines.length) : "";
  if (record?.status === "ok" && !lines.length) $("lines").append(quiet("li", "noLines"));
  if (!entry && reading.asking) $("lines").append(...awaitedLines());
  $("details-panel").hidden = !entry;
  $("details").replaceChildren(...(entry ? details(entry, angleFacts(entry.record)) : []));
  const marks = legend(lines);
  $("legend").hidden = !marks;
  $("legend").replaceChildren(...(marks ?? []));
  showPicture();
}

function showPicture() {
  const record = shown?.record;
  const stage = $("stage");
  stage.className = `marks-${document.querySelector("[name=marks]:checked").value}`;
  $("as-received").setAttribute("aria-pressed", String(asReceived));
  $("as-received").disabled = !record?.upright;
  if (record?.upright) {
    const [width, height] = asReceived ? [record.width, record.height] : [record.upright.width, record.upright.height];
    stage.style.setProperty("--aspect", width / height);
    const label = el("div", { className: "callout", id: "callout", hidden: true, "aria-hidden": "true" });
    stage.replaceChildren(drawPage(shown, asReceived), label);
  } else if (record) {
    stage.replaceChildren(record.status === "error" ? pageErrorWords(record.error) : quiet("p", "noPicture"));
  } else if (reading.asking && !reading.document) {
    const image = el("img", { className: "preview", src: reading.preview, alt: "" });
    image.onload = () => {
      if (image.isConnected) stage.style.setProperty("--aspect", image.naturalWidth / image.naturalHeight);
    };
    image.onerror = () => image.replaceWith(el("div", { className: "blank" })); // PDF and TIFF
    if (!stage.querySelector(".preview, .blank")) stage.replaceChildren(image);
  } else {
    stage.replaceChildren(reading.asking ? el("div", { className: "blank" }) : quiet("p", "notReadYet"));
  }
  setZoom(zoom);
}

function setZoom(index) {
  zoom = Math.min(Math.max(index, 0), ZOOMS.length - 1);
  $("stage").style.setProperty("--zoom", ZOOMS[zoom]);
  setDisabled("zoom-out", zoom === 0);
  setDisabled("zoom-in", zoom === ZOOMS.length - 1);
  hideCallout();
}

// --- a line is pointed at ------------------------------------------------------------------------------------------

const lineOf = (target) => target.closest?.("[data-line]")?.dataset.line;

/** Mark a line in picture and list; `from` says where the person points, so that the other side scrolls to it. */
function highlight(index, from) {
  for (const element of document.querySelectorAll(".line.on")) element.classList.remove("on");
  hideCallout();
  if (index === undefined || !shown) return;
  const group = $("stage").querySelector(`[data-line="${index}"]`);
  const button = $("lines").querySelector(`[data-line="${index}"]`);
  group?.classList.add("on");
  button?.classList.add("on");
  if (from === "picture") reveal($("lines"), button);
  else if (group) reveal($("scroller"), group);
  if (group) callout(group, shown.record.lines[index]);
}

function callout(group, line) {
  const box = group.querySelector("polygon").getBoundingClientRect();
  const stage = $("stage").getBoundingClientRect();
  const sure = certainty(line.confidence);
  const label = $("callout");
  const told = el("span", { className: `sure ${sure}` }, mark(sure), percent(line.confidence));
  label.replaceChildren(el("span", {}, line.text), told);
  label.hidden = false;
  const above = box.top - $("scroller").getBoundingClientRect().top > label.offsetHeight + 10;
  const left = Math.min(box.left - stage.left, stage.width - label.offsetWidth - 4);
  label.style.left = `${Math.max(4, left)}px`;
  label.style.top = `${above ? box.top - stage.top - label.offsetHeight - 6 : box.bottom - stage.top + 6}px`;
}

function hideCallout() {
  if ($("callout")) $("callout").hidden = true;
}

/** Scroll `box` alone, never the page, until `element` is seen in it. */
function reveal(box, element) {
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.top < outer.top || inner.bottom > outer.bottom) box.scrollTop += inner.top - outer.top - outer.height / 3;
  if (inner.left < outer.left || inner.right > outer.right) box.scrollLeft += inner.left - outer.left - 24;
}

// --- copying and downloading ---------------------------------------------------------------------------------------

const pageText = ({ record }) => record.text || record.lines.map((line) => line.text).join("\n");

function copyLine(index) {
  const { text } = shown.record.lines[index];
  copy(text, say("copiedLine", text));
}

function download() {
  saveFile(`${reading.name.replace(/\.[^.]*$/, "")}.json`, JSON.stringify(reading, null, 2), "application/json");
}

// --- wiring --------------------------------------------------------------------------------------------------------

on("marks", "change", showPicture);
on("as-received", "click", () => {
  asReceived = !asReceived;
  showPicture();
});
on("zoom-in", "click", () => setZoom(zoom + 1));
on("zoom-out", "click", () => setZoom(zoom - 1));
on("zoom-fit", "click", () => setZoom(0));

on("copy", "click", () => copy(pageText(shown), say("copiedPage")));
on("copy-all", "click", () => {
  const numbers = [...reading.pages.keys()].sort((a, b) => a - b);
  copy(numbers.map((n) => pageText(reading.pages.get(n))).join("\n\n"), say("copiedPages", numbers.length));
});
on("download", "click", download);

for (const [id, from] of [["stage", "picture"], ["lines", "list"]]) {
  on(id, "pointerover", ({ target }) => highlight(lineOf(target), from));
  on(id, "pointerleave", () => highlight(lineOf(document.activeElement), from));
  on(id, "click", ({ target }) => lineOf(target) !== undefined && copyLine(lineOf(target)));
}
on("lines", "focusin", ({ target }) => highlight(lineOf(target), "list"));
on("lines", "focusout", () => highlight());
on("lines", "keydown", (event) => moveAmong("lines", event, ["ArrowUp", "ArrowDown"]));
