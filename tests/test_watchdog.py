"""The watchdog ends a process of its own, so each test starts one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import watchdog
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.watchdog import PageLimits

_PROGRAM = """
import sys, time
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.watchdog import PageLimits, Watchdog, paused

page = Page(PageRecord(page_id="p1", document_uri="/a.png", page_number=1, page_count=1))

def tell(overrun):
    print(overrun.stage, *overrun.page_ids, overrun.error, overrun.message, sep="|", flush=True)

dog = Watchdog(PageLimits(seconds={seconds}, memory_mib=64), tell)
with dog.watching("stage", [page]):
    {body}
print("came through")
"""


def ended(body: str, seconds: float = 0.5) -> tuple[int, str]:
    """Exit code and output of a process whose stage does `body` and may take so long."""
    program = _PROGRAM.format(body=body, seconds=seconds)
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip()


def test_a_page_that_takes_too_long_ends_the_process():
    code, reported = ended("time.sleep(60)")
    assert code == watchdog.EXIT_CODE
    assert reported == "stage|p1|PageTooSlow|stage took longer than 0.5 s, the limit"


def test_a_page_that_takes_too_much_memory_ends_the_process():
    code, reported = ended(
        "held = [bytearray(b'x' * 2**20) for _ in range(200)]; time.sleep(0.4); del held; time.sleep(60)"
    )
    assert code == watchdog.EXIT_CODE
    assert reported == "stage|p1|PageTooLarge|stage took more than 64 MiB of memory, the limit"


def test_waiting_for_storage_does_not_count():
    assert ended("with paused(), paused(): time.sleep(1.5)") == (0, "came through")
    waiting = "patience.patiently(lambda: time.sleep(1.5), 's3://bucket/a.png')"
    assert ended(f"from common.storage import patience; {waiting}") == (0, "came through")


def test_a_process_in_which_python_cannot_run_is_ended_by_the_kernel():
    # A regular expression that backtracks for ever holds Python's lock, as some native code does.
    soon = "watchdog._SECONDS_TO_TELL = watchdog._GRACE_SECONDS = 0.3; watchdog._arm(dog._call)"
    code, reported = ended(f"import re; from pipelines import watchdog; {soon}; re.match('(a+)+$', 'a' * 40 + 'b')")
    assert (code, reported) == (-signal.SIGALRM, "")


def test_large_pages_get_more_time():
    small, large = (
        Page(PageRecord(page_id=name, document_uri=name, page_number=1, page_count=1, width=side, height=side))
        for name, side in (("small", 1000), ("large", 10_000))
    )
    limits = PageLimits(seconds=10, seconds_a_megapixel=2)
    assert limits.seconds_for([small]) == 12
    assert limits.seconds_for([small, large]) == 20 + 2 + 200


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"memory_mib": -1}])
def test_limits_are_above_zero(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; it must be above 0"):
        PageLimits(**wrong)
