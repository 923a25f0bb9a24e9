"""What single lines say: a mixture of real sentences, made-up values, fragments of tables and receipts, English,
symbols and rare syllables, each text belonging to exactly one split."""

import random
import re
import string
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate

from trainers.render.errors import RenderError
from trainers.render.texts import values
from trainers.render.texts.characters import ALL_SYLLABLES, BULLETS, KS_SYLLABLES, MARKS, SYMBOLS, printable, tidy
from trainers.render.texts.source import TextSource
from trainers.render.texts.words import Words

LONGEST = 40  # characters of a line
_USUAL = 25
_VALIDATION_SHARE = 1 / 12
_COUNTED = 100_000  # sentences whose characters are counted: enough for the frequencies
_TRIES = 400
_LEAST_YIELD = 4  # texts in so many tries

_COMPANY_MARKS = ("㈜", "㈜", "㈜", "(주)", "(주)", "㈔", "(유)", "주식회사 ", "(사)", "㈐")
_JOINTS = (", ", ",", " / ", "/", " · ", "·", " | ", " - ", "+", " & ", "~", " ", " : ")
_QUOTES = (
    *('"{}"', "'{}'", "“{}”", "‘{}’", "「{}」", "『{}』", "[{}]", "({})", "<{}>", "《{}》", "【{}】", "〈{}〉"),
    *("*{}*", "-{}-"),
)
_DRINKS = (
    *("아메리카노", "카페라떼", "바닐라라떼", "카푸치노", "콜드브루", "자몽에이드", "녹차라떼", "유자차", "밀크티"),
    *(
        "김치찌개",
        "된장찌개",
        "비빔밥",
        "돈까스",
        "물냉면",
        "짜장면",
        "짬뽕",
        "탕수육",
        "떡볶이",
        "순대",
        "김밥",
        "라면",
    ),
    *("삼겹살", "후라이드치킨", "불고기버거", "감자튀김", "치즈케이크", "크루아상", "소주", "생맥주", "콜라", "공기밥"),
)
_SIZES = (
    "(ICE)",
    "(HOT)",
    "(R)",
    "(L)",
    "(대)",
    "(중)",
    "(소)",
    " 1인분",
    " 2인분",
    " 세트",
    "*",
    "(행사)",
    " 500ml",
    "",
)
_RECEIPT_LABELS = (
    *("합계", "합 계", "총 합계", "부가세", "부가세액", "공급가액", "과세물품가액", "면세물품가액", "할인", "할인금액"),
    *(
        "받은금액",
        "받을금액",
        "거스름돈",
        "현금",
        "신용카드",
        "카드결제",
        "승인금액",
        "결제금액",
        "포인트",
        "적립포인트",
    ),
    *("잔여포인트", "봉사료", "소계", "쿠폰", "배달비", "TOTAL", "VAT", "CASH", "CARD"),
)
_RECEIPT_NOTES = (
    *(
        "승인번호 {d8}",
        "승인번호: {d8}",
        "카드번호 {d4}-{d4}-****-{d4}",
        "일시불",
        "할부개월: 일시불",
        "매장명: {company}",
    ),
    *("대표자 {person}", "POS: {d2} BILL: {d6}", "영수증 No.{d6}", "테이블 {d2}", "주문번호 {d4}", "계산원 {person}"),
    *("[영수증]", "[고객용]", "신용매출전표", "현금영수증(소득공제)", "상품명  단가  수량  금액", "가맹점번호 {d10}"),
    *(
        "교환/환불은 7일 이내",
        "감사합니다",
        "품명  수량  금액",
        "거래일시 {date}",
        "Tel.{d3}-{d4}-{d4}",
        "==========",
        "----------",
    ),
)
_FILLERS = re.compile(r"\{d(\d+)\}")
# kind: share of the lines
SHARES = {
    "sentence": 0.30, "phrase": 0.06, "date": 0.04, "amount": 0.05, "address": 0.04, "business_number": 0.015,
    "phone": 0.025, "code": 0.035, "web": 0.025, "measure": 0.035, "marked": 0.035, "table": 0.04, "mixed": 0.05,
    "english": 0.045, "number": 0.025, "punctuated": 0.025, "person": 0.02, "receipt": 0.04, "symbols": 0.015,
    "rare": 0.08,
}  # fmt: skip


