"""Numbers as the report writes them."""


def number(value: float, digits: int = 3) -> str:
    """Return a number with thousands separators and about `digits` significant digits."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1) or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def share(count: int, whole: int) -> str:
    """Return a part of `whole` in percent; 0.0% of nothing."""
    return f"{count / max(1, whole):.1%}"
