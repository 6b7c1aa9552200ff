#!/usr/bin/env python3
"""Planning 188 images: kolla against kolla-build. Runs below tests/with-engine."""

import os

import tree
from measure import say, side_by_side
from report import TARGET, Figures, times

KOLLA = TARGET / "release" / "kolla"
FLEET = TARGET / "bench" / "fleet-188"
ROUNDS = 7


def main():
    images = tree.write(FLEET)
    ours = [KOLLA, "-C", FLEET, "--cache-dir", TARGET / "bench" / "planning-cache"]
    engine = ["--engine-url", os.environ["KOLLA_TEST_ENGINE"]]
    theirs = "kolla-build --list-images"
    say(f"planning {images} images, {ROUNDS} rounds")
    costs = side_by_side(
        {
            theirs: [TARGET / "bench" / "venv" / "bin" / "kolla-build", "--base", "debian", "--list-images"],
            "kolla list": [*ours, "list"],
            "kolla graph": [*ours, "graph"],
            "kolla check": [*ours, "check"],
            "kolla plan": [*ours, *engine, "plan"],
        },
        ROUNDS,
    )
    figures = Figures("planning")
    for name in list(costs)[1:]:
        figures.add(f"{name} against {theirs}, wall time", **times(costs[name], costs[theirs]), at_least=100)
        figures.add(f"{name} against {theirs}, CPU time", **times(costs[name], costs[theirs], "cpu"), at_least=100)
    for name in ("kolla check", "kolla plan"):
        figures.add(f"{name}, {images} images, wall time", costs[name].wall * 1e3, "ms", at_most=100)
        figures.add(f"{name}, {images} images, CPU time", costs[name].cpu * 1e3, "ms")
        figures.add(f"{name}, {images} images, memory", costs[name].memory / 1e6, "MB", at_most=100)
    figures.save()


if __name__ == "__main__":
    main()
