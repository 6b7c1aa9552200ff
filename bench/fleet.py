#!/usr/bin/env python3
"""Builds of the fleet of small images, and pushing them: the native engine against all others.

    bench/fleet.py [--push] [--images N]

Each side has an engine or a store of its own that held nothing before; see fleet_side.py. With --push
nothing but pushing is measured. KOLLA_BENCH_IMAGES is another way to give the number of images.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import small
from fleet_side import CHANGED, PROGRAM
from measure import Cost, adopt, bury, median, say
from native import against, memory
from report import TARGET, Figures

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
WORK = PROGRAM.parent
# A part of the fleet, all its ancestors included, that the others build in some minutes each.
IMAGES = 40
# side -> words
OTHERS = {
    "kolla": "kolla build with Docker",
    "buildkit": "docker build one by one, BuildKit",
    "classic": "docker build one by one, classic",
    "buildah": "buildah build one by one",
}
PUSHING = {
    "kolla": "kolla push with Docker",
    "buildkit": "docker push one by one, built by BuildKit",
    "classic": "docker push one by one, built by classic",
    "buildah": "buildah push one by one",
    "skopeo": "skopeo copy one by one",
}


def side(name, push):
    """Runs one side with an engine of its own, if it needs one."""
    say(f"the fleet of small images: {name}")
    result = WORK / f"{name}.json"
    command = [sys.executable, HERE / "fleet_side.py", name, WORK / "tree", result, str(os.getpid())]
    if name not in ("native", "buildah"):
        command = [REPOSITORY / "tests" / "with-engine", *command]
    if subprocess.run([*command, *(["--push"] if push else [])], check=False).returncode:
        sys.exit(f"bench: the side {name} failed")
    bury()
    return {words: Cost(**cost) for words, cost in json.loads(result.read_text()).items()}


def building(ours, others, images):
    """The figures of the stage `fleet`."""
    figures = Figures("fleet")
    figures.add("images built by every side", images, "")
    runs = [cost.wall for cost in ours["cold"]]
    figures.add("cold: the slowest native build against the fastest", max(runs) / min(runs), "x")
    for what, at_most in {"cold": 0.2, "unchanged": 0.02, **dict.fromkeys(CHANGED)}.items():
        theirs = {OTHERS[name]: measured[what] for name, measured in others.items()}
        # With nothing to do, kolla only plans, whatever the engine.
        same = [OTHERS["kolla"]] if what == "unchanged" else []
        against(figures, what, median(ours[what]), theirs, at_most, same)
        memory(figures, what, ours[what])
    figures.save()


def pushing(ours, others, images):
    """The figures of the stage `push`."""
    figures = Figures("push")
    figures.add("images pushed by every side", images, "")
    theirs = {
        PUSHING[words.removeprefix("push ")]: cost
        for measured in others.values()
        for words, cost in measured.items()
        if words.startswith("push ")
    }
    against(figures, "push", median(ours["push native"]), theirs, 0.33)
    memory(figures, "push", ours["push native"])
    figures.save()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--push", action="store_true")
    parser.add_argument("--images", type=int, default=int(os.environ.get("KOLLA_BENCH_IMAGES", IMAGES)))
    arguments = parser.parse_args()
    adopt()
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copy(TARGET / "release" / "kolla", PROGRAM)
    images = len(small.write(WORK / "tree", arguments.images))
    # The native side takes its turn between all others: what else the machine did shows in it.
    turns, others = [side("native", arguments.push)], {}
    for name in OTHERS:
        others[name] = side(name, arguments.push)
        turns.append(side("native", arguments.push))
    ours = {what: [turn[what] for turn in turns] for what in turns[0]}
    if not arguments.push:
        building(ours, others, images)
    pushing(ours, others, images)


if __name__ == "__main__":
    main()
