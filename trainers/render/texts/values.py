"""Made-up values as Korean papers, receipts and product pages write them. Every function returns a new random
string."""

import random
import string

_LARGE_UNITS = ("", "만", "억", "조")
_SMALL_UNITS = ("", "십", "백", "천")
_DIGITS = "영일이삼사오육칠팔구"
_HANJA = str.maketrans("일이삼사오육칠팔구십백천만억조", "壹貳參四五六七八九拾百千萬億兆")
_WEEKDAYS = "월화수목금토일"
_ENGLISH_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
_PROVINCES = (
    *("서울특별시", "부산광역시", "대구광역시", "인천광역시", "광주광역시", "대전광역시", "울산광역시"),
    *("세종특별자치시", "경기도", "강원특별자치도", "충청북도", "충청남도", "전북특별자치도", "전라남도"),
    *("경상북도", "경상남도", "제주특별자치도", "서울시", "서울", "부산", "경기", "충남", "전남", "경북"),
)
_DISTRICTS = (
    *("종로구", "중구", "용산구", "성동구", "광진구", "동대문구", "중랑구", "성북구", "강북구", "도봉구", "노원구"),
    *("은평구", "서대문구", "마포구", "양천구", "강서구", "구로구", "금천구", "영등포구", "동작구", "관악구"),
    *("서초구", "강남구", "송파구", "강동구", "해운대구", "수영구", "달서구", "남동구", "연수구", "유성구", "광산구"),
    *("수원시 팔달구", "성남시 분당구", "고양시 일산동구", "용인시 처인구", "화성시", "평택시", "안양시 만안구"),
    *("춘천시", "원주시", "강릉시", "청주시 흥덕구", "천안시 서북구", "아산시", "전주시 완산구", "군산시", "여수시"),
    *("순천시", "목포시", "포항시 북구", "경주시", "구미시", "창원시 성산구", "김해시", "진주시", "거제시", "제주시"),
    *("서귀포시", "양평군", "홍천군", "괴산군", "부여군", "고창군", "담양군", "울릉군", "하동군", "합천군"),
)
_PLACES = (
    *("세종", "테헤란", "강남", "월드컵", "올림픽", "퇴계", "율곡", "충무", "을지", "한강", "중앙", "번영", "평화"),
    *("새마을", "봉은사", "압구정", "역삼", "논현", "신사", "청담", "삼성", "대치", "도곡", "방배", "양재", "문정"),
    *("가락", "잠실", "천호", "구의", "화양", "성수", "왕십리", "제기", "회기", "면목", "상봉", "쌍문", "수유", "불광"),
    *("연희", "합정", "망원", "상암", "화곡", "등촌", "개봉", "신도림", "여의", "대림", "흑석", "사당", "봉천", "서현"),
    *("정자", "백석", "범계", "학익", "송도", "둔산", "노은", "상무", "첨단", "센텀", "광안", "서면", "동성", "범어"),
)
_BUILDINGS = ("타워", "빌딩", "아파트", "빌라", "프라자", "센터", "오피스텔", "상가", "맨션", "캐슬", "파크")
_SURNAMES = (
    *"김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추",
    *("남궁", "황보", "제갈", "선우"),
)
_GIVEN = "민서준지우하은도윤시예수현주영재진혜경희선미정숙자순철호석훈성동상태규찬연빈유나라온결슬별솔샘다인율채원"
_PREFIXES = ("02", "031", "032", "033", "041", "042", "051", "053", "062", "064", "070", "010", "010", "010")
_SERVICE_PREFIXES = ("1588", "1577", "1544", "1566", "1600", "1644", "1661", "1899", "080")
_UNITS = (
    *("㎡", "㎏", "℃", "㎖", "㎜", "㎝", "㎞", "㎎", "ℓ", "㎥", "㎢", "㏄", "°", "%", "‰", "m²", "m³", "평", "kg", "g"),
    *("mL", "ml", "L", "cm", "mm", "kWh", "W", "V", "A", "Hz", "GB", "원", "개", "명", "인분", "장", "박스", "EA", "p"),
    *("매", "캡슐", "포", "정", "층", "호", "회", "시간", "분", "년", "개월", "km/h", "kcal", "mg", "㎍", "dB", "인치"),
)
_CONSONANTS = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr pl sh st tr".split()  # noqa: SIM905
_VOWELS = "a e i o u a e i o ai ea ee ia io ou".split()  # noqa: SIM905
_ENDINGS = (*("", "", "", "", "n", "r", "s", "l", "x", "t", "ng", "ra", "na", "ty", "ble"), "tion", "ment", "ing", "ed")
_TOP_DOMAINS = ("com", "co.kr", "kr", "net", "org", "or.kr", "go.kr", "ac.kr", "io", "shop")


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def spoken(number: int) -> str:
    """Return a positive number as Korean documents spell it: 12300 → 일만이천삼백.

    Raises: ValueError: not in 1 … 10**16 - 1.
    """
    if not 1 <= number < 10**16:
        raise ValueError(f"{number} has no spelling here: 1 to 10**16 - 1")
    parts = []
    for unit in _LARGE_UNITS:
        number, group = divmod(number, 10_000)
        if group:
            figures = zip(f"{group:04}", reversed(_SMALL_UNITS), strict=True)
            parts.append("".join(_DIGITS[int(d)] + small for d, small in figures if d != "0") + unit)
    return "".join(reversed(parts))


