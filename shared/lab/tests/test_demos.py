"""`ninefold demo`: what it says first, what it keeps, the table and the page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from ninefold import demo
from ninefold.systems import Installed, System
from ninefold_lab import demos

from .parts import register

MAIN = "import sys; sys.argv[0] = 'ninefold'; from ninefold_lab import app, demos; demos.PRELOADED = (); app.main()"


def page_of(site):
    return (site.parent / "page.html").read_text()


def test_one_system_gives_a_page_without_outside_references(site, ninefold):
    register(site, good="parts_nine:GOOD")
    status, out, err = ninefold("demo", "--seed", "3", "--out", "page.html", "--json")
    assert (status, err) == (0, "")
    (row,) = json.loads(out)["rows"]
    assert [row[key] for key in ("system", "what was measured", "ours", "best rival")] == [
        "good",
        "score",
        "3.85 [3.21, 4.49]",
        "Rival 0.8 [-0.5, 2.1]",
    ]
    page = page_of(site)
    for text in (
        "&lt;method&gt;",
        "a note",
        "is better by 3.05 [2.41, 3.69] than Rival",
        "Does good.",
        "width=device-width",
        'id="s0"',
    ):
        assert text in page
    links = re.findall(r"""(?:src|href|url|import)\s*[=(]\s*["']?([^"')\s]+)""", page)
    assert links
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_several_systems_are_announced_then_one_line_each_then_one_table(site, ninefold):
    register(
        site, good="parts_nine:GOOD", full="parts_nine:FULL", fails="parts_nine:FAILS", bare="parts_nine:BARE",
        nothing="parts_nine:NOTHING", dies="parts_nine:DIES", away="gone_nine:X",
    )  # fmt: skip
    status, out, err = ninefold("demo", "--out", "page.html")
    assert status == 1
    first, second, *lines = err.splitlines()
    assert re.match(r"7 demos, (two at a time|one after another): about \d+ s here\. Nothing is downloaded\.", first)
    assert "page.html (about 2.3 MB)" in second
    ended = {line.split()[0]: line for line in lines if re.match(r"\w+ +\d+ s  ", line)}
    assert ended.keys() == {"good", "full", "fails", "bare", "nothing", "dies", "away"}
    assert ended["full"].endswith("s  error: 10.1 % [8.8, 11.4]; best rival Theirs 20.2 % [17.7, 22.7]; better")
    assert "its last words" in err  # of what is a defect
    assert "RuntimeError: broken inside" in err
    for text in (
        "fails: failed: RuntimeError: broken inside", "nothing: failed: TypeError", "No module named 'gone_nine'",
        "bare: this needs no_such_module_9: pip install 'ninefold-core[plots]'", "dies: failed: its process ended with",
    ):  # fmt: skip
        assert text in out
    page = page_of(site)
    for text in (
        "Error 10 %, theirs 20 %.",
        "Ours is better by 10.1 %",
        'id="full"',
        "A table of errors.",
        "<dt>error</dt>",
        "broken inside",
        "acme-parts",
        "numpy",
    ):
        assert text in page


def test_missing_extra_beside_others_is_no_defect(site, ninefold):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    status, out, err = ninefold("demo", "--out", "page.html", "--quiet")
    assert (status, err) == (0, "")
    assert "pip install 'ninefold-core[plots]'" in out


def test_missing_extra_alone_is_one_line_and_status_2(site, ninefold):
    register(site, good="parts_nine:GOOD", bare="parts_nine:BARE")
    status, out, err = ninefold("demo", "bare", "--out", "page.html")
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == "error: this needs no_such_module_9: pip install 'ninefold-core[plots]'"


def test_defect_alone_is_status_1_with_its_traceback(site, ninefold):
    register(site, fails="parts_nine:FAILS")
    status, _, err = ninefold("demo", "--out", "page.html")
    assert status == 1
    assert "RuntimeError: broken inside" in err
    assert "Traceback" in err


def test_page_is_replaced_by_force_alone_and_a_free_name_is_found(site, ninefold):
    register(site, good="parts_nine:GOOD")
    assert ninefold("demo", "--out", "page.html")[0] == 0
    before = page_of(site)
    status, _, err = ninefold("demo", "--out", "page.html")
    assert status == 2
    assert "page.html: exists already" in err
    assert page_of(site) == before
    assert ninefold("demo", "--out", "page.html", "--force")[0] == 0
    for _ in range(2):
        assert ninefold("demo")[0] == 0
    names = sorted(path.name for path in site.parent.glob("good-demo*"))
    assert names == ["good-demo-2.html", "good-demo.html"]


@pytest.mark.parametrize("what", ["foreign file", "folder", "below a file"])
def test_bad_output_is_refused_before_the_first_demo(site, ninefold, monkeypatch, what):
    register(site, good="parts_nine:GOOD", full="parts_nine:FULL")
    monkeypatch.setattr(demos, "run_demos", lambda *_: pytest.fail("a demo ran"))
    place = site.parent / "x"
    place.mkdir() if what == "folder" else place.write_text("of value")
    out = "x/page.html" if what == "below a file" else "x"
    status, _, err = ninefold("demo", "-o", out, "--force")
    assert (status, err.count("\n")) == (2, 1)
    assert what == "folder" or place.read_text() == "of value"


def test_without_systems_it_says_what_to_install(site, ninefold):
    status, _, err = ninefold("demo")
    assert status == 2
    assert "pip install" in err


def test_ctrl_c_keeps_what_was_finished_and_exits_with_130(site):
    register(site, good="parts_nine:GOOD", full="parts_nine:FULL", slow="parts_nine:SLOW")
    process = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {MAIN}",
         "demo", "good", "full", "slow", "-o", "page.html"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=site.parent,
    )  # fmt: skip
    lines = []
    while sum(" s  " in line for line in lines) < 2:
        lines.append(process.stderr.readline())
        assert lines[-1], f"it ended: {lines}"
    page = page_of(site)  # written after each
    assert "So far 2 of 3 systems" in page
    while not (pid := site.parent / "pid").exists() or not pid.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; what was finished is kept"
    assert page_of(site) == page
    assert "shows no measurable difference from Rival" in page
    assert "Error 10 %, theirs 20 %." in page
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_last_times_are_kept_for_the_next_estimate(site, ninefold, monkeypatch):
    register(site, good="parts_nine:GOOD", full="parts_nine:FULL")
    rows = [Installed(name, "", "", System(name, "", "", "", seconds=200)) for name in ("good", "full")]
    assert demos.seconds_by_name(rows) == {"good": 200, "full": 200}
    monkeypatch.setattr(os, "getloadavg", lambda: (7.0, 0, 0))
    cores = len(os.sched_getaffinity(0))
    assert demos.slowdown() == max(1, 8 / cores)
    expected = f"about {round(60 * demos.slowdown() / demos.at_once(2), -1):.0f} s here"
    assert re.search(expected, ninefold("demo", "-o", "page.html")[2])  # as their packages say
    assert all(0 < seconds < 60 for seconds in demos.seconds_by_name(rows).values())


@pytest.mark.parametrize("pace", [0.6, 1.0, 4.0])  # threads of its own, idle, a machine with three others on it
@pytest.mark.parametrize("jobs", [1, 2])
def test_time_left_is_within_one_and_a_half_of_what_it_takes(jobs, pace):
    cost = [48, 46, 33, 32, 31, 22, 21, 20, 16, 16]  # processor seconds, the longest first, off by a fifth
    said = [seconds * (1.2 if number % 2 else 0.8) for number, seconds in enumerate(cost)]
    free, order, now = [0.0] * jobs, [], 0.0
    for number, seconds in enumerate(cost):
        start = min(free)
        free[free.index(start)] = start + seconds * pace
        order.append((start + seconds * pace, start, number))
    for now, _, _ in sorted(order)[:-1]:
        waiting = sum(said[number] for _, start, number in order if start > now)
        ages = [(said[number], now - start) for end, start, number in order if start <= now < end]
        took, left = max(free) - now, demos.time_left(waiting, ages, pace, jobs)
        assert took / 1.5 - 5 * pace <= left <= took * 1.5 + 5 * pace


@pytest.mark.parametrize(("cores", "count", "jobs"), [(2, 6, 2), (1, 6, 1), (8, 6, 2), (8, 1, 1)])
def test_two_run_at_a_time_where_there_are_two_cores(monkeypatch, cores, count, jobs):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert demos.at_once(count) == jobs


def test_rows_of_the_table_take_at_most_two_lines_at_100_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    words = "several words of middling length that go on and on without an end in sight"
    shown = [demo.Shown("a-long-name", [words] * 4, [], seconds=100.0)] * 3
    lines = demo.overview(shown).to_terminal().splitlines()
    assert len(demo.COLUMNS) == 6
    assert len(lines) <= 2 + 2 * 3 + 1
    assert max(map(len, lines)) <= 100
    assert len(shown[0].line()) <= 100
