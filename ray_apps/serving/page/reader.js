// A document and its pages as the server reads them: windows of pages, problems. No DOM.

import { Problem, post } from "./post.js";

const READ_WHOLE_UP_TO = 20; // pages; of longer documents only those looked at are read
const WINDOW = 3; // pages a request, after the first

/**
 * One document being read. `pages` holds what came, by number; `onChange` is called whenever something does. `ask` gives
 * the address that reads a range of pages ("2-4") of the file.
 */
export class Reading {
  constructor(file, name, { key, ask, onChange }) {
    Object.assign(this, { file, name, key, ask, onChange });
    this.document = null; // DocumentInfo of the first answer
    this.requestId = "";
    this.pages = new Map(); // number -> {record, url, request}
    this.current = 1;
    this.asking = null; // page numbers of the request under way
    this.wait = null; // {seconds, attempt, of} while a busy server is given time
    this.problem = null;
    this.totalMs = 0;
    this.abort = new AbortController();
    this.preview = URL.createObjectURL(file); // of the file itself
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
    const url = await this.ask(range, this.file);
    const began = performance.now();
    const answer = await post(url, this.file, this.name, {
      key: this.key, signal: this.abort.signal, onWait: (wait) => {
        this.wait = wait;
        this.onChange();
      },
    });
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

  /** The answers as one, in the API's own form, without the pictures. */
  toJSON() {
    const numbers = [...this.pages.keys()].sort((a, b) => a - b);
    const pages = numbers.map((n) => this.pages.get(n).record).map((r) => ("upright" in r ? { ...r, upright: null } : r));
    return { request_id: this.requestId, document: this.document, pages, total_ms: this.totalMs };
  }

  /** Stop reading and let go of the pictures. */
  close() {
    this.abort.abort();
    URL.revokeObjectURL(this.preview);
    for (const { url } of this.pages.values()) if (url) URL.revokeObjectURL(url);
  }
}

function pictureUrl(upright) {
  if (!upright) return null;
  const binary = atob(upright.content);
  delete upright.content; // the picture is kept once
  const content = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([content], { type: upright.media_type }));
}

/** First and last of a run of page numbers; the one, when there is but one. */
export const ends = (numbers) => (numbers.length > 1 ? [numbers[0], numbers.at(-1)] : numbers);
