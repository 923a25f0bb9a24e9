"""Decoding in processes that can be killed, for servers: a document may be made so that drawing a page never ends, or
takes all memory there is, and native code cannot be interrupted.

A few processes share the work. One that takes too long or too much over a page is killed, and the page is an error;
requests for other pages proceed meanwhile.
"""

import contextlib
import io
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from json import loads
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import psutil

from pipelines.documents import errors
from pipelines.documents.decode import PageContent, TextLayerUse
from pipelines.documents.decoder_process import LENGTH, send
from pipelines.documents.errors import PageTooLarge, PageTooSlow, UnreadableDocument
from pipelines.documents.formats import HEAD_BYTES, sniff
from pipelines.documents.limits import Limits
from pipelines.documents.text_layer import TextLayer

_MIB = 2**20
_LOOK_SECONDS = 0.1
_SLOW_SECONDS = 0.5  # a page that takes longer is waited for no more: another process is started beside it
_STUCK_SECONDS = 2.0
_TRIES = 2  # of a page whose process dies on its own
_STEP_BACK_SECONDS = 3.0  # of computing; what takes longer leaves the processor to others
_KEPT_MIB = 256  # a process that has grown by more is not used again
_MOST_SCANS = (
    16  # of a JPEG decoded at once: progressive ones of cameras have ten, and each costs a pass over all pixels
)
_MOST_OFFENDERS = 1000
_PREDICTABLE = ("PNG", "BMP", "WEBP")

# Not as a module: sys.path of this process, which a Ray worker has extended, must be that one's too.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]\nfrom pipelines.documents.decoder_process import main\nmain()"


class DecodersBusy(Exception):
    """All processes are at work on pages that take long; ask again in a while."""


def needs_a_process(content: bytes, uri: str) -> bool:
    """Return whether decoding may take much longer than the number of pixels suggests, so that it belongs in a process.

    Raises:
        DocumentError: it is of no format that is read.
    """
    image_format = sniff(content[:HEAD_BYTES], uri)
    if image_format == "JPEG":
        return content.count(b"\xff\xda") > _MOST_SCANS
    return image_format not in _PREDICTABLE


class Decoded(NamedTuple):
    """A page, its pixels read-only, and how many seconds decoding took."""

    page: PageContent
    seconds: float


