// The page: takes files from the person and has them read; a tab for each kind of thing that this server reads, shown by
// document.js and meter.js.

import { keep, read } from "./browser.js";
import { $, moveAmong, on, setDisabled, toast } from "./controls.js";
import * as documents from "./document.js";
import * as meters from "./meter.js";
import { problemWords } from "./panels.js";
import { ends, Reading } from "./reader.js";
import { bytes, preferredLanguage, say, useLanguage } from "./strings.js";

const KEY = "ocray.api-key";
const LANGUAGE = "ocray.language";
const TAB = "ocray.tab";
const VIEWS = { documents, meters };

const addresses = document.body.dataset; // of the API, by tab
const tabs = Object.keys(VIEWS).filter((name) => name in addresses);
const readings = {}; // what is on the page, by tab
const shown = {}; // what of it is drawn: a page's entry, null for none yet
let tab = null;
let keyAsked = null; // the problem the key dialog was opened for

// --- a file comes in -----------------------------------------------------------------------------------------------

function open(file) {
  const name = tab;
  readings[name]?.close();
  const reading = new Reading(file, file.name || say("pastedName"), {
    key: read("sessionStorage", KEY),
    ask: (range) => VIEWS[name].ask(addresses[name], range, file),
    onChange: () => name === tab && render(),
  });
  readings[name] = reading;
  delete shown[name];
  VIEWS[name].begin(reading);
  render();
  $("file-name").focus({ preventScroll: true });
  scrollTo({ top: 0 });
  reading.run();
}

function take(files) {
  if (!files.length) return;
  open(files[0]);
  if (files.length > 1) toast(say(tab === "meters" ? "oneMeterAtATime" : "oneAtATime", files[0].name));
}

function goTo(number) {
  const reading = readings[tab];
  const count = reading?.document?.page_count;
  if (!count || !Number.isInteger(number)) return render();
  reading.current = Math.min(Math.max(number, 1), count);
  render();
  if (!reading.problem || !reading.pages.has(reading.current)) reading.run();
}

// --- what is shown -------------------------------------------------------------------------------------------------

/** Bring everything up to date. The page itself is drawn anew only when it is another one. */
function render() {
  const reading = readings[tab];
  $("start").hidden = Boolean(reading);
  $("result").hidden = !reading;
  if (!reading) return;
  const view = VIEWS[tab];
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
  for (const each of Object.values(VIEWS)) $(each.COLUMNS).hidden = each !== view || (problem !== null && !pages.size);
  $("lazy-note").hidden = !reading.lazy;
  $("lazy-note").textContent = reading.lazy ? say("lazyNote", info.page_count) : "";
  $("result").setAttribute("aria-busy", String(reading.asking !== null));
  view.refresh(entry);
  showStatus(reading, entry);
  showProblem(reading);
  if (entry === null || entry !== shown[tab]) view.show(entry);
  shown[tab] = entry;
}

function showStatus({ asking, wait, document: info, problem }, entry) {
  let words = "";
  if (wait) words = say("waiting", wait.seconds, wait.attempt, wait.of);
  else if (asking) words = info ? say("reading", ends(asking)) : say("sending");
  else if (entry?.record.status === "error") words = say("pageFailed");
  else if (entry) words = VIEWS[tab].done(entry);
  else if (problem) words = say("stopped");
  $("status").classList.toggle("busy", asking !== null);
  if ($("status").textContent !== words) $("status").textContent = words; // told once, not at every render
}

function showProblem(reading) {
  const { problem } = reading;
  if ($("problem").problem === problem && $("problem").lang === document.documentElement.lang) return;
  $("problem").problem = problem;
  $("problem").lang = document.documentElement.lang;
  $("problem").hidden = !problem;
  $("problem").replaceChildren(...(problem ? problemWords(problem, () => reading.run()) : []));
  if (problem?.status === 401 && keyAsked !== problem) askForKey(reading);
}

// --- the API key ---------------------------------------------------------------------------------------------------

function askForKey(reading) {
  keyAsked = reading.problem;
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
  for (const reading of Object.values(readings)) reading.key = key;
  readings[tab].run();
}

// --- tabs and languages --------------------------------------------------------------------------------------------

function choose(name) {
  tab = name;
  for (const button of $("tabs").children) {
    button.setAttribute("aria-selected", String(button.value === tab));
    button.tabIndex = button.value === tab ? 0 : -1;
  }
  if (tabs.length > 1) $("panel").setAttribute("aria-labelledby", `tab-${tab}`);
  for (const element of document.querySelectorAll(`[data-${tab}]:not(body)`)) {
    element.dataset.text = element.dataset[tab];
  }
  for (const element of document.querySelectorAll("[data-tab]")) {
    element.toggleAttribute("hidden", element.dataset.tab !== tab);
  }
  $("api").href = `${addresses[tab]}docs`;
  speak(document.documentElement.lang);
}

function speak(language) {
  useLanguage(language);
  document.title = `ocray · ${$("tagline").textContent}`;
  for (const button of $("languages").children) button.setAttribute("aria-pressed", String(button.value === language));
  for (const name of tabs) delete shown[name];
  render();
}

function chooseByPerson(button) {
  if (!button?.value || button.value === tab) return;
  keep("localStorage", TAB, button.value);
  choose(button.value);
}

// --- wiring --------------------------------------------------------------------------------------------------------

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
on("tabs", "click", ({ target }) => chooseByPerson(target.closest("button")));
on("tabs", "keydown", (event) => chooseByPerson(moveAmong("tabs", event, ["ArrowLeft", "ArrowRight"])));

on("previous", "click", () => goTo(readings[tab].current - 1));
on("next", "click", () => goTo(readings[tab].current + 1));
on("page-number", "change", ({ target }) => goTo(target.valueAsNumber));

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

if (tabs.length > 1) {
  $("tabs").hidden = false;
  $("panel").setAttribute("role", "tabpanel");
}
useLanguage(preferredLanguage(read("localStorage", LANGUAGE)));
choose(tabs.find((name) => name === read("localStorage", TAB)) ?? tabs[0]);
