"""Made-up systems that can be installed beside a test, in this process and in those that it starts."""

from __future__ import annotations

from pathlib import Path

from ninefold_testing import install

PARTS = """
    import numpy as np
    from ninefold_lab import Budget, Claim, at_least
    from ninefold.errors import InputError, require
    from ninefold.arms import Arms
    from ninefold.report import Table, figure
    from ninefold.systems import DemoResult, System

    def demo(seed):
        made, axes = figure()
        axes.plot([0, seed])
        table = Table(["arm", "score"], [["<method>", 0.9], ["rival", 0.8]])
        scores = {"<method>": [seed + 0.8, seed + 0.9], "Rival": [0.7, 0.9]}
        arms = Arms(scores=scores, ours="<method>", measured="score")
        return DemoResult("simulated", arms, table, [("a caption", made)], ["a note"])

    def full_demo(seed):
        table = Table(["arm", "error"], [["ours", 0.1]])
        scores = {"Ours": [10, 10.2], "Theirs": [20, 20.4]}
        arms = Arms(scores=scores, ours="Ours", measured="error", unit="%", lower=True)
        return DemoResult("real", arms, table, headline="Error 10 %, theirs 20 %", looking_at="a table of errors",
                          glossary={"error": "share of wrong answers"})

    def slow_demo(seed):
        import os, pathlib, time
        pathlib.Path("pid").write_text(str(os.getpid()))
        time.sleep(120)

    def demo_that_fails(seed):
        print("its last words", flush=True)
        raise RuntimeError("broken inside")

    def demo_that_dies(seed):
        import os
        os._exit(7)

    def demo_without_extra(seed):
        require("no_such_module_9", "ninefold", "plots")

    def demo_of_nothing(seed):
        return None

    def experiment(budget, seed):
        return {"method": 1.0 + np.zeros(9), "rival": np.zeros(9)}

    def failing(budget, seed):
        raise InputError("data", expected="something else")

    CLAIMS = [Claim(id="parts_nine/wins", says="wins", source="ours", run=experiment, full=Budget(1, 1),
                    verdict=at_least("method", "rival"))]
    BAD_CLAIMS = [Claim(id="parts_nine/fails", says="", source="ours", run=failing, verdict=at_least("a", "b"))]
    GOOD = System("good", "does good", "parts_nine:demo", "parts_nine:CLAIMS")
    FAILS = System("fails", "fails", "parts_nine:demo_that_fails", "parts_nine:NO_SUCH_LIST")
    BARE = System("bare", "lacks an extra", "parts_nine:demo_without_extra", "parts_nine:BAD_CLAIMS")
    NOTHING = System("nothing", "returns nothing", "parts_nine:demo_of_nothing", "parts_nine:CLAIMS")
    FULL = System("full", "fills in all fields", "parts_nine:full_demo", "parts_nine:CLAIMS")
    DIES = System("dies", "dies", "parts_nine:demo_that_dies", "parts_nine:CLAIMS")
    SLOW = System("slow", "sleeps", "parts_nine:slow_demo", "parts_nine:CLAIMS", seconds=1)
    NO_SYSTEM = 7
"""


def register(site: Path, **points: str) -> None:
    """Install systems, by name, as a distribution that is found in the folder `site`."""
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    install(site, "acme-parts", entry_points=f"[ninefold.systems]\n{lines}")
