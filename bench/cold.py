#!/usr/bin/env python3
"""Builds of the real images, with nothing in the engine, and again with nothing changed.

    bench/cold.py [--unchanged]

Each side has an engine of its own that held nothing before; see side.py. With --unchanged only kolla
builds, for the second of the two figures.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from measure import Cost, adopt, bury, median, say
from native import against, memory
from report import TARGET, Figures, times
from side import ORDINARY, PATTERNS, WORK, kolla

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
BUILDERS = ("buildkit", "classic")
# way -> words, and how many times faster kolla should be
WAYS = {
    "same": ("docker build, one by one", 2),
    "ordinary": ("docker build with plain apt-get", 3),
}


def prepare():
    """One copy of the fleet and one root file system for all sides, and the Dockerfiles."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "tree").mkdir(parents=True)
    for part in ("services", "templates"):
        shutil.copytree(REPOSITORY / part, WORK / "tree" / part, symlinks=True)
    shutil.copy(REPOSITORY / "kolla.toml", WORK / "tree")
    shutil.copy(TARGET / "release" / "kolla", WORK)
    shutil.copytree(HERE / "ordinary", ORDINARY)
    for file in ORDINARY.rglob("*"):
        replaced = WORK / "tree" / file.relative_to(ORDINARY)
        if not replaced.exists():
            sys.exit(f"bench: {file} takes the place of nothing: what it replaced has moved")
    for way in ("same", "ordinary"):
        subprocess.run(kolla("render", *PATTERNS, "--quiet", "--output", WORK / way, way=way), check=True)


def side(name):
    """Runs one side in an engine of its own."""
    say(f"building everything: {name}")
    result = WORK / f"{name.replace('/', '-')}.json"
    with_engine = [REPOSITORY / "tests" / "with-engine", sys.executable, HERE / "side.py"]
    if subprocess.run([*with_engine, name, result, str(os.getpid())], check=False).returncode:
        sys.exit(f"bench: the side {name} failed")
    bury()
    measured = json.loads(result.read_text())
    return {**measured, **{part: Cost(**measured[part]) for part in ("cold", "again", "push")}}


def unchanged(again):
    """What a build costs that has nothing to do."""
    figures = Figures("unchanged")
    figures.add("kolla build, nothing changed, wall time", again.wall, "s", at_most=1)
    figures.add("kolla build, nothing changed, CPU time", again.cpu, "s")
    return figures


def native(figures, figures_again, natives, kollas, others):
    """The rows of the native engine, against kolla with Docker and docker one by one."""

    def all_of(part):
        loops = {f"docker one by one, {b}": others[f"same/{b}"][part] for b in BUILDERS}
        return {"kolla with Docker": kollas[part], **loops}

    ours = {part: [measured[part] for measured in natives] for part in kollas}
    figures.add("the last native build against the first, wall time", **times(*ours["cold"]))
    against(figures, "real images, cold", median(ours["cold"]), all_of("cold"), 0.7)
    against(figures, "real images, push", median(ours["push"]), all_of("push"), 0.33)
    # With nothing to do, kolla only plans, whatever the engine.
    same = ["kolla with Docker"]
    against(figures_again, "real images, unchanged", median(ours["again"]), all_of("again"), 0.02, same)
    for part, rows in (("cold", figures), ("push", figures), ("again", figures_again)):
        memory(rows, f"real images, {'unchanged' if part == 'again' else part}", ours[part])


def differing(sides):
    """How many packages are not the same everywhere: every side must have installed the same."""
    (first, expected), *others = sides.items()
    count = 0
    for name, measured in others:
        for image, found in measured["contents"].items():
            packages = set(expected["contents"][image]["packages"]) ^ set(found["packages"])
            if packages:
                say(f"{image} of {name} and of {first} differ in {', '.join(sorted(packages))}")
            count += len(packages)
    return count


def size(measured):
    """Bytes of all images, shared layers counted in each."""
    return sum(found["size"] for found in measured["contents"].values())


def main():
    adopt()
    prepare()
    if "--unchanged" in sys.argv[1:]:
        unchanged(side("kolla")["again"]).save()
        return
    # The first build is not measured: it is what makes the archive a remembered one for all.
    side("kolla")
    before, natives = side("kolla"), [side("native")]
    others = {name: side(name) for name in (f"{way}/{b}" for way in WAYS for b in BUILDERS)}
    after = side("kolla")
    natives.append(side("native"))

    # Two builds, before and after the others: what else the machine did then shows in them.
    ours, again = (median([before[part], after[part]]) for part in ("cold", "again"))
    figures = Figures("cold")
    figures.add(
        "the last kolla build against the first, wall time", **times(before["cold"], after["cold"])
    )
    figures_again = unchanged(again)
    for way, (words, target) in WAYS.items():
        for builder in BUILDERS:
            theirs = others[f"{way}/{builder}"]
            name = f"kolla build against {words}, {builder}"
            figures.add(f"{name}, wall time", **times(ours, theirs["cold"]), at_least=target)
            figures.add(f"{name}, CPU time", **times(ours, theirs["cold"], "cpu"))
            if way == "same":
                figures_again.add(f"{name}, nothing changed, wall time", **times(again, theirs["again"]))
    figures.add(
        "size of all images against those of plain apt-get",
        size(before) / size(others["ordinary/buildkit"]),
        "x",
    )
    figures.add(
        "packages that are not the same on every side",
        differing({"kolla": before, **others, "kolla again": after, "native": natives[0]}),
        "",
        at_most=0,
    )
    kollas = {part: median([before[part], after[part]]) for part in ("cold", "again", "push")}
    native(figures, figures_again, natives, kollas, others)
    figures_again.save()
    figures.save()


if __name__ == "__main__":
    main()