def date(rng: random.Random) -> str:
    y, m, d = rng.choice((rng.randint(2015, 2027), rng.randint(1950, 2030))), rng.randint(1, 12), rng.randint(1, 28)
    h, minute, s = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
    day = rng.choice(
        (
            *(f"{y}년 {m}월 {d}일", f"{y}년 {m:02}월 {d:02}일", f"{y}년{m}월{d}일", f"{m}월 {d}일", f"{y}년 {m}월"),
            *(f"{y}. {m}. {d}.", f"{y}. {m:02}. {d:02}.", f"{y}.{m:02}.{d:02}", f"{y}-{m:02}-{d:02}"),
            *(f"{y}/{m:02}/{d:02}", f"{y % 100:02}/{m:02}/{d:02}", f"'{y % 100:02}.{m}.{d}", f"{y}{m:02}{d:02}"),
            *(f"{d} {_ENGLISH_MONTHS[m - 1]} {y}", f"{_ENGLISH_MONTHS[m - 1]} {d}, {y}", f"{d:02}/{m:02}/{y}"),
            *(f"{_ENGLISH_MONTHS[m - 1].upper()}.{y}", f"{y}년", f"단기 {y + 2333}년 {m}월 {d}일"),
        )
    )
    weekday = rng.choice(_WEEKDAYS)
    twelve = f"{'오전' if h < 12 else '오후'} {h % 12 or 12}시"
    return rng.choice(
        (
            *(day, day, day, day, f"{day}({weekday})", f"{day} ({weekday}요일)", f"{day}까지", f"{day} ~ {m}.{d}"),
            *(f"{day} {h:02}:{minute:02}:{s:02}", f"{day} {h:02}:{minute:02}", f"{h:02}:{minute:02}:{s:02}"),
            *(f"{twelve} {minute}분", f"{h:02}:{minute:02} ~ {(h + 8) % 24:02}:{minute:02}", f"{weekday}요일 {twelve}"),
        )
    )


def price(rng: random.Random) -> str:
    """Figures with commas, mostly round: 900, 12,300, 1,250,000."""
    size = rng.choice((10, 100, 100, 100, 1000, 1000, 10_000))
    figure = rng.randint(1, rng.choice((9, 99, 999, 9999))) * size
    return f"{figure + (rng.randint(1, 99) if rng.random() < 0.1 else 0):,}"


def amount(rng: random.Random) -> str:
    if rng.random() < 0.15:
        figure = rng.randint(1, 9999) * rng.choice((100, 1000, 10_000, 1_000_000))
        spelled = spoken(figure)
        hanja = spelled.translate(_HANJA)
        forms = (f"금 {spelled}원정", f"금{spelled}원", f"일금 {spelled}원정", f"{spelled} 원", f"금 {hanja}원정")
        return rng.choice((*forms, f"금 {figure:,}원 (금 {spelled}원)"))
    form = rng.choice(
        (
            *("₩{}", "₩ {}", "{}원", "{}원", "{}원", "{} 원", "{}", "{}", "-{}", "-{}원", "+{}원", "({})"),
            *("KRW {}", "{}원~", "월 {}원", "일금 {}원정", "금 {}원", "합계 {}원", "총 {}원", "판매가 {}원", "({}원)"),
            *("{}만원", "{}천원", "부가세 {}", "₩{} (VAT 별도)", "{}원/월", "최대 {}원 할인"),
        )
    )
    if rng.random() < 0.12:
        return rng.choice(("${}", "US${}", "€{}", "£{}", "¥{}", "{} USD")).format(f"{rng.randint(1, 99999) / 100:,.2f}")
    return form.format(price(rng))


