"""The sweep's report, in a real browser."""

import math
import random
import re
from contextlib import contextmanager

import pytest
from plotly.offline import get_plotlyjs

from tests.browser import new_page, watched
from tests.hostile import check_shown_as_text, hostile
from tuners.ledger import Report, TrialRecord
from tuners.report import write_report
from tuners.report.scales import Scale
from tuners.results import ABSENT, SweepFacts

FACTS = {
    "name": "deskew <lr>", "task": "deskew", "metric": "within_0.5", "mode": "max", "search": "tpe",
    "scheduler": "asha", "full_samples": 9000, "planned": 12, "concurrent": 2, "wall_seconds": 3700.0,
    "state": "finished", "command": "ocray tune configs/tune/deskew.yaml",
}  # fmt: skip
HOSTILE = "<b>x</b><script>document.title='taken'</script> %{x} & \"y\""
SOFTWARE_WEBGL = ("GPU stall due to ReadPixels", "software WebGL")  # parallel coordinates on a machine without a GPU


def sweep(count: int, mode: str = "max") -> list[TrialRecord]:
    """Trials with log-uniform lr, a choice, a conditional setting; a third stopped; the third failed with NaN."""
    rng = random.Random(1)
    trials = []
    for number in range(1, count + 1):
        lr = 10 ** rng.uniform(-4, -1)
        values = {"train.lr": lr, "train.global_batch": rng.choice([16, 32, 64]), "settings.note": HOSTILE}
        if number % 2:
            values |= {"settings.note": "plain", "settings.gamma": rng.uniform(1, 3)}
        top = 0.95 - 0.1 * (math.log10(lr) + 2.5) ** 2
        status = "failed" if number == 3 else "stopped" if number % 3 == 0 else "finished"
        reports = []
        for at in range(1, 10 if status == "finished" else 4):
            value = top * (1 - math.exp(-at / 2)) if mode == "max" else 10 ** (-3 * top * at / 9)
            value = math.nan if status == "failed" and at == 3 else value
            reports.append(Report(at * 10, at * 1000, at * 12.5, {"within_0.5": value, "loss": 1 - value}))
        reason = "loss is NaN; <lower> train.lr" if status == "failed" else ""
        trials.append(TrialRecord(number, values, status, reason, reports, started=100.0, ended=200.0 + number))
    return trials


def written(folder, trials, **facts) -> str:
    write_report(folder / "report.html", trials, SweepFacts(**{**FACTS, **facts}))
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """Return the folder of a report with failures, stops, an exploit and hostile words."""
    folder = tmp_path_factory.mktemp("sweep")
    trials = sweep(12)
    trials[4].changes = [{"step": 30, "from": 1, "values": {"train.lr": 2e-3}}]
    written(folder, trials)
    return folder


@contextmanager
def opened(browser, folder, **context):
    """Return the report in a watched page, with time for a busy machine that draws WebGL without a GPU."""
    url = (folder / "report.html").as_uri()
    with new_page(browser, **context) as page, watched(page, url, SOFTWARE_WEBGL):
        page.set_default_timeout(60_000)
        page.goto(url)
        yield page


def test_it_works_in_a_browser(browser, rich):
    assert (rich / "report.html").read_text("utf-8").count(get_plotlyjs()) == 1
    requests = []
    with opened(browser, rich) as page:
        page.on("request", lambda request: requests.append(request.url))
        page.reload()
        assert page.title() == "deskew <lr> · ocray tune"  # the text with a script in it was shown, not run
        drawn = page.locator(".js-plotly-plot")
        assert drawn.count() == 3 + 4  # curves, history, parallel; four settings
        assert page.locator("#chart-curves .scatterlayer .trace").count() == 12 + 2  # failures and exploits
        assert page.locator("#chart-parallel canvas").count() > 0
        assert page.locator("#chart-setting-0 .point").count() == 12
        assert page.locator("#curves .xtitle").text_content() == "training samples"
        page.check("#korean", force=True)
        assert page.locator("#curves .xtitle").text_content() == "학습 표본 수"
        assert page.locator("h2 [lang=en]:visible").count() == 0 and page.locator("h2 [lang=ko]:visible").count() == 9
        page.check("#english", force=True)
        assert page.locator("#curves .xtitle").text_content() == "training samples"
        assert page.locator("h2 [lang=ko]:visible").count() == 0
        assert "ocray train" in page.locator("#train").text_content()
        assert page.locator("#train").text_content().endswith("best.yaml")
    assert [url for url in requests if not url.startswith("data:")] == [(rich / "report.html").as_uri()]


def test_trials_sort_by_a_column_and_charts_zoom(browser, rich):
    with opened(browser, rich) as page:
        table = page.locator("#trials table")

        def column(at: int) -> list[str]:
            return table.locator(f"tbody td:nth-child({at})").all_inner_texts()

        best_first = column(1)
        assert best_first != sorted(best_first, key=int)
        table.get_by_role("button", name="trial").click()
        assert column(1) == [str(number) for number in range(1, 13)]
        table.get_by_role("button", name="gamma").click()
        assert column(9)[-6:] == ["–"] * 6  # absent last, also the other way round
        given = [float(value) for value in column(9)[:6]]
        table.get_by_role("button", name="gamma").click()
        assert [float(value) for value in column(9)[:6]] == given[::-1] and column(9)[-1] == "–"

        span = "(([low, high]) => high - low)(document.getElementById('chart-curves').layout.yaxis.range)"
        whole = page.evaluate(span)
        page.locator("#curves").get_by_role("button", name="better half").click()
        assert page.evaluate(span) < whole / 2
        page.locator("#curves").get_by_role("button", name="all values").click()
        assert page.evaluate(span) == pytest.approx(whole, rel=0.01)


