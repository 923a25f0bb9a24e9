// Small things that all parts of the page use: elements by id, buttons, the toast.

import { copyText } from "./browser.js";
import { say } from "./strings.js";

export const $ = (id) => document.getElementById(id);

let toastTimer = 0;

/** Tell something for a few seconds. */
export function toast(words) {
  $("toast").textContent = words;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 3500);
}

/** Put text on the clipboard, and tell it. */
export async function copy(text, told) {
  toast((await copyText(text)) ? told : say("copyFailed"));
}

/** Like `disabled`, but the button keeps the focus it has. */
export function setDisabled(id, disabled) {
  $(id).setAttribute("aria-disabled", String(disabled));
}

export function on(id, type, listener) {
  $(id).addEventListener(type, (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") listener(event);
  });
}

/** Arrow keys, Home and End move among the buttons in `box`, of which one is in the tab order. Gives the one moved to. */
export function moveAmong(box, event, [back, forth]) {
  const buttons = [...$(box).querySelectorAll("button")];
  const at = buttons.indexOf(event.target);
  const to = { [forth]: at + 1, [back]: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at < 0 || buttons[to] === undefined) return null;
  event.preventDefault();
  buttons[at].tabIndex = -1;
  buttons[to].tabIndex = 0;
  buttons[to].focus();
  return buttons[to];
}
