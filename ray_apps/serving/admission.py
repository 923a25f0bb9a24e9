"""How many requests an ingress replica takes on at once; the rest is told at once to come back."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray_apps.serving.problems import refused


class Admission:
    """Counts requests being received, read or waiting. Refusing before the body is read keeps memory and the time of a
    refusal bounded, and Serve's own refusals (`max_queued_requests`, plain text) for what even this cannot take."""

    def __init__(self, limit: int, retry_after_s: int):
        self.limit, self.retry_after_s = limit, retry_after_s
        self.inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Raises Problem 503 when `limit` requests are inside."""
        if self.inside >= self.limit:
            raise refused("busy", f"{self.limit} requests are in progress; try again later", self.retry_after_s)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
