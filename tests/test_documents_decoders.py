"""Decoding in processes that can be killed: what comes back, and what a page that never ends costs others."""

import os
import signal
import threading
import time

import cv2
import numpy as np
import psutil
import pytest

from pipelines.documents import Limits, PageTooLarge, PageTooSlow, UnreadableDocument, decode_page
from pipelines.documents.decoders import Decoders, DecodersBusy, needs_a_process
from tests.documents_made import pdf as made_pdf
from tests.pdf_bombs import endless_pattern, nested_forms

pytestmark = pytest.mark.slow

LIMITS = Limits(max_megapixels=50)


@pytest.fixture
def decoders():
    decoders = Decoders(seconds=1.5, memory_mib=300, most=2)
    yield decoders
    decoders.close()


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return made_pdf([(200, 120), (300, 200), (100, 100)], b"0 0 1 rg 20 20 50 40 re f")


def test_a_page_is_the_same_as_decoded_here(decoders, pdf):
    image = decoders.read_page(pdf, "book.pdf", 2, LIMITS).page.image
    assert np.array_equal(image, decode_page(pdf, "book.pdf", 2, LIMITS).image) and not image.flags.writeable
    assert decoders.count_pages(pdf, "book.pdf") == 3
    assert len(decoders.pids()) == 1  # one is enough while pages come through


def test_errors_are_those_of_decoding_here(decoders):
    with pytest.raises(UnreadableDocument, match=r"x\.pdf: broken PDF"):
        decoders.read_page(b"%PDF-1.7 broken", "x.pdf", 1, LIMITS)
    with pytest.raises(UnreadableDocument, match=r"x\.pdf: broken PDF"):
        decoders.count_pages(b"%PDF-1.7 broken", "x.pdf")


def test_a_page_that_never_ends_is_given_up_and_others_are_decoded_meanwhile(decoders, pdf):
    errors = []

    def bad() -> None:
        try:
            decoders.read_page(endless_pattern(), "endless.pdf", 1, LIMITS)
        except PageTooSlow as error:
            errors.append(error)

    thread = threading.Thread(target=bad)
    thread.start()
    while not decoders.pids():
        time.sleep(0.01)
    (slow,) = decoders.pids()
    for _ in range(3):
        assert decoders.read_page(pdf, "book.pdf", 1, LIMITS).page.image.shape[2] == 3
    thread.join()
    assert "endless.pdf: page 1 took longer than 1.5 s" in str(errors[0])
    assert slow not in decoders.pids() and not psutil.pid_exists(slow)


def test_a_page_that_takes_all_memory_is_given_up(pdf):
    decoders = Decoders(seconds=60, memory_mib=150)
    with pytest.raises(PageTooLarge, match=r"forms\.pdf: page 1 took more than 150 MiB"):
        decoders.read_page(nested_forms(), "forms.pdf", 1, LIMITS)
    assert not decoders.pids()


def test_when_none_comes_through_the_answer_is_busy(pdf):
    decoders = Decoders(seconds=30, most=1)
    over = threading.Event()

    def bad() -> None:
        with pytest.raises(DecodersBusy):
            decoders.read_page(endless_pattern(), "endless.pdf", 1, LIMITS, "never", False, over.is_set)

    thread = threading.Thread(target=bad)
    thread.start()
    while not decoders.pids():
        time.sleep(0.01)
    with pytest.raises(DecodersBusy):
        decoders.read_page(pdf, "book.pdf", 1, LIMITS)
    over.set()  # nobody waits any more: the process is killed, and there is room again
    thread.join()
    assert decoders.read_page(pdf, "book.pdf", 1, LIMITS).page.image.size
    decoders.close()


def test_a_document_whose_pages_never_end_leaves_processes_to_others(pdf):
    decoders = Decoders(seconds=60, most=4)
    endless, over = endless_pattern(), threading.Event()

    def bad() -> None:
        with pytest.raises(DecodersBusy):
            decoders.read_page(endless, "endless.pdf", 1, LIMITS, "never", False, over.is_set)

    threads = [threading.Thread(target=bad) for _ in range(2)]
    for thread in threads:
        thread.start()
    while sum(process.busy_seconds > 2.1 for process in decoders._processes) < 2:
        time.sleep(0.05)
    with pytest.raises(DecodersBusy, match="other pages of this document"):
        decoders.read_page(endless, "endless.pdf", 1, LIMITS)
    assert decoders.read_page(pdf, "book.pdf", 1, LIMITS).page.image.size
    over.set()
    for thread in threads:
        thread.join()
    decoders.close()


def test_a_process_that_was_killed_costs_no_page(decoders, pdf):
    decoders.count_pages(pdf, "book.pdf")
    os.kill(decoders.pids()[0], signal.SIGKILL)
    assert decoders.count_pages(pdf, "book.pdf") == 3


def test_what_is_decoded_apart():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    baseline = cv2.imencode(".jpg", noise)[1].tobytes()
    progressive = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert not needs_a_process(baseline, "a.jpg") and not needs_a_process(progressive, "a.jpg")
    assert not needs_a_process(cv2.imencode(".png", noise)[1].tobytes(), "a.png")
    # A scan more is a pass over all pixels more.
    assert needs_a_process(baseline[:-2] + b"\xff\xda\0\0" * 100 + b"\xff\xd9", "a.jpg")
    assert needs_a_process(endless_pattern(), "a.pdf")
    assert needs_a_process(cv2.imencode(".tiff", noise)[1].tobytes(), "a.tiff")
