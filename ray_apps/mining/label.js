(function () {
  const $ = (id) => document.getElementById(id);
  const key = "ocray.label " + location.pathname, known = new Set(LINES.map((line) => line.file));
  // File → the label; "" is illegible; a file that is not there is undecided.
  let labels = new Map(), at = 0;

  function remember() {
    try { localStorage.setItem(key, JSON.stringify([...labels])); } catch (error) { /* a browser that keeps nothing */ }
  }
  function recall() {
    let kept = [];
    try { kept = JSON.parse(localStorage.getItem(key) || "[]"); } catch (error) { /* as above */ }
    labels = new Map(kept.filter(([file]) => known.has(file)));
  }
  const state = (line) => !labels.has(line.file) ? "" : labels.get(line.file) ? "right" : "illegible";

  function show() {
    const line = LINES[at], chosen = labels.get(line.file);
    $("crop").src = line.file;
    $("confidence").textContent = line.confidence.toFixed(2);
    $("from").textContent = line.from;
    $("text").value = chosen === undefined ? line.text : chosen;
    $("state").replaceChildren(...(state(line) ? [tag(state(line))] : []));
    $("readings").replaceChildren(...(line.second === null ? [] : [line.text, line.second]).map(reading));
    $("back").disabled = at === 0;
    $("next").disabled = at === LINES.length - 1;
    $("progress").max = LINES.length;
    $("progress").value = labels.size;
    $("count").textContent = labels.size + " / " + LINES.length;
    $("done").hidden = labels.size < LINES.length;
    [...$("list").children].forEach((item, number) => {
      const button = item.firstChild;
      button.className = state(LINES[number]);
      if (number === at) button.setAttribute("aria-current", "true"); else button.removeAttribute("aria-current");
    });
    $("text").focus();
    $("text").select();
  }
  function tag(kind) {
    const element = document.createElement("span");
    element.className = "tag " + kind;
    for (const [language, text] of Object.entries(kind === "right" ? { en: "decided", ko: "정함" } : { en: "illegible", ko: "읽을 수 없음" })) {
      const part = document.createElement("span");
      part.lang = language;
      part.textContent = text;
      element.append(part);
    }
    return element;
  }
  function reading(text, number) {
    const button = document.createElement("button");
    const hint = document.createElement("kbd");
    hint.textContent = "Alt+" + (number + 1);
    button.type = "button";
    button.append(hint, " " + (text || "–"));
    button.addEventListener("click", () => take(number));
    return button;
  }
  function take(number) {
    const line = LINES[at];
    $("text").value = number ? line.second : line.text;
    $("text").focus();
  }
  function go(number) {
    at = Math.max(0, Math.min(LINES.length - 1, number));
    show();
  }
  function decide(text) {
    labels.set(LINES[at].file, text.normalize("NFC").split(/\s+/).filter(Boolean).join(" "));
    remember();
    go(at + 1);
  }
  function save() {
    const rows = LINES.filter((line) => labels.has(line.file)).map((line) => line.file + "\t" + labels.get(line.file) + "\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(rows, { type: "text/tab-separated-values" }));
    link.download = "labels.tsv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  async function load(file) {
    for (const row of (await file.text()).split(/\r?\n/)) {
      const end = row.indexOf("\t");
      if (end > 0 && known.has(row.slice(0, end))) labels.set(row.slice(0, end), row.slice(end + 1).trim());
    }
    remember();
    firstUndecided();
  }
  function firstUndecided() {
    go(Math.max(0, LINES.findIndex((line) => !labels.has(line.file))));
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;  // Enter ends a syllable of the input method
    const named = { PageUp: () => go(at - 1), PageDown: () => go(at + 1) }[event.key];
    if (event.key === "Enter" && event.target === $("text")) event.shiftKey ? decide("") : decide($("text").value);
    else if (event.altKey && ["1", "2"].includes(event.key) && LINES[at].second !== null) take(Number(event.key) - 1);
    else if ((event.ctrlKey || event.metaKey) && event.key === "s") save();
    else if (named) named();
    else return;
    event.preventDefault();
  });
  $("right").addEventListener("click", () => decide($("text").value));
  $("illegible").addEventListener("click", () => decide(""));
  $("back").addEventListener("click", () => go(at - 1));
  $("next").addEventListener("click", () => go(at + 1));
  $("save").addEventListener("click", save);
  $("load").addEventListener("change", (event) => event.target.files[0] && load(event.target.files[0]));
  $("list").replaceChildren(...LINES.map((line, number) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", String(number + 1));
    button.addEventListener("click", () => go(number));
    item.append(button);
    return item;
  }));
  recall();
  firstUndecided();
})();
