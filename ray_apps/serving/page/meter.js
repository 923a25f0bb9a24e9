// A meter as it was read: the photo with its display and digits, the reading large, whether it may be used.

import { saveFile } from "./browser.js";
import { $, copy, on } from "./controls.js";
import { details, el, mark, pageErrorWords, quiet, sureness } from "./panels.js";
import { certainty, drawDisplay, drawPhoto } from "./picture.js";
import { percent, reasonWords, say } from "./strings.js";

export const COLUMNS = "meter-columns";
const SIDE = 2400; // px; the picture is kept no larger

let reading = null; // the photo on the page
let shown = null; // what of `reading` is drawn: a page's entry
const pictures = new WeakMap(); // file -> promise of its picture's URL, null where the browser cannot show it

/** The address that reads a range of pages of a file. */
export const ask = async (base, range) => `${base}v1/meters?pages=${range}`;

/** Another photo takes the page. */
export function begin(opened) {
  if (reading) pictures.get(reading.file)?.then((url) => url && URL.revokeObjectURL(url));
  reading = opened;
  pictures.set(reading.file, picture(reading.file));
  $("photo").replaceChildren();
}

/** The photo as the server's boxes are on it: turned as its EXIF says. */
async function picture(file) {
  try {
    const photo = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(photo.width, photo.height));
    const canvas = el("canvas", { width: Math.round(photo.width * scale), height: Math.round(photo.height * scale) });
    canvas.getContext("2d").drawImage(photo, 0, 0, canvas.width, canvas.height);
    photo.close();
    const content = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    return content && URL.createObjectURL(content);
  } catch {
    return null; // PDF, TIFF
  }
}

/** What is told of a photo that was read. */
export const done = ({ record }) => say(record.success ? "meterDone" : "meterDoneWithout", record.reading);

/** Bring the buttons up to date. */
export function refresh(entry) {
  $("copy-reading").disabled = !entry?.record.reading;
  $("meter-download").disabled = !reading.pages.size;
}

/** Draw a photo; null where it has not been read. */
export async function show(entry) {
  shown = entry;
  const record = entry?.record;
  const read = record?.status === "ok";
  $("reading-text").textContent = record?.reading ?? "";
  $("wheels").replaceChildren(...(read ? places(record) : []));
  $("meter-class").replaceChildren(...(read && record.meter_class ? classWords(record) : []));
  $("verdict").replaceChildren(...(read ? verdict(record) : [quiet("span", reading.asking ? "meterAwaited" : "notReadYet")]));
  $("verdict").className = read ? `verdict ${record.success ? "good" : "bad"}` : "verdict";
  $("meter-details-panel").hidden = !entry;
  $("meter-details").replaceChildren(...(entry ? details(entry, []) : []));
  const url = await pictures.get(reading.file);
  if (shown !== entry) return; // another one meanwhile
  showPictures(entry, url);
}

function showPictures(entry, url) {
  const record = entry?.record;
  const display = record?.screen_corners && url ? drawDisplay(record, url) : null;
  $("display").hidden = !display;
  $("display").replaceChildren(...(display ? [display] : []));
  if (record?.status === "error") $("photo").replaceChildren(pageErrorWords(record.error));
  else if (record) $("photo").replaceChildren(drawPhoto(record, url), ...(url ? [] : [quiet("p", "noPhoto")]));
  else if (url) $("photo").replaceChildren(el("img", { className: "preview", src: url, alt: "" }));
  else $("photo").replaceChildren(el("div", { className: "blank" }));
}

/** List items of a reading's places, the point among them; each says what it is and how sure. */
function places({ digits, fraction_digits: behind }) {
  const items = digits.map((digit, index) => {
    const fraction = index >= digits.length - behind;
    const sure = digit.character === "x" ? "unread" : certainty(digit.confidence);
    const told = [fraction ? say("fractionPlace") : null, sure === "unread" ? say("unreadPlace") : sureness(digit.confidence)];
    const kind = `place ${sure}${fraction ? " fraction" : ""}`;
    return el("li", { className: kind, "data-digit": index },
      el("b", { "aria-hidden": "true" }, digit.character),
      el("span", { className: "sure", "aria-hidden": "true" }, mark(sure === "unread" ? "low" : sure), percent(digit.confidence)),
      el("span", { className: "unseen" }, [digit.character, ...told].filter(Boolean).join(", ")));
  });
  if (behind && behind < digits.length) {
    items.splice(digits.length - behind, 0, el("li", { className: "point", "aria-hidden": "true" }, "."));
  }
  return items;
}

function classWords({ meter_class: name, class_confidence: confidence, fraction_digits: behind }) {
  const parts = [el("span", {}, say("classes")[name] ?? name, ` ${percent(confidence)}`)];
  if (behind) parts.push(el("span", { className: "fraction-key" }, say("fractionLegend")));
  return parts;
}

function verdict({ success, reason }) {
  const sign = el("span", { className: `mark ${success ? "good" : "low"}`, "aria-hidden": "true" }, success ? "✓" : "!");
  if (success) return [sign, el("b", {}, say("usable"))];
  return [sign, el("span", {}, el("b", {}, say("unusable")), " ", reasonWords(reason))];
}

// --- wiring --------------------------------------------------------------------------------------------------------

/** Mark a place in the reading and on both pictures. */
function highlight(index) {
  for (const element of document.querySelectorAll("[data-digit].on")) element.classList.remove("on");
  if (index === undefined) return;
  for (const element of document.querySelectorAll(`[data-digit="${index}"]`)) element.classList.add("on");
}

for (const id of ["wheels", "photo", "display"]) {
  on(id, "pointerover", ({ target }) => highlight(target.closest("[data-digit]")?.dataset.digit));
  on(id, "pointerleave", () => highlight());
}
on("copy-reading", "click", () => copy(shown.record.reading, say("copiedLine", shown.record.reading)));
on("meter-download", "click", () => {
  saveFile(`${reading.name.replace(/\.[^.]*$/, "")}.json`, JSON.stringify(reading, null, 2), "application/json");
});
