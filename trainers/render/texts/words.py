"""The words of one page: draws items of a language and makes up dates, amounts, codes and numbers."""

import random
import string

from trainers.render.texts.source import TextSource

_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_DOMAINS = ("mail.com", "office.co.kr", "example.org", "trade.net", "shop.kr")
_CURRENCIES = ("$", "$", "RM", "RM ", "€", "£", "USD ", "")
_VALUE_KINDS = (
    *("date", "amount", "phone", "code", "quantity", "percent", "person", "company"),
    *("product", "address", "email", "phrase", "phrase"),
)


class Words:
    """Draws text for one page. Every method returns a new random string.

    Args:
        source: the lists. split: "train" or "validation". language: "ko" or "en".
        rng: decides everything.
    """

    def __init__(self, source: TextSource, split: str, language: str, rng: random.Random) -> None:
        self.language = language
        self._source, self._split, self._rng = source, split, rng

    def item(self, section: str) -> str:
        return self._rng.choice(self._source.items(self.language, section, self._split))

    def other(self, language: str) -> "Words":
        """Return the same source in another language, for mixed pages."""
        return Words(self._source, self._split, language, self._rng)

    def sentence(self) -> str:
        """Return a sentence; English ones are sometimes mixed from two of the list, for variety."""
        rng = self._rng
        sentence = self.item("sentence")
        if self.language == "en" and rng.random() < 0.5:
            first, second = sentence.split(), self.item("sentence").split()
            sentence = " ".join(first[: rng.randint(2, len(first))] + second[rng.randint(0, len(second) - 1) :])
        if rng.random() < 0.12:
            sentence += " " + self.value()
        return sentence

    def prose(self, characters: int) -> str:
        """Sentences in a row, at least `characters` long."""
        parts, length = [], 0
        while length < characters:
            parts.append(self.sentence())
            length += len(parts[-1]) + 1
        return " ".join(parts)

    def phrase(self) -> str:
        """Return a few words: a product, a label, or a part of a sentence."""
        if self._rng.random() < 0.4:
            return self.item(self._rng.choice(("product", "label", "title")))
        words = self.sentence().split()
        start = self._rng.randint(0, max(0, len(words) - 3))
        return " ".join(words[start : start + self._rng.randint(1, 4)])

    def date(self) -> str:
        rng = self._rng
        y, m, d = rng.randint(1962, 2027), rng.randint(1, 12), rng.randint(1, 28)
        korean = (f"{y}년 {m}월 {d}일", f"{y}. {m}. {d}.", f"{y}.{m:02}.{d:02}", f"{y}-{m:02}-{d:02}")
        english = (
            f"{_MONTHS[m - 1]} {d}, {y}", f"{d} {_MONTHS[m - 1][:3]} {y}", f"{m}/{d}/{y % 100:02}",
            f"{d:02}/{m:02}/{y}", f"{d:02}-{m:02}-{y % 100:02}", f"{_MONTHS[m - 1][:3].upper()} {d:02} {y}",
        )  # fmt: skip
        return rng.choice(korean if self.language == "ko" else english)

    def time(self) -> str:
        h, m, s = self._rng.randint(0, 23), self._rng.randint(0, 59), self._rng.randint(0, 59)
        return self._rng.choice((f"{h:02}:{m:02}:{s:02}", f"{h}:{m:02}", f"{h % 12 or 12}:{m:02} {'AP'[h > 11]}M"))

    def digits(self, count: int) -> str:
        return "".join(self._rng.choices(string.digits, k=count))

    def price(self) -> str:
        """Return an amount without its unit: 12,500 in Korean, 12.50 in English."""
        if self.language == "ko":
            return f"{self._rng.randint(5, 99999) * self._rng.choice((10, 100)):,}"
        return f"{self._rng.randint(20, 99999) / self._rng.choice((10, 100, 100)):,.2f}"

    def amount(self) -> str:
        if self.language == "ko":
            return self._rng.choice(("{}원", "₩{}", "일금 {}원", "{} 원", "{}")).format(self.price())
        return self._rng.choice(_CURRENCIES) + self.price()

    def phone(self) -> str:
        if self.language == "ko":
            prefix = self._rng.choice(("02", "031", "051", "010", "070", "1588", "064"))
            middle = "" if len(prefix) == 4 else f"-{self.digits(self._rng.choice((3, 4)))}"
            return f"{prefix}{middle}-{self.digits(4)}"
        d = self.digits
        return self._rng.choice(
            (f"({d(3)}) {d(3)}-{d(4)}", f"{d(3)}-{d(4)}", f"0{d(1)}-{d(8)}", f"+{d(2)} {d(3)} {d(4)}")
        )

    def business_number(self) -> str:
        return f"{self.digits(3)}-{self.digits(2)}-{self.digits(5)}"

    def code(self) -> str:
        letters = "".join(self._rng.choices(string.ascii_uppercase, k=self._rng.randint(1, 3)))
        return self._rng.choice(("{}-{}", "{}{}", "No. {}{}", "#{}{}")).format(
            letters, self.digits(self._rng.randint(3, 7))
        )

    def address(self) -> str:
        return self.item("place") if self._rng.random() < 0.6 else f"{self.item('place')} {self.digits(5)}"

    def email(self) -> str:
        name = "".join(self._rng.choices(string.ascii_lowercase, k=self._rng.randint(4, 9)))
        return self._rng.choice(("{}@{}", "www.{}.{}", "https://{}.{}")).format(name, self._rng.choice(_DOMAINS))

    def percent(self) -> str:
        return f"{self._rng.randint(0, 999) / 10:.1f}%"

    def quantity(self) -> str:
        units = ("개", "kg", "병", "권", "명", "") if self.language == "ko" else ("pcs", "kg", "ml", "x", "mg", "")
        return f"{self._rng.randint(1, 500)} {self._rng.choice(units)}".strip()

    def value(self) -> str:
        """Return the value of a field in a form."""
        kind = self._rng.choice(_VALUE_KINDS)
        return self.item(kind) if kind in ("person", "company", "product") else getattr(self, kind)()