def address(rng: random.Random) -> str:
    """Return a street address (도로명) or a lot number (지번), perhaps with province, building, room and postcode."""
    place, number = rng.choice(_PLACES), rng.randint(1, 999)
    sub = f"-{rng.randint(1, 99)}" if rng.random() < 0.35 else ""
    if rng.random() < 0.6:
        street = rng.choice(("로", "로", "대로", "길", f"로{rng.randint(1, 99)}길", f"로 {rng.randint(1, 99)}번길"))
        local = f"{place}{street} {number}{sub}"
    else:
        village = rng.choice(("동", "동", f"동{rng.randint(1, 7)}가", f"{rng.randint(1, 4)}동", "리", "읍", "면"))
        local = f"{place}{village} {number}{sub}{rng.choice(('', '', '번지'))}"
    parts = [rng.choice(_DISTRICTS), local]
    if rng.random() < 0.6:
        parts.insert(0, rng.choice(_PROVINCES))
    if rng.random() < 0.25:
        parts[-1] += rng.choice((",", ""))
        rooms = (
            f"{rng.randint(1, 30)}층",
            f"{rng.randint(101, 2999)}호",
            f"{rng.randint(101, 130)}동 {rng.randint(1, 25)}02호",
        )
        parts.append(rng.choice(rooms))
    if rng.random() < 0.2:
        building = f"{rng.choice(_PLACES)}{rng.choice(_BUILDINGS)}"
        parts.append(f"({place}동, {building})" if rng.random() < 0.5 else building)
    postcode = rng.random()
    if postcode < 0.1:
        parts.insert(0, rng.choice(("({})", "{}", "우 {}", "[{}]", "우편번호 {}")).format(digits(rng, 5)))
    if len(parts) > 2 and rng.random() < 0.3:
        parts = parts[:2] if rng.random() < 0.5 else parts[-2:]
    return " ".join(parts)


def business_number(rng: random.Random) -> str:
    number = f"{digits(rng, 3)}-{digits(rng, 2)}-{digits(rng, 5)}"
    return rng.choice(("{}", "{}", "{}", "사업자등록번호 {}", "사업자번호: {}", "등록번호 : {}", "({})")).format(number)


def phone(rng: random.Random) -> str:
    if rng.random() < 0.2:
        number = f"{rng.choice(_SERVICE_PREFIXES)}-{digits(rng, 4)}"
    else:
        prefix, middle, last = rng.choice(_PREFIXES), digits(rng, rng.choice((3, 4, 4))), digits(rng, 4)
        form = rng.choice(("{}-{}-{}", "{}-{}-{}", "{}){}-{}", "({}) {}-{}", "{}.{}.{}", "{} {} {}", "{}{}{}"))
        number = form.format(prefix, middle, last)
    label = rng.choice(
        ("{}",) * 6 + ("TEL {}", "Tel. {}", "TEL:{}", "T. {}", "FAX {}", "전화 {}", "☎ {}", "☏{}", "문의: {}")
    )
    return label.format(number)


def code(rng: random.Random) -> str:
    """Product, serial, lot and card numbers."""
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 4)))
    small = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(1, 2)))
    number = digits(rng, rng.randint(1, 6))
    mixed = "".join(rng.choices(string.ascii_uppercase + string.digits, k=rng.randint(5, 12)))
    card = f"{digits(rng, 4)}-{digits(rng, 2)}**-****-{digits(rng, 4)}"
    return rng.choice(
        (
            *(f"{letters}-{number}", f"{letters}{number}", f"{letters}{number}{small}", f"{letters}-{number}/{small}"),
            *(mixed, f"No.{number}", f"No. {letters}{number}", f"#{number}", f"{letters}_{number}", card),
            *(
                f"{digits(rng, 4)}-{digits(rng, 4)}",
                f"제{number}호",
                f"제 {digits(rng, 4)}-{number} 호",
                digits(rng, 13),
            ),
            *(
                f"S/N: {mixed}",
                f"LOT {letters}{number}",
                f"모델명 {letters}-{number}",
                f"v{number[:1]}.{number[-1]}.{digits(rng, 1)}",
            ),
        )
    )