def text_split(text: str) -> str:
    """Return the split of a line's text, by another hash than the split of sentences: whole sentences are as likely as
    their parts."""
    return "validation" if zlib.crc32(f"line {text}".encode()) < int(_VALIDATION_SHARE * 2**32) else "train"


def cut(rng: random.Random, sentence: str) -> str:
    """Return consecutive words of a sentence: mostly up to 25 characters, with a long tail to 40."""
    words = sentence.split(" ")
    most = min(LONGEST, max(1, round(rng.gammavariate(2.4, 5.2))))
    if len(sentence) <= most and rng.random() < 0.5:
        return sentence
    start = rng.randrange(len(words))
    end, length = start + 1, len(words[start])
    while end < len(words) and length + 1 + len(words[end]) <= most:
        length += 1 + len(words[end])
        end += 1
    return " ".join(words[start:end])[:LONGEST]


class LineTexts:
    """Draws the texts of lines.

    Args:
        source: sentences and words. split: "train" or "validation"; no text is drawn in both.
        charset: the characters that a text may be made of (the space counts); None allows all printable ones.
        balance: rare syllables are drawn by inverse frequency in the sentences, not uniformly.
        rare: share of the lines that are words of rare syllables; the other kinds keep their proportions.

    Raises:
        ValueError: unknown split, or a charset of which no text can be made.
    """

    def __init__(
        self,
        source: TextSource,
        split: str,
        charset: Iterable[str] | None = None,
        balance: bool = False,
        rare: float = SHARES["rare"],
    ) -> None:
        if split not in ("train", "validation"):
            raise ValueError(f'unknown split {split!r}: "train" or "validation"')
        self.split = split
        self.charset = None if charset is None else frozenset(charset)
        self._source = source
        self._sentences = source.items("ko", "sentence", split)
        inside = (lambda c: True) if self.charset is None else self.charset.__contains__
        self._rare_marks = [c for c in SYMBOLS if inside(c)]
        if self.charset is None:
            pools = [(KS_SYLLABLES, 0.85), (ALL_SYLLABLES, 0.15)]
        else:
            everyday = set(KS_SYLLABLES)
            hangul = sorted(c for c in self.charset if "가" <= c <= "힣")
            common = [c for c in hangul if c in everyday]
            pools = [(common, 0.7 if len(common) < len(hangul) else 1.0), (hangul, 0.3)]
            known = {*SYMBOLS, *hangul, *string.ascii_letters, *string.digits, " "}
            self._rare_marks += sorted(c for c in self.charset - known if printable(c))
        counts = Counter("".join(self._sentences[:: max(1, len(self._sentences) // _COUNTED)])) if balance else {}
        typical = max(1.0, sum(counts.values()) / 20_000)  # below this count characters weigh about the same
        self._pools = [
            (pool, share, list(accumulate(1 / (counts[c] + typical) if balance else 1.0 for c in pool)))
            for pool, share in pools
            if pool
        ]
        found = {kind: self._yield(kind) for kind in SHARES}
        # A kind that the charset all but rules out would cost thousands of tries a line.
        self._kinds = [k for k in SHARES if found[k] >= _LEAST_YIELD] or [k for k in SHARES if found[k]]
        if not self._kinds:
            raise RenderError(
                f"no text for the {split} split can be made of the {len(self.charset or ())} characters of the "
                "charset: give one with digits, and Hangul or Latin letters"
            )
        others = (1 - rare) / (1 - SHARES["rare"])
        self._shares = list(accumulate(rare if k == "rare" else SHARES[k] * others for k in self._kinds))

    def draw(self, rng: random.Random) -> tuple[str, str]:
        """Return (text, kind): 1 to 40 characters, tidy, printable, of the split, within the charset; the kind is one
        of `SHARES`, by its share among those of which the charset allows any."""
        while True:
            kind = rng.choices(self._kinds, cum_weights=self._shares)[0]
            for _ in range(_TRIES):
                if text := self._make(kind, rng):
                    return text, kind

    def _yield(self, kind: str) -> int:
        """Return how many of some hundred attempts give a text."""
        rng = random.Random(f"yield of {kind}")
        return sum(self._make(kind, rng) is not None for _ in range(_TRIES))

    def _make(self, kind: str, rng: random.Random) -> str | None:
        """Return a text of the kind, or None if the one made is not allowed."""
        make: Callable[[Words, random.Random], str] = getattr(self, f"_{kind}")
        text = tidy(make(Words(self._source, self.split, "ko", rng), rng))
        if not 1 <= len(text) <= LONGEST or not printable(text):
            return None
        if self.charset is not None and not self.charset.issuperset(text):
            return None
        return text if text_split(text) == self.split else None

    def _sentence(self, words: Words, rng: random.Random) -> str:
        return cut(rng, rng.choice(self._sentences))

    def _phrase(self, words: Words, rng: random.Random) -> str:
        text = words.item(rng.choice(("product", "label", "label", "title", "company")))
        if rng.random() < 0.2:
            return text + rng.choice((":", " :", "", "*", " ▶", ".", "?", "!", "(필수)", " >"))
        return text if rng.random() < 0.7 else f"{text}{rng.choice(_JOINTS)}{words.item('label')}"

    def _date(self, words: Words, rng: random.Random) -> str:
        return values.date(rng)

    def _amount(self, words: Words, rng: random.Random) -> str:
        return values.amount(rng)

    def _address(self, words: Words, rng: random.Random) -> str:
        return values.address(rng)

    def _business_number(self, words: Words, rng: random.Random) -> str:
        return values.business_number(rng)

    def _phone(self, words: Words, rng: random.Random) -> str:
        return values.phone(rng)

    def _code(self, words: Words, rng: random.Random) -> str:
        return values.code(rng)

    def _web(self, words: Words, rng: random.Random) -> str:
        return values.web(rng)

    def _measure(self, words: Words, rng: random.Random) -> str:
        return values.measure(rng)

    def _person(self, words: Words, rng: random.Random) -> str:
        return values.person(rng)

    def _number(self, words: Words, rng: random.Random) -> str:
        return values.number(rng)

    def _marked(self, words: Words, rng: random.Random) -> str:
        """Items of lists, companies with their mark."""
        if rng.random() < 0.35:
            name, mark = words.item("company"), rng.choice(_COMPANY_MARKS)
            return rng.choice((f"{mark}{name}", f"{mark}{name}", f"{name}{mark.strip()}", f"{mark.strip()} {name}"))
        head = rng.choice(
            (rng.choice(MARKS), rng.choice(BULLETS), f"{rng.randint(1, 30)}.", f"{rng.choice('가나다라마바')}.")
        )
        head = rng.choice(
            (head, head, head, f"{rng.randint(1, 30)})", f"제{rng.randint(1, 99)}조", f"({rng.randint(1, 20)})")
        )
        return head + rng.choice((" ", " ", "")) + rng.choice((self._sentence, self._phrase, self._phrase))(words, rng)

    def _table(self, words: Words, rng: random.Random) -> str:
        """Return a row of cells, a field with its value, ingredients."""
        form = rng.random()
        if form < 0.4:
            value = getattr(self, rng.choice(("_date", "_amount", "_code", "_person", "_measure", "_phone", "_phrase")))
            return words.item("label") + rng.choice((" : ", ": ", ":", "  ", " ", " | ")) + value(words, rng)
        if form < 0.7:
            cells = [
                rng.choice((words.item("product"), words.item("label"), values.price(rng), values.number(rng), "-"))
                for _ in range(rng.randint(2, 4))
            ]
            return rng.choice(("  ", "  ", " ", " | ", "/")).join(cells)
        return rng.choice((",", ", ", "/", "·")).join(
            rng.choice(
                (
                    words.item("product").split()[-1],
                    words.item("label"),
                    cut(rng, rng.choice(self._sentences)).split()[0],
                )
            )
            for _ in range(rng.randint(2, 6))
        )

    def _latin(self, words: Words, rng: random.Random) -> str:
        if rng.random() < 0.5:
            return values.cased(rng, values.latin_word(rng))
        word = rng.choice(words.other("en").item(rng.choice(("sentence", "product", "title", "label"))).split())
        return rng.choice((word, word, word.upper(), word.capitalize()))

    def _mixed(self, words: Words, rng: random.Random) -> str:
        """Korean and Latin in one line."""
        korean, latin = rng.choice((self._phrase, self._sentence))(words, rng), self._latin(words, rng)
        return rng.choice(
            (
                *(
                    f"{latin} {korean}",
                    f"{korean} {latin}",
                    f"{korean}({latin})",
                    f"{latin}({korean})",
                    f"[{latin}] {korean}",
                ),
                *(f"{korean} {latin} {values.digits(rng, rng.randint(1, 3))}", f"{korean} {values.code(rng)}"),
                *(
                    f"{latin}-{korean}",
                    f"{korean}, {latin} & {self._latin(words, rng)}",
                    f"{korean}{rng.randint(1, 100)}%",
                ),
                *(
                    f"{latin}의 {korean}",
                    f"{latin}는 {korean}",
                    f"{korean} {values.measure(rng)}",
                    f"{korean} {values.amount(rng)}",
                ),
            )
        )

    def _english(self, words: Words, rng: random.Random) -> str:
        english = words.other("en")
        if rng.random() < 0.3:
            return " ".join(self._latin(words, rng) for _ in range(rng.randint(1, 4)))
        text = cut(rng, english.sentence()) if rng.random() < 0.5 else english.phrase()
        return rng.choice((text, text, text, text.upper(), text.title()))

    def _punctuated(self, words: Words, rng: random.Random) -> str:
        def part() -> str:
            return rng.choice((self._phrase, self._sentence, self._latin, self._number))(words, rng)

        text = rng.choice(_QUOTES).format(part())
        if rng.random() < 0.6:
            text += rng.choice(_JOINTS) + (part() if rng.random() < 0.6 else rng.choice(_QUOTES).format(part()))
        return text + rng.choice(("", "", "!", "?", "!!", "...", "…", ";", "~", ".", "?!", ":)", "^^"))

    def _receipt(self, words: Words, rng: random.Random) -> str:
        """Return lines of till receipts: 아메리카노(ICE) 2 9,000."""
        gap = rng.choice(("  ", "  ", " "))
        form = rng.random()
        if form < 0.5:
            item = words.item("product") if rng.random() < 0.4 else rng.choice(_DRINKS) + rng.choice(_SIZES)
            count, price = rng.randint(1, 12), rng.randint(5, 400) * 100
            return rng.choice(
                (
                    *(
                        f"{item}{gap}{count}{gap}{price * count:,}",
                        f"{item}{gap}{price:,}{gap}{count}{gap}{price * count:,}",
                    ),
                    *(
                        f"{item}{gap}{price:,}",
                        f"{price:,}{gap}{count}{gap}{price * count:,}",
                        item,
                        f"{item} x{count}",
                    ),
                    f"{rng.randint(1, 40):03} {item}",
                )
            )
        if form < 0.75:
            return (
                rng.choice(_RECEIPT_LABELS)
                + rng.choice((gap, ":", " : ", gap))
                + rng.choice(("", "₩", "-"))
                + values.price(rng)
            )
        note = _FILLERS.sub(lambda m: values.digits(rng, int(m[1])), rng.choice(_RECEIPT_NOTES))
        return note.format(company=words.item("company"), person=words.item("person"), date=values.date(rng))

    def _symbols(self, words: Words, rng: random.Random) -> str:
        """Symbols, each as likely as any other, among a few words or digits."""
        marks = rng.choices(self._rare_marks or ["."], k=rng.randint(1, 3))
        parts = [
            rng.choice((values.digits(rng, rng.randint(1, 3)), self._rare_word(rng), self._latin(words, rng), ""))
            for _ in marks
        ]
        return rng.choice(("", " ")).join(
            m + p if rng.random() < 0.5 else p + m for m, p in zip(marks, parts, strict=True)
        )

    def _rare(self, words: Words, rng: random.Random) -> str:
        """Words of syllables that may never follow each other in a real text, so that all are seen."""
        return " ".join(self._rare_word(rng) for _ in range(rng.choice((1, 1, 2, 3))))

    def _rare_word(self, rng: random.Random) -> str:
        if not self._pools:
            return ""
        pool, _, weights = rng.choices(self._pools, [share for _, share, _ in self._pools])[0]
        return "".join(pool[bisect_left(weights, rng.random() * weights[-1])] for _ in range(rng.randint(1, 6)))
