// What the browser lends the page: storage that may be switched off, a clipboard that may be missing, downloads.

/** `read("localStorage", name)`: what is stored, or null. */
export function read(storage, name) {
  try {
    return window[storage].getItem(name);
  } catch {
    return null;
  }
}

/** Store what can be stored; where storage is switched off, the value holds for this visit only. */
export function keep(storage, name, value) {
  try {
    window[storage].setItem(name, value);
  } catch {
    // nothing to do
  }
}

/** Put text on the clipboard; true when it is there. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text); // missing where the page is served neither by https nor from localhost
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const active = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  active?.focus({ preventScroll: true });
  return done;
}

/** Offer `content` as a file to keep. */
export function saveFile(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