def latin_word(rng: random.Random) -> str:
    """Return a pronounceable invented word, like brand names: lumera, stona, Velton."""
    body = "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, 3)))
    return (rng.choice(("", "", "", rng.choice("aeiou"))) + body + rng.choice(_ENDINGS)).replace("iaia", "ia")


def cased(rng: random.Random, word: str) -> str:
    return rng.choice((word, word.capitalize(), word.upper(), word.capitalize()))


def web(rng: random.Random) -> str:
    name, host = latin_word(rng), latin_word(rng)
    top = rng.choice(_TOP_DOMAINS)
    name += rng.choice(("", "", digits(rng, rng.randint(1, 4)), f".{latin_word(rng)}", f"_{latin_word(rng)}"))
    path = rng.choice(("", "", f"/{latin_word(rng)}", f"/{latin_word(rng)}/{digits(rng, 3)}", f"?id={digits(rng, 5)}"))
    forms = ("{name}@{host}.{top}", "{name}@{host}.{top}", "www.{host}.{top}{path}", "https://{host}.{top}{path}")
    form = rng.choice(
        (*forms, "http://www.{host}.{top}", "{host}.{top}", "@{name}", "#{name}", "E-mail: {name}@{host}.{top}")
    )
    return form.format(name=name, host=host, top=top, path=path)


def measure(rng: random.Random) -> str:
    """Figures with their units: 84.9㎡, 500㎖ x 20, 30℃ 이하."""

    def figure() -> str:
        return rng.choice(
            (
                str(rng.randint(1, 999)),
                str(rng.randint(1, 99)),
                f"{rng.randint(1, 9999) / 10}",
                f"{rng.randint(1, 9999):,}",
            )
        )

    one = f"{figure()}{rng.choice(('', '', ' '))}{rng.choice(_UNITS)}"
    forms = (
        *(
            one,
            one,
            one,
            f"{one} x {rng.randint(2, 99)}{rng.choice(('개', '입', 'EA', '팩', ''))}",
            f"({one})",
            f"약 {one}",
        ),
        *(f"{one} 이하", f"{one} 이상", f"{one} 미만", f"±{one}", f"{figure()}~{one}", f"{one}/{rng.choice(_UNITS)}"),
        *(f"{figure()}×{figure()}×{one}", f"{figure()}*{one}", f"1+1 {one}", f"총 {one}", f"{one}당 {price(rng)}원"),
    )
    return rng.choice(forms)


def person(rng: random.Random) -> str:
    given = rng.sample(_GIVEN, rng.choice((1, 2, 2, 2, 2, 2)))
    name = rng.choice(_SURNAMES) + "".join(given)
    forms = (
        "{}",
        "{}",
        "{}",
        "{}",
        "{} 귀하",
        "{}님",
        "{} 고객님",
        "대표 {}",
        "대표자: {}",
        "성명 {}",
        "{} (인)",
        "{}(인)",
    )
    if rng.random() < 0.12:
        return " ".join(name)
    if rng.random() < 0.08:
        return f"{name[0]}*{name[-1]}"
    return rng.choice((*forms, "담당자 {}", "{} 과장", "{} 팀장", "{} 선생님", "받는사람 {}")).format(name)


def number(rng: random.Random) -> str:
    """Figures alone."""
    return rng.choice(
        (
            *(
                digits(rng, rng.randint(1, 4)),
                digits(rng, rng.randint(5, 16)),
                price(rng),
                f"{rng.randint(0, 9999) / 100}",
            ),
            *(f"{rng.randint(0, 1000) / 10}%", f"{rng.randint(1, 99)}/{rng.randint(1, 99)}", f"-{rng.randint(1, 999)}"),
            *(" ".join(digits(rng, rng.randint(1, 4)) for _ in range(rng.randint(2, 4))), f"{rng.randint(1, 99)}."),
            *(
                f"{rng.randint(1, 9)}-{rng.randint(1, 20)}",
                f"+{rng.randint(1, 99)}",
                f"{rng.randint(1, 9)}:{rng.randint(1, 9)}",
            ),
        )
    )
