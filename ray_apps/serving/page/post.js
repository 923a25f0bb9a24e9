// A file sent to the server, and its answer: busy servers are given time, problems told as such. No DOM.

export const RETRIES = 2;
const LONGEST_WAIT_S = 60; // a longer Retry-After is left to the person

/** An answer that is not the one hoped for. `kind`: problem (the server says why), unreachable or notUnderstood. */
export class Problem extends Error {
  constructor(kind, { status = 0, title = "", detail = "", errors = [], pageError = null, requestId = "" } = {}) {
    super(title || kind);
    Object.assign(this, { kind, status, title, detail, errors, pageError, requestId });
  }
}

/**
 * POST `file` as `name`. A server that is busy and says for how long is asked again, RETRIES times; `onWait` is told
 * {seconds, attempt, of} each second, and null at the end. Throws Problem.
 */
export async function post(url, file, name, { key, signal, onWait }) {
  for (let attempt = 1; ; attempt++) {
    const body = new FormData();
    body.append("file", file, name);
    const headers = key ? { "X-API-Key": key } : {};
    let response, text;
    try {
      response = await fetch(url, { method: "POST", body, headers, signal });
      text = await response.text();
    } catch {
      throw new Problem("unreachable");
    }
    if (response.ok) return parsed(text, response);
    const seconds = retryAfter(response);
    if (seconds === null || seconds > LONGEST_WAIT_S || attempt > RETRIES) throw problemOf(text, response);
    for (let left = Math.max(1, Math.ceil(seconds)); left > 0 && !signal.aborted; left--) {
      onWait({ seconds: left, attempt, of: RETRIES });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    onWait(null);
  }
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
