"""Limits how many requests an ingress replica handles at once; the rest is refused at once, to be retried."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ray import serve

from ray_apps.serving.problems import refused
from ray_apps.serving.settings import FlowSettings

_PERIOD_SECONDS = 2.0
logger = logging.getLogger("ray.serve")


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
    may use up either limit. `ingresses` replicas share limits that are the app's."""

    def __init__(self, flow: FlowSettings):
        self.flow = flow
        self.ingresses = 1
        self.arriving_bytes = 0
        self._receiving: Counter[str] = Counter()
        self._reading: Counter[str] = Counter()

    @property
    def requests(self) -> int:
        """How many requests this replica reads or lets wait at once."""
        return self._part(self.flow.requests)

    @property
    def bodies(self) -> int:
        """How many requests' bodies arrive at this replica at once."""
        return self._part(self.flow.receiving)

    def _part(self, limit: int) -> int:
        return max(1, limit // self.ingresses) if self.flow.per == "app" else limit

    async def watch_ingresses(self) -> None:
        """Keep `ingresses` the number of running replicas of the deployment whose replica calls this. While Serve does
        not answer, the last number holds. Does nothing if the limits are each ingress's own."""
        context = serve.get_replica_context()
        while self.flow.per == "app":
            try:
                apps = (await asyncio.to_thread(serve.status)).applications
                states = apps[context.app_name].deployments[context.deployment].replica_states
                self.ingresses = max(1, sum(count for state, count in states.items() if state == "RUNNING"))
            except Exception as error:
                logger.warning("the number of ingresses is not known anew: %r", error)
            await asyncio.sleep(_PERIOD_SECONDS)

    @contextmanager
    def receiving(self, client: str) -> Iterator[Arriving]:
        """Count a request while its body arrives. Raises Problem 503: no room for the body, or for reading it."""
        self._check(self._reading, client, self.requests)
        arriving = Arriving(self)
        try:
            with self._counted(self._receiving, client, self.bodies):
                yield arriving
        finally:
            self.arriving_bytes -= arriving.bytes

    @contextmanager
    def reading(self, client: str) -> Iterator[None]:
        """Count a request while its document is read. Raises Problem 503: the limit is reached."""
        with self._counted(self._reading, client, self.requests):
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
