#!/usr/bin/env python3
"""Planning fleets of 188, 1,000 and 10,000 images: does an image cost the same in each?"""

import tree
from measure import say, side_by_side
from report import TARGET, Figures

KOLLA = TARGET / "release" / "kolla"
SIZES = (188, 1000, 10000)
ROUNDS = 5
# Ten times the images may take this many times as long for each: sorted maps cost the logarithm of
# their size, and more memory is less cache. What is quadratic takes ten times as long.
TOLERANCE = 1.25


def main():
    commands = {}
    for size in SIZES:
        folder = TARGET / "bench" / f"fleet-{size}"
        tree.write(folder, size)
        commands[size] = [KOLLA, "-C", folder, "check"]
    say(f"planning {' / '.join(map(str, SIZES))} images, {ROUNDS} rounds")
    costs = side_by_side(commands, ROUNDS)
    figures = Figures("growth")
    for size in SIZES:
        figures.add(f"kolla check, {size} images, wall time an image", costs[size].wall / size * 1e6, "µs")
        figures.add(f"kolla check, {size} images, CPU time an image", costs[size].cpu / size * 1e6, "µs")
        figures.add(f"kolla check, {size} images, memory", costs[size].memory / 1e6, "MB")
    for attribute in ("wall", "cpu"):
        each = {size: getattr(costs[size], attribute) / size for size in SIZES}
        figures.add(
            f"an image of 10000 against one of 1000, {'CPU' if attribute == 'cpu' else attribute} time",
            each[10000] / each[1000],
            "x",
            at_most=TOLERANCE,
        )
    figures.save()


if __name__ == "__main__":
    main()