def test_a_phone_shows_it_without_sideways_scrolling(browser, tmp_path):
    written(tmp_path, sweep(12, "min"), mode="min", state="interrupted", planned=None)
    with opened(browser, tmp_path, viewport={"width": 390, "height": 800}, locale="ko-KR") as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("#curves .ytitle").text_content() == "within_0.5 (로그)"
        assert page.locator("h1 .state").inner_text() == "중단됨"


FAILED = [
    TrialRecord(n, {"train.lr": 0.1}, "failed", "boom", [Report(1, 10, 1.0, {"within_0.5": math.nan})], ended=5.0)
    for n in (1, 2)
]
ONE = [TrialRecord(1, {"train.lr": 0.1}, "finished", "", [Report(1, 10, 1.0, {"within_0.5": 0.5})], ended=5.0)]
UNDER_WAY = [TrialRecord(1, {"train.lr": 0.1}, "running")]
NO_SETTINGS = [TrialRecord(n, {}, "finished", "", ONE[0].reports, ended=5.0) for n in range(1, 7)]


@pytest.mark.parametrize(
    ("trials", "charts", "words"),
    [
        ([], 0, "No trial has started."),
        (UNDER_WAY, 0, "No trial has reported a finite value yet."),
        (FAILED, 0, "boom"),
        (ONE, 4, "Fewer than 4 ended trials"),
        (NO_SETTINGS, 2, "same best value"),
    ],
)
def test_poor_sweeps_have_a_report_too(browser, tmp_path, trials, charts, words):
    assert words in written(tmp_path, trials, state="out of time")
    with opened(browser, tmp_path) as page:
        assert page.locator(".js-plotly-plot").count() == charts


def test_text_from_outside_stays_text(tmp_path):
    trials = sweep(12)
    for trial in trials:
        trial.values = {f"{name}{hostile('setting')}": value for name, value in trial.values.items()}
        trial.values["note"] = hostile("value")
    trials[2].reason = hostile("reason")
    trials[4].changes = [{"step": 30, "from": 1, "values": {hostile("changed"): 1}}]
    for trial in trials:
        for report in trial.reports:
            report.metrics = {hostile("metric"): report.metrics["within_0.5"], hostile("other"): 1.0}
    words = {name: hostile(name) for name in ("name", "task", "metric", "search", "scheduler", "command")}
    html = written(tmp_path, trials, **words).replace(get_plotlyjs(), "")
    places = [*words, "setting", "value", "reason", "other"]
    usual = written(tmp_path, sweep(12)).replace(get_plotlyjs(), "").count("<script")
    charts = len(trials[0].values) - 4  # a chart a setting
    check_shown_as_text(html, places, scripts=usual + charts)


def test_three_hundred_trials_stay_small(tmp_path):
    html = written(tmp_path, sweep(300))
    assert len(html.encode()) < len(get_plotlyjs().encode()) + 2_000_000
    assert not re.search(r"NaN\s*[,\]]", html.replace(get_plotlyjs(), ""))


def test_the_share_saved_and_the_best_are_reported(tmp_path):
    full = [Report(at, at * 1000, float(at), {"within_0.5": 0.5 + at / 100}) for at in range(1, 10)]
    trials = [
        TrialRecord(1, {"train.lr": 1.0}, "stopped", "", full[:3], ended=1.0),
        TrialRecord(2, {"train.lr": 2.0}, "finished", "", full, ended=2.0),
    ]
    html = written(tmp_path, trials)
    assert "<strong>33 %</strong>" in html and "<strong>0.59</strong>" in html and "best value, trial 2" in html


def test_a_folder_with_a_space_is_quoted(tmp_path):
    folder = tmp_path / "my sweep"
    folder.mkdir()
    assert f"ocray train &#39;{folder}/best.yaml&#39;" in written(folder, ONE)
    assert [path.name for path in folder.iterdir()] == ["report.html"]


def test_scales():
    logarithmic = Scale.of([10.0 ** (-n / 2) for n in range(2, 9)])
    assert logarithmic.positions == pytest.approx([-n / 2 for n in range(2, 9)])
    assert (-2.0, "0.01") in logarithmic.ticks
    levels = Scale.of([64, 16, ABSENT, 16])
    assert levels.positions == [1, 0, -1, 0] and [label for _, label in levels.ticks] == ["(–)", "16", "64"]
    words = Scale.of(["b", [1, 2], True])
    assert sorted(label for _, label in words.ticks) == ["[1, 2]", "b", "true"]
    linear = Scale.of([0.1, 0.4, 0.35, 0.9, 0.7])
    assert linear.positions == [0.1, 0.4, 0.35, 0.9, 0.7] and linear.low < 0.1 and linear.high > 0.9
    assert Scale.of([3]).ticks == [(0.0, "3")]