class Decoders:
    """A pool of decoding processes. May be used from several threads; each call blocks its own.

    Args:
        seconds: of computing a page may take; by the clock three times as long, for a machine that is busy.
        memory_mib: how much a process may grow over a page, in MiB.
        most: processes at most. There is one as long as pages come through quickly, and none before the first page.
    """

    def __init__(self, seconds: float = 20.0, memory_mib: int = 1536, most: int = 4):
        self.seconds, self.memory_mib, self.most = seconds, memory_mib, most
        self._processes: list[_Process] = []
        self._starting = 0
        self._offenders: dict[tuple[int, int], None] = {}  # documents of which a page was given up
        self._changed = threading.Condition()

    def count_pages(
        self,
        content: bytes,
        uri: str,
        passwords: Sequence[str] = (),
        given_up: Callable[[], bool] = lambda: False,
    ) -> int:
        """Return the number of pages of a document.

        Args:
            passwords: tried on an encrypted PDF.
            given_up: called ten times a second: whether nobody waits for the result any more.

        Raises:
            DocumentError: `pipelines.documents.count_pages`, and as `read_page` does. DecodersBusy.
        """
        header, _ = self._ask(
            {"do": "count", "uri": uri, "page_number": 1, "passwords": list(passwords)}, content, given_up
        )
        return header["pages"]

    def read_page(
        self,
        content: bytes,
        uri: str,
        page_number: int,
        limits: Limits,
        text_layer: TextLayerUse = "never",
        with_pixels: bool = False,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Decoded:
        """`pipelines.documents.read_page` in a process.

        Raises:
            PageTooSlow, PageTooLarge: the page is over the limits of this pool. UnreadableDocument: the process crashed
            over it, each time it was tried. Other DocumentErrors, as `decode_page`. DecodersBusy.
        """
        request = {"do": "decode", "uri": uri, "page_number": page_number, "limits": asdict(limits)}
        request |= {"text_layer": text_layer, "with_pixels": with_pixels}
        header, pixels = self._ask(request, content, given_up)
        page = PageContent(**header["page"])
        if header["page"]["layer"] is not None:
            page.layer = TextLayer.from_dict(header["page"]["layer"])
        if header["shape"] is not None:
            image = pixels.reshape(header["shape"])
            image.flags.writeable = False
            page.image = image
        return Decoded(page, header["seconds"])

    def close(self) -> None:
        """Kill all processes."""
        with self._changed:
            for process in self._processes:
                process.kill()
            self._processes = []

    def pids(self) -> list[int]:
        """Ids of the processes there are now."""
        return [process.pid for process in list(self._processes)]

    def _ask(
        self, request: dict[str, Any], content: bytes, given_up: Callable[[], bool]
    ) -> tuple[dict[str, Any], np.ndarray]:
        document = _named(content)
        death = None
        for _ in range(_TRIES):
            process = self._take(document, given_up)
            try:
                header, payload = process.ask(request, content, self.seconds, self.memory_mib, given_up)
            except _Died as error:
                death = error
                continue
            except (PageTooSlow, PageTooLarge):
                self._note_offence(document)
                raise
            finally:
                self._give_back(process)
            if "error" in header:
                raise getattr(errors, header["error"])(header["message"])
            return header, payload
        raise UnreadableDocument(
            f"{request['uri']}: the decoder crashed over page {request['page_number']} ({death}); repair the "
            "document or export it again"
        )

    def _take(self, document: tuple[int, int], given_up: Callable[[], bool]) -> "_Process":
        """Return an idle process, or a new one; wait for one that will soon be idle.

        Raises:
            DecodersBusy: there are as many as may be, none of them comes through; or this document has its share.
        """
        with self._changed:
            while True:
                self._check_share(document)
                for process in self._processes:
                    if not process.is_busy:
                        process.begin(document)
                        return process
                busy = [process.busy_seconds for process in self._processes]
                if len(busy) + self._starting < self.most and all(seconds > _SLOW_SECONDS for seconds in busy):
                    self._starting += 1
                    break
                if given_up() or (len(busy) == self.most and all(seconds > _STUCK_SECONDS for seconds in busy)):
                    raise DecodersBusy("the decoders are at work on pages that take long")
                self._changed.wait(_LOOK_SECONDS)
        try:
            process = _Process()
            process.begin(document)
        except BaseException:
            with self._changed:
                self._starting -= 1
            raise
        with self._changed:
            self._starting -= 1
            self._processes.append(process)
        return process

    def _check_share(self, document: tuple[int, int]) -> None:
        """Limit a document's share of the processes: one with a thousand pages that never end must not occupy all of
        them for hours. It gets half of them at most, and all documents of which a page was given up share one.
        """
        stuck = [process for process in self._processes if process.busy_seconds > _STUCK_SECONDS]
        if sum(process.document == document for process in stuck) >= max(1, self.most // 2):
            raise DecodersBusy("other pages of this document are being decoded, and take long")
        if document in self._offenders and any(process.document in self._offenders for process in stuck):
            raise DecodersBusy("another page that takes long is being decoded")

    def _note_offence(self, document: tuple[int, int]) -> None:
        with self._changed:
            self._offenders[document] = None
            if len(self._offenders) > _MOST_OFFENDERS:
                del self._offenders[next(iter(self._offenders))]

    def _give_back(self, process: "_Process") -> None:
        with self._changed:
            if not process.end():
                process.kill()
                if process in self._processes:
                    self._processes.remove(process)
            self._changed.notify_all()


def _named(content: bytes) -> tuple[int, int]:
    """Tells documents apart well enough, without reading all of a large one."""
    return len(content), hash(content[:4096] + content[-4096:])


class _Died(Exception):
    """A process ended on its own; the message says how."""


class _Process:
    """One process, which does one thing at a time."""

    def __init__(self):
        command = [sys.executable, "-c", _PROGRAM, *sys.path]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # Both exist, for they were requested as pipes; responses are buffered bytes.
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(io.BufferedReader, self._process.stdout)
        self._measured = psutil.Process(self._process.pid)
        self._started = 0.0
        self._usable = True
        self.is_busy = False
        self.document = (0, 0)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def busy_seconds(self) -> float:
        return time.monotonic() - self._started if self.is_busy else 0.0

    def begin(self, document: tuple[int, int]) -> None:
        """Take on something of a document."""
        self.document = document
        self.is_busy, self._started = True, time.monotonic()

    def end(self) -> bool:
        """Note that the work is done; return whether the process can be used again."""
        self.is_busy = False
        return self._usable

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._answers):
            with contextlib.suppress(OSError):  # of the rest of a request that it did not take
                stream.close()

    def ask(
        self, request: dict[str, Any], content: bytes, seconds: float, memory_mib: int, given_up: Callable[[], bool]
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Return the response's header and its bytes as (n,) uint8. A process that raises anything must not be used
        again."""
        usable, self._usable = self._usable, False
        # It is at work from the last byte of the document on: a child that starts takes no time of a page.
        try:
            send(self._requests, request, content)
            self._wait(request, seconds, memory_mib, given_up)
            header = loads(self._read(LENGTH.unpack(self._read(LENGTH.size))[0]))
            payload = np.empty(header["bytes"], np.uint8)
            self._read_into(payload.data)
        except (BrokenPipeError, EOFError) as error:
            raise _Died(self._how_it_died()) from error
        self._usable = usable and not self._stepped_back and self._grown() < _KEPT_MIB
        return header, payload

    def _wait(self, request: dict[str, Any], seconds: float, memory_mib: int, given_up: Callable[[], bool]) -> None:
        """Wait for the first byte of the answer.

        Raises:
            PageTooSlow, PageTooLarge, DecodersBusy: nobody waits any more; the process must be killed.
        """
        self._memory, computed, started = self._resident(), self._computed(), time.monotonic()
        self._stepped_back = False
        where = f"{request['uri']}: page {request['page_number']}" if request["do"] == "decode" else request["uri"]
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while not selector.select(_LOOK_SECONDS):
                took = self._computed() - computed
                if took > seconds or time.monotonic() - started > 3 * seconds:
                    raise PageTooSlow(f"{where} took longer than {seconds:g} s to decode, the limit; simplify it")
                if self._grown() > memory_mib:
                    raise PageTooLarge(f"{where} took more than {memory_mib:,} MiB to decode, the limit; simplify it")
                if took > _STEP_BACK_SECONDS and not self._stepped_back:
                    self._step_back()
                if given_up():
                    raise DecodersBusy("nobody waits for this page any more")

    def _step_back(self) -> None:
        """Take the processor only when nobody else wants it, or nearly so: there are pages that are read quickly."""
        self._stepped_back = True
        if hasattr(os, "SCHED_IDLE"):
            with contextlib.suppress(OSError):  # it has just ended, or this is not permitted here
                os.sched_setscheduler(self.pid, os.SCHED_IDLE, os.sched_param(0))

    def _computed(self) -> float:
        """Seconds of computing."""
        try:
            times = self._measured.cpu_times()
        except psutil.Error:  # ended: what is read next says so
            return 0.0
        return times.user + times.system

    def _resident(self) -> int:
        try:
            return self._measured.memory_info().rss
        except psutil.Error:
            return 0

    def _grown(self) -> float:
        """MiB by which it has grown over this page."""
        return (self._resident() - self._memory) / _MIB

    def _read(self, size: int) -> bytes:
        content = bytearray(size)
        self._read_into(memoryview(content))
        return bytes(content)

    def _read_into(self, view: memoryview) -> None:
        # Once the first byte is there, the work is done.
        while view.nbytes:
            count = self._answers.readinto(view)
            if not count:
                raise EOFError
            view = view[count:]

    def _how_it_died(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "it closed its pipes"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
