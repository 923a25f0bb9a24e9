// The page: takes a document from the person, shows what the reader finds.

import { copyText, keep, read, saveFile } from "./browser.js";
import {
  awaitedLines, details, el, legend, lineItems, mark, pageErrorWords, problemWords, quiet, stagesMs,
} from "./panels.js";
import { certainty, drawPage } from "./picture.js";
import { ends, Reading } from "./reader.js";
import { bytes, duration, percent, preferredLanguage, say, useLanguage } from "./strings.js";

const $ = (id) => document.getElementById(id);
const ZOOMS = [1, 1.5, 2, 3, 4.5];
const KEY = "ocray.api-key";
const LANGUAGE = "ocray.language";

let reading = null; // the document on the page
let preview = null; // URL of the file itself, shown until the first answer
let shown = null; // what of `reading` is drawn: a page's entry
let asReceived = false;
let zoom = 0; // index into ZOOMS
let keyAsked = null; // the problem the key dialog was opened for
let toastTimer = 0;

// --- a document comes in -------------------------------------------------------------------------------------------

function open(file) {
  reading?.close();
  if (preview) URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  reading = new Reading(file, file.name || say("pastedName"), { key: read("sessionStorage", KEY), onChange: render });
  shown = null;
  asReceived = false;
  zoom = 0;
  $("stage").replaceChildren();
  $("start").hidden = true;
  $("result").hidden = false;
  render();
  $("file-name").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  reading.run();
}

function take(files) {
  if (!files.length) return;
  open(files[0]);
  if (files.length > 1) toast(say("oneAtATime", files[0].name));
}

function goTo(number) {
  const count = reading?.document?.page_count;
  if (!count || !Number.isInteger(number)) return render();
  reading.current = Math.min(Math.max(number, 1), count);
  render();
  if (!reading.problem || !reading.pages.has(reading.current)) reading.run();
}

// --- what is shown -------------------------------------------------------------------------------------------------

/** Bring everything up to date. The page itself is drawn anew only when it is another one. */
function render() {
  if (!reading) return;
  const { document: info, pages, current, problem } = reading;
  const entry = pages.get(current) ?? null;
  $("file-name").textContent = reading.name;
  $("file-facts").textContent = `${info ? `${say("pageCount", info.page_count)} · ` : ""}${bytes(reading.file.size)}`;
  $("pager").hidden = !(info?.page_count > 1);
  if (info) {
    $("page-number").value = current;
    $("page-number").max = info.page_count;
    $("page-count").textContent = say("ofPages", info.page_count);
    setDisabled("previous", current <= 1);
    setDisabled("next", current >= info.page_count);
  }
  $("columns").hidden = problem !== null && pages.size === 0;
  $("lazy-note").hidden = !reading.lazy;
  $("lazy-note").textContent = reading.lazy ? say("lazyNote", info.page_count) : "";
  $("copy-all").hidden = pages.size < 2;
  $("copy-all").textContent = say("copyAll", pages.size);
  $("copy").disabled = !entry?.record.text;
  $("download").disabled = !pages.size;
  $("result").setAttribute("aria-busy", String(reading.asking !== null));
  showStatus(entry);
  showProblem(problem);
  if (entry === null || entry !== shown) showPage(entry);
}

function showStatus(entry) {
  const { asking, wait, document: info, problem } = reading;
  let words = "";
  if (wait) words = say("waiting", wait.seconds, wait.attempt, wait.of);
  else if (asking) words = info ? say("reading", ends(asking)) : say("sending");
  else if (entry?.record.status === "error") words = say("pageFailed");
  else if (entry) words = say("done", entry.record.lines.length, duration(stagesMs(entry.record)));
  else if (problem) words = say("stopped");
  $("status").classList.toggle("busy", asking !== null);
  if ($("status").textContent !== words) $("status").textContent = words; // told once, not at every render
}

