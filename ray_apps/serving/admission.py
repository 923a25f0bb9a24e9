"""Limits how many requests an ingress replica handles at once; the rest is refused at once, to be retried."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ray_apps.serving.problems import refused
from ray_apps.serving.settings import FlowSettings


class Arriving:
    """A request body that is arriving: its bytes count against the limit of all bodies."""

    def __init__(self, admission: "Admission"):
        self._admission = admission
        self.bytes = 0

    def add(self, count: int) -> None:
        """Count `count` more bytes. Raises Problem 503: the limit of all bodies is reached."""
        self.bytes += count
        self._admission.arriving_bytes += count
        flow = self._admission.flow
        if self._admission.arriving_bytes > flow.receiving_mib * 2**20:
            raise refused("busy", "too many bytes arrive at once; try again later", flow.retry_after_s)


class Admission:
    """Counts requests: first those whose body is arriving, then those that are read or wait. Refusing before the body
    is read bounds memory and the time of a refusal, and leaves Serve's own refusals (`max_queued_requests`, plain text)
    to overloads beyond this. Arriving bodies have a separate, higher limit, since a slow one costs little. No client
    may use up either limit."""

    def __init__(self, flow: FlowSettings):
        self.flow = flow
        self.arriving_bytes = 0
        self._receiving: Counter[str] = Counter()
        self._reading: Counter[str] = Counter()

    @contextmanager
    def receiving(self, client: str) -> Iterator[Arriving]:
        """Count a request while its body arrives. Raises Problem 503: no room for the body, or for reading it."""
        self._check(self._reading, client, self.flow.requests)
        arriving = Arriving(self)
        try:
            with self._counted(self._receiving, client, self.flow.receiving):
                yield arriving
        finally:
            self.arriving_bytes -= arriving.bytes

    @contextmanager
    def reading(self, client: str) -> Iterator[None]:
        """Count a request while its document is read. Raises Problem 503: the limit is reached."""
        with self._counted(self._reading, client, self.flow.requests):
            yield

    @contextmanager
    def _counted(self, inside: Counter[str], client: str, limit: int) -> Iterator[None]:
        self._check(inside, client, limit)
        inside[client] += 1
        try:
            yield
        finally:
            inside[client] -= 1
            if not inside[client]:
                del inside[client]

    def _check(self, inside: Counter[str], client: str, limit: int) -> None:
        share = math.ceil(limit * self.flow.client_share)
        if inside.total() >= limit:
            detail = f"{limit} requests are in progress; try again later"
        elif inside[client] >= share:
            detail = f"{share} requests of yours are in progress, a client's share; try again later"
        else:
            return
        raise refused("busy", detail, self.flow.retry_after_s)
