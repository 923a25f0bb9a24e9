// A document and its pages as the server reads them: windows of pages, retries, problems. No DOM.

const READ_WHOLE_UP_TO = 20; // pages; of longer documents only those looked at are read
const WINDOW = 3; // pages a request, after the first
const SIDE = 1600; // px, long side of a picture of usual proportions
const SIDE_LONGEST = 6000;
const RETRIES = 2;
const LONGEST_WAIT_S = 60; // a longer Retry-After is left to the person

/** An answer that is not the one hoped for. `kind`: problem (the server says why), unreachable or notUnderstood. */
export class Problem extends Error {
  constructor(kind, { status = 0, title = "", detail = "", errors = [], pageError = null, requestId = "" } = {}) {
    super(title || kind);
    Object.assign(this, { kind, status, title, detail, errors, pageError, requestId });
  }
}

/** One document being read. `pages` holds what came, by number; `onChange` is called whenever something does. */
export class Reading {
  constructor(file, name, { key, onChange }) {
    Object.assign(this, { file, name, key, onChange });
    this.document = null; // DocumentInfo of the first answer
    this.requestId = "";
    this.pages = new Map(); // number -> {record, url, request}
    this.current = 1;
    this.asking = null; // page numbers of the request under way
    this.wait = null; // {seconds, attempt, of} while a busy server is given time
    this.problem = null;
    this.totalMs = 0;
    this.abort = new AbortController();
  }

  get lazy() {
    return this.document !== null && this.document.page_count > READ_WHOLE_UP_TO;
  }

  /** Read what is wanted, the page looked at first, until nothing is or a problem stands in the way. */
  async run() {
    if (this.asking) return;
    this.problem = null;
    for (let wanted = this.wanted(); wanted.length && !this.abort.signal.aborted; wanted = this.wanted()) {
      this.asking = wanted;
      this.onChange();
      try {
        await this.read(wanted);
      } catch (error) {
        this.problem = error instanceof Problem ? error : new Problem("notUnderstood", { detail: String(error) });
      }
      this.asking = this.wait = null;
      if (this.abort.signal.aborted) return;
      if (this.problem) break;
    }
    this.onChange();
  }

  /** Numbers of the pages to ask for next, at most WINDOW in a row; none when there is nothing to do. */
  wanted() {
    if (!this.pages.has(this.current)) return [this.current];
    const all = Array.from({ length: this.document.page_count }, (_, i) => i + 1);
    const order = [...all.slice(this.current), ...all.slice(0, this.current)]; // what follows, then the rest
    const unread = (this.lazy ? all.slice(this.current, this.current + 1) : order).filter((n) => !this.pages.has(n));
    return unread.slice(0, WINDOW).filter((n, i) => n === unread[0] + i);
  }

  async read(numbers) {
    const range = ends(numbers).join("-");
    this.side ??= await pictureSide(this.file);
    const began = performance.now();
    const answer = await this.send(`v1/documents?upright=jpeg&upright_max_side=${this.side}&pages=${range}`);
    if (this.abort.signal.aborted) return;
    const tripMs = performance.now() - began;
    const request = { id: answer.request_id, pages: numbers, totalMs: answer.total_ms, tripMs };
    this.document ??= answer.document;
    this.requestId ||= answer.request_id;
    this.totalMs += answer.total_ms;
    for (const record of answer.pages) {
      this.pages.set(record.page_number, { record, url: pictureUrl(record.upright), request });
    }
    const missing = numbers.find((n) => !this.pages.has(n));
    if (missing === undefined) return;
    throw new Problem("notUnderstood", { detail: `page ${missing}`, requestId: answer.request_id });
  }

  /** POST the file. A server that is busy and says for how long is asked again, RETRIES times. */
  async send(url) {
    for (let attempt = 1; ; attempt++) {
      const body = new FormData();
      body.append("file", this.file, this.name);
      const headers = this.key ? { "X-API-Key": this.key } : {};
      let response, text;
      try {
        response = await fetch(url, { method: "POST", body, headers, signal: this.abort.signal });
        text = await response.text();
      } catch {
        throw new Problem("unreachable");
      }
      if (response.ok) return parsed(text, response);
      const seconds = retryAfter(response);
      if (seconds === null || seconds > LONGEST_WAIT_S || attempt > RETRIES) throw problemOf(text, response);
      await this.pause(seconds, attempt);
    }
  }

  async pause(seconds, attempt) {
    for (let left = Math.max(1, Math.ceil(seconds)); left > 0; left--) {
      if (this.abort.signal.aborted) return;
      this.wait = { seconds: left, attempt, of: RETRIES };
      this.onChange();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    this.wait = null;
    this.onChange();
  }

  /** The answers as one, in the API's own form, without the pictures. */
  toJSON() {
    const numbers = [...this.pages.keys()].sort((a, b) => a - b);
    const pages = numbers.map((n) => ({ ...this.pages.get(n).record, upright: null }));
    return { request_id: this.requestId, document: this.document, pages, total_ms: this.totalMs };
  }

  /** Stop reading and let go of the pictures. */
  close() {
    this.abort.abort();
    for (const { url } of this.pages.values()) if (url) URL.revokeObjectURL(url);
  }
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

function pictureUrl(upright) {
  if (!upright) return null;
  const binary = atob(upright.content);
  delete upright.content; // the picture is kept once
  const content = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([content], { type: upright.media_type }));
}

function parsed(text, response) {
  try {
    const answer = JSON.parse(text);
    if (Array.isArray(answer.pages) && answer.document) return answer;
  } catch {
    // told below
  }
  throw new Problem("notUnderstood", { status: response.status, detail: text.slice(0, 300) });
}

/** First and last of a run of page numbers; the one, when there is but one. */
export const ends = (numbers) => (numbers.length > 1 ? [numbers[0], numbers.at(-1)] : numbers);

function problemOf(text, response) {
  let said = {};
  try {
    said = JSON.parse(text) ?? {};
  } catch {
    said = { detail: text.slice(0, 300) }; // not ours: a proxy's page, perhaps
  }
  return new Problem("problem", {
    status: response.status,
    title: said.title || response.statusText || `HTTP ${response.status}`,
    detail: typeof said.detail === "string" ? said.detail : "",
    errors: Array.isArray(said.errors) ? said.errors : [],
    pageError: said.page_error ?? null,
    requestId: said.request_id || response.headers.get("X-Request-ID") || "",
  });
}

/** Seconds a busy server asks to be left alone; null when it does not say. */
function retryAfter(response) {
  const said = response.headers.get("Retry-After");
  if (![429, 503].includes(response.status) || !said) return null;
  const seconds = /^\d+$/.test(said) ? Number(said) : (Date.parse(said) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
