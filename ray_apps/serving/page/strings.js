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

    tabs: "What is read",
    documentsTab: "Document",
    metersTab: "Meter",
    meterTagline: "meter reader",
    meterStartTitle: "Read a meter",
    meterStartHow: "Drop a photo here, or paste it.",
    meterStartLead: "Its display is found, its digits are read, and what cannot be read for sure is said to be so.",
    meterChoose: "Choose a photo",
    meterAnother: "Read another",
    oneMeterAtATime: (name) => `One photo at a time: reading ${name}.`,
    photo: "Photo",
    photoOf: (number, found) => `Photo ${number}, ${found ? "the display and its digits marked" : "no display found"}`,
    displayOf: (reading) => `The display, cut out: ${reading || "nothing read"}`,
    noPhoto: "The browser cannot show this kind of file; only the marks are drawn.",
    readingTitle: "Reading",
    copyReading: "Copy reading",
    digits: "Digits",
    meterAwaited: "The reading will stand here.",
    usable: "This reading may be used.",
    unusable: "Not to be used:",
    fractionPlace: "fraction",
    fractionLegend: "fraction: behind the decimal point",
    unreadPlace: "cannot be read",
    classes: {
      analog: "Wheels (analog)",
      digital: "Digital display",
      analog_illegible: "Wheels, illegible",
      digital_illegible: "Digital display, illegible",
    },
    reasons: {
      noDisplay: "no meter display was found in the photo.",
      twoDisplays: "there is more than one display in the photo. Send one meter a photo.",
      illegible: "the display is illegible. Try without glare, from the front.",
      lowDisplay: "the display is too small in the photo. Go closer.",
      smallPhoto: (width, height, least) => `the photo is too small: ${width} × ${height} px; ${least} px are needed.`,
      noDigits: "no digits were seen.",
      unsure: (places, of) => `${plural(places.length, "place", "places")} ${places.join(", ")} of ${of} may be read wrong.`,
      noPoint: "it is not clear where the decimal point is.",
      fewDigits: (n) => `only ${n} ${plural(n, "digit was", "digits were")} seen.`,
      unread: (places, of) => `${plural(places.length, "place", "places")} ${places.join(", ")} of ${of} cannot be read for sure.`,
    },
    meterDone: (reading) => `Read: ${reading}`,
    meterDoneWithout: () => "Read, without a reading that may be used.",

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
      meter: "Meter",
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

    tabs: "읽을 것",
    documentsTab: "문서",
    metersTab: "계량기",
    meterTagline: "계량기 판독기",
    meterStartTitle: "계량기 읽기",
    meterStartHow: "여기에 사진을 놓거나 붙여 넣으세요.",
    meterStartLead: "표시창을 찾아 숫자를 읽고, 확실하지 않은 것은 그렇다고 알려 줍니다.",
    meterChoose: "사진 선택",
    meterAnother: "다른 사진 읽기",
    oneMeterAtATime: (name) => `한 번에 한 사진만 읽습니다: ${name}`,
    photo: "사진",
    photoOf: (number, found) => `사진 ${number}, ${found ? "표시창과 숫자 표시" : "표시창 없음"}`,
    displayOf: (reading) => `잘라 낸 표시창: ${reading || "읽은 숫자 없음"}`,
    noPhoto: "브라우저가 이 파일을 보여 줄 수 없어 표시만 그립니다.",
    readingTitle: "지침",
    copyReading: "지침 복사",
    digits: "숫자",
    meterAwaited: "여기에 지침이 표시됩니다.",
    usable: "이 지침을 쓸 수 있습니다.",
    unusable: "쓸 수 없음:",
    fractionPlace: "소수 자리",
    fractionLegend: "소수 자리",
    unreadPlace: "읽을 수 없음",
    classes: {
      analog: "회전식 (아날로그)",
      digital: "디지털 표시창",
      analog_illegible: "회전식, 판독 불가",
      digital_illegible: "디지털 표시창, 판독 불가",
    },
    reasons: {
      noDisplay: "사진에서 계량기 표시창을 찾지 못했습니다.",
      twoDisplays: "사진에 표시창이 둘 이상 있습니다. 한 사진에 계량기 하나만 찍으세요.",
      illegible: "표시창을 알아볼 수 없습니다. 빛이 비치지 않게 정면에서 찍어 보세요.",
      lowDisplay: "사진에서 표시창이 너무 작습니다. 더 가까이서 찍으세요.",
      smallPhoto: (width, height, least) => `사진이 너무 작습니다: ${width} × ${height} px, ${least} px 이상이어야 합니다.`,
      noDigits: "숫자가 보이지 않습니다.",
      unsure: (places, of) => `${of}자리 가운데 ${places.join(", ")}번째 자리를 잘못 읽었을 수 있습니다.`,
      noPoint: "소수점의 위치가 분명하지 않습니다.",
      fewDigits: (n) => `숫자가 ${n}개만 보입니다.`,
      unread: (places, of) => `${of}자리 가운데 ${places.join(", ")}번째 자리를 확실히 읽을 수 없습니다.`,
    },
    meterDone: (reading) => `판독: ${reading}`,
    meterDoneWithout: () => "판독했으나 쓸 수 있는 지침이 없습니다.",

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
      meter: "계량기 판독",
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

// Reasons why a reading may not be used, as the API gives them in English.
const REASONS = [
  [/^no display found$/, () => ["noDisplay"]],
  [/^more than one display found/, () => ["twoDisplays"]],
  [/^the display is illegible$/, () => ["illegible"]],
  [/^the display is less than \d+ px high/, () => ["lowDisplay"]],
  [/^the photo is too small: (\d+) × (\d+) px, (\d+) are needed$/, ([, ...sizes]) => ["smallPhoto", ...sizes]],
  [/^no digits seen$/, () => ["noDigits"]],
  [/^not sure where the decimal point is$/, () => ["noPoint"]],
  [/^only (\d+) digits seen$/, ([, n]) => ["fewDigits", Number(n)]],
  [/^not sure of place ([\d, ]+) of (\d+)$/, ([, places, of]) => ["unsure", places.split(", "), of]],
  [/^cannot read place ([\d, ]+) of (\d+)$/, ([, places, of]) => ["unread", places.split(", "), of]],
];

/** A reason in the language in use; those that the page does not know stay as they are. */
export function reasonWords(reason) {
  const known = REASONS.find(([form]) => form.test(reason));
  if (!known) return reason;
  const [key, ...values] = known[1](reason.match(known[0]));
  const said = STRINGS[language].reasons[key];
  return typeof said === "function" ? said(...values) : said;
}

/** The language `remembered`, if any, or the browser's first that the page speaks. */
export function preferredLanguage(remembered) {
  const wished = [remembered, ...navigator.languages].map((tag) => String(tag).slice(0, 2).toLowerCase());
  return wished.find((tag) => tag in STRINGS) ?? "en";
}

/** Speak `chosen` from now on: `<html lang>`, and every element that names its string. */
export function useLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen;
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
