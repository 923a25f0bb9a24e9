// What the page says, in English and Korean. A string is text, or a function of the values it tells.

const plural = (n, one, many) => (n === 1 ? one : many);

export const STRINGS = {
  en: {
    skip: "Skip to content",
    tagline: "document reader",
    startTitle: "Read a document",
    startHow: "Drop a file here, or paste a picture.",
    startLead: "It is straightened and read, and the text is shown where it stands.",
    choose: "Choose a file",
    photograph: "Take a photo",
    formats: "PNG, JPEG, WebP, BMP, TIFF or PDF",
    release: "Release to read it",
    another: "Read another",
    api: "API documentation",
    footer: "Files go to this server and nowhere else.",
    pastedName: "pasted picture",
    oneAtATime: (name) => `One document at a time: reading ${name}.`,

    pages: "Pages",
    page: "Page",
    ofPages: (count) => `of ${count}`,
    previous: "Previous page",
    next: "Next page",
    pageCount: (n) => `${n} ${plural(n, "page", "pages")}`,
    lazyNote: (count) => `A long document: of its ${count} pages only those you look at are read, and the one that ` +
      `follows. To read all of it, send it as a job (see the API documentation).`,

    picture: "Picture",
    marks: "Marks on the picture",
    boxes: "Boxes",
    textMarks: "Text",
    noMarks: "None",
    asReceived: "As it came",
    zoom: "Zoom",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    fit: "Fit",
    pictureOf: (number, lines) => `Page ${number}, straightened, ${lines} ${plural(lines, "line", "lines")} marked`,
    receivedOf: (number, lines) => `Page ${number}, as it came, ${lines} ${plural(lines, "line", "lines")} marked`,
    noPicture: "The server sent no picture of this page.",
    notReadYet: "This page has not been read.",

    text: "Text",
    copy: "Copy text",
    copyAll: (n) => `Copy ${n} pages`,
    lineHint: "Press a line to copy it.",
    keyHint: "↑ and ↓ move between lines.",
    lineCount: (n) => `${n} ${plural(n, "line", "lines")}`,
    noLines: "No text was found on this page.",
    copiedLine: (text) => `Copied: ${text}`,
    copiedPage: "The text of the page is copied.",
    copiedPages: (n) => `The text of ${n} pages is copied.`,
    copyFailed: "The browser did not allow copying.",
    high: "sure",
    middle: "less sure",
    low: "unsure",
    legendMiddle: (n) => `${n} less sure (under 90 %)`,
    legendLow: (n) => `${n} unsure (under 70 %)`,
    confidence: (percent) => `confidence ${percent}`,

    details: "How it was read",
    download: "Download JSON",
    angle: "Angle found",
    straight: "straight",
    counterClockwise: (degrees) => `${degrees}° counter-clockwise`,
    clockwise: (degrees) => `${degrees}° clockwise`,
    skew: "Skew",
    orientation: "Quarter turn",
    size: "Size",
    device: "Device",
    time: "Time",
    stage: "Stage",
    model: "Model",
    stages: {
      decode: "Decoding",
      deskew: "Skew",
      orientation: "Orientation",
      text_detection: "Text detection",
      text_recognition: "Text recognition",
    },
    pageTotal: "This page",
    requestTotal: (pages) => `Server, ${pages.length > 1 ? "pages" : "page"} ${pages.join("–")}`,
    roundTrip: "With sending",
    requestId: "Request",
    seconds: (n) => `${n} s`,

    reading: (pages) => `Reading ${pages.length > 1 ? "pages" : "page"} ${pages.join("–")} …`,
    sending: "Sending and reading …",
    waiting: (seconds, attempt, of) => `The server is busy. Trying again in ${seconds} s (${attempt} of ${of}).`,
    done: (lines, time) => `${lines} ${plural(lines, "line", "lines")} read in ${time}.`,
    pageFailed: "This page could not be read",
    stopped: "Not read: see the message below.",
    retry: "Try again",
    unreachable: "The server cannot be reached",
    unreachableDetail: "The connection broke. Is the server running, and is the file perhaps larger than it takes?",
    notUnderstood: "The server's answer is not understood",
    keyTitle: "This server asks for an API key",
    keyLead: "It is kept in this tab until you close it.",
    keyWrong: "The server did not accept that key. Please check it.",
    keyLabel: "API key",
    keyUse: "Use this key",
    cancel: "Cancel",
  },
  ko: {
    skip: "본문으로 건너뛰기",
    tagline: "문서 판독기",
    startTitle: "문서 읽기",
    startHow: "여기에 파일을 놓거나 그림을 붙여 넣으세요.",
    startLead: "문서를 바로 세우고 읽어, 글자가 있는 자리에 보여 줍니다.",
    choose: "파일 선택",
    photograph: "사진 찍기",
    formats: "PNG, JPEG, WebP, BMP, TIFF, PDF",
    release: "놓으면 읽습니다",
    another: "다른 문서 읽기",
    api: "API 문서",
    footer: "파일은 이 서버로만 전송됩니다.",
    pastedName: "붙여 넣은 그림",
    oneAtATime: (name) => `한 번에 한 문서만 읽습니다: ${name}`,

    pages: "쪽",
    page: "쪽",
    ofPages: (count) => `/ ${count}`,
    previous: "이전 쪽",
    next: "다음 쪽",
    pageCount: (n) => `${n}쪽`,
    lazyNote: (count) => `긴 문서입니다. 전체 ${count}쪽 가운데 보고 있는 쪽과 그다음 쪽만 읽습니다. ` +
      `모두 읽으려면 작업(job)으로 보내세요(API 문서 참고).`,

    picture: "그림",
    marks: "그림 위 표시",
    boxes: "상자",
    textMarks: "글자",
    noMarks: "없음",
    asReceived: "원래 모습",
    zoom: "확대/축소",
    zoomIn: "확대",
    zoomOut: "축소",
    fit: "맞춤",
    pictureOf: (number, lines) => `${number}쪽, 바로 세운 그림, ${lines}줄 표시`,
    receivedOf: (number, lines) => `${number}쪽, 원래 모습, ${lines}줄 표시`,
    noPicture: "서버가 이 쪽의 그림을 보내지 않았습니다.",
    notReadYet: "아직 읽지 않은 쪽입니다.",

    text: "글",
    copy: "글 복사",
    copyAll: (n) => `${n}쪽 복사`,
    lineHint: "줄을 누르면 복사됩니다.",
    keyHint: "↑ ↓ 키로 줄을 옮겨 다닙니다.",
    lineCount: (n) => `${n}줄`,
    noLines: "이 쪽에서 글자를 찾지 못했습니다.",
    copiedLine: (text) => `복사됨: ${text}`,
    copiedPage: "이 쪽의 글을 복사했습니다.",
    copiedPages: (n) => `${n}쪽의 글을 복사했습니다.`,
    copyFailed: "브라우저가 복사를 허용하지 않았습니다.",
    high: "확실",
    middle: "덜 확실",
    low: "불확실",
    legendMiddle: (n) => `덜 확실 ${n}줄 (90 % 미만)`,
    legendLow: (n) => `불확실 ${n}줄 (70 % 미만)`,
    confidence: (percent) => `신뢰도 ${percent}`,

    details: "판독 내용",
    download: "JSON 내려받기",
    angle: "찾은 각도",
    straight: "똑바름",
    counterClockwise: (degrees) => `시계 반대 방향 ${degrees}°`,
    clockwise: (degrees) => `시계 방향 ${degrees}°`,
    skew: "기울기",
    orientation: "방향",
    size: "크기",
    device: "장치",
    time: "시간",
    stage: "단계",
    model: "모델",
    stages: {
      decode: "디코딩",
      deskew: "기울기",
      orientation: "방향",
      text_detection: "글자 검출",
      text_recognition: "글자 인식",
    },
    pageTotal: "이 쪽",
    requestTotal: (pages) => `서버, ${pages.join("–")}쪽`,
    roundTrip: "전송 포함",
    requestId: "요청",
    seconds: (n) => `${n}초`,

    reading: (pages) => `${pages.join("–")}쪽 읽는 중 …`,
    sending: "보내고 읽는 중 …",
    waiting: (seconds, attempt, of) => `서버가 바쁩니다. ${seconds}초 뒤에 다시 시도합니다 (${attempt}/${of}).`,
    done: (lines, time) => `${lines}줄을 ${time}에 읽었습니다.`,
    pageFailed: "이 쪽을 읽지 못했습니다",
    stopped: "읽지 못했습니다. 아래 안내를 보세요.",
    retry: "다시 시도",
    unreachable: "서버에 연결할 수 없습니다",
    unreachableDetail: "연결이 끊어졌습니다. 서버가 실행 중인지, 파일이 허용 크기보다 크지 않은지 확인하세요.",
    notUnderstood: "서버의 답을 이해할 수 없습니다",
    keyTitle: "이 서버는 API 키가 필요합니다",
    keyLead: "키는 이 탭을 닫을 때까지만 보관됩니다.",
    keyWrong: "서버가 이 키를 받아들이지 않았습니다. 다시 확인하세요.",
    keyLabel: "API 키",
    keyUse: "이 키 사용",
    cancel: "취소",
  },
};

let language = "en";

/** What the page says for `key` in the language in use. */
export function say(key, ...values) {
  const said = STRINGS[language][key];
  return typeof said === "function" ? said(...values) : said;
}

/** A stage's name as people read it; stages the page does not know keep their own. */
export const stageName = (stage) => STRINGS[language].stages[stage] ?? stage;

/** The language `remembered`, if any, or the browser's first that the page speaks. */
export function preferredLanguage(remembered) {
  const wished = [remembered, ...navigator.languages].map((tag) => String(tag).slice(0, 2).toLowerCase());
  return wished.find((tag) => tag in STRINGS) ?? "en";
}

/** Speak `chosen` from now on: `<html lang>`, and every element that names its string. */
export function useLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
  document.title = `ocray · ${say("tagline")}`;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
}

export const figure = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (share) => `${Math.floor(share * 100)} %`; // 99.9 % is not told as 100

export const duration = (ms) =>
  ms < 999.5 ? `${figure(ms, ms < 9.95 ? 1 : 0)} ms` : say("seconds", figure(ms / 1000, 2));

export const bytes = (n) => (n < 1e6 ? `${figure(Math.max(1, n / 1e3))} kB` : `${figure(n / 1e6, 1)} MB`);
