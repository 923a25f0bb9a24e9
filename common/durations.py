"""Time spans as people read them."""


def duration(seconds: float) -> str:
    """Return a time span as text: `42 s`, `3 min 20 s`, `5 h 12 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