function showProblem(problem) {
  if ($("problem").problem === problem && $("problem").lang === document.documentElement.lang) return;
  $("problem").problem = problem;
  $("problem").lang = document.documentElement.lang;
  $("problem").hidden = !problem;
  $("problem").replaceChildren(...(problem ? problemWords(problem, () => reading.run()) : []));
  if (problem?.status === 401 && keyAsked !== problem) askForKey(problem);
}

function showPage(entry) {
  shown = entry;
  const record = entry?.record;
  const lines = record?.lines ?? [];
  $("lines").replaceChildren(...lineItems(lines));
  $("line-hint").hidden = !lines.length;
  $("line-count").textContent = record?.status === "ok" ? say("lineCount", lines.length) : "";
  if (record?.status === "ok" && !lines.length) $("lines").append(quiet("li", "noLines"));
  if (!entry && reading.asking) $("lines").append(...awaitedLines());
  $("details-panel").hidden = !entry;
  $("details").replaceChildren(...(entry ? details(entry) : []));
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
    const image = el("img", { className: "preview", src: preview, alt: "" });
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

function moveInList(event) {
  const buttons = [...$("lines").querySelectorAll("button")];
  const at = buttons.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at < 0 || buttons[to] === undefined) return;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
}

// --- copying, downloading, telling ---------------------------------------------------------------------------------

const pageText = ({ record }) => record.text || record.lines.map((line) => line.text).join("\n");

async function copy(text, told) {
  toast((await copyText(text)) ? told : say("copyFailed"));
}

function copyLine(index) {
  const { text } = shown.record.lines[index];
  copy(text, say("copiedLine", text));
}

function download() {
  saveFile(`${reading.name.replace(/\.[^.]*$/, "")}.json`, JSON.stringify(reading, null, 2), "application/json");
}

function toast(words) {
  $("toast").textContent = words;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 3500);
}

// --- the API key ---------------------------------------------------------------------------------------------------

function askForKey(problem) {
  keyAsked = problem;
  $("key-lead").textContent = say(reading.key ? "keyWrong" : "keyLead");
  $("key").value = "";
  if (!$("key-dialog").open) $("key-dialog").showModal();
}

function useKey(event) {
  event.preventDefault();
  const key = $("key").value.trim();
  if (!key) return;
  keep("sessionStorage", KEY, key);
  $("key-dialog").close();
  reading.key = key;
  reading.run();
}

// --- wiring --------------------------------------------------------------------------------------------------------

/** Like `disabled`, but the button keeps the focus it has. */
function setDisabled(id, disabled) {
  $(id).setAttribute("aria-disabled", String(disabled));
}

function on(id, type, listener) {
  $(id).addEventListener(type, (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") listener(event);
  });
}

function speak(language) {
  useLanguage(language);
  for (const button of $("languages").children) button.setAttribute("aria-pressed", String(button.value === language));
  shown = null;
  render();
}

for (const [button, input] of [["choose", "file"], ["another", "file"], ["photograph", "camera"]]) {
  on(button, "click", (event) => {
    event.stopPropagation();
    $(input).click();
  });
  $(input).onchange = () => {
    const files = [...$(input).files];
    $(input).value = ""; // so that the same file can be chosen again
    take(files);
  };
}
on("drop", "click", () => $("file").click());
on("languages", "click", ({ target }) => {
  if (!target.value) return;
  keep("localStorage", LANGUAGE, target.value);
  speak(target.value);
});

on("previous", "click", () => goTo(reading.current - 1));
on("next", "click", () => goTo(reading.current + 1));
on("page-number", "change", ({ target }) => goTo(target.valueAsNumber));
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
on("lines", "keydown", moveInList);

on("key-form", "submit", useKey);
on("key-cancel", "click", () => $("key-dialog").close());

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  $("veil").classList.add("shown");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("veil").classList.remove("shown");
});
document.addEventListener("drop", (event) => {
  $("veil").classList.remove("shown");
  if (!carriesFiles(event)) return;
  event.preventDefault();
  take([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));

speak(preferredLanguage(read("localStorage", LANGUAGE)));
