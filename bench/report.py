#!/usr/bin/env python3
"""Keeps the figures of each stage and prints them together: a table, and target/bench.json.

    bench/report.py [--markdown]
"""

import json
import pathlib
import sys

TARGET = pathlib.Path(__file__).resolve().parent.parent / "target"
STAGES = ("planning", "affected", "growth", "publishing", "fleet", "push", "unchanged", "cold")


class Figures:
    """The figures of one stage; `save` replaces those of its last run."""

    def __init__(self, stage):
        self.stage, self.rows = stage, []

    def add(self, figure, value, unit, at_least=None, at_most=None, parts=None):
        """One figure, the bound it should keep, and the measurements that it was made from."""
        met = None
        if at_least is not None:
            met = value >= at_least
        if at_most is not None:
            met = value <= at_most
        self.rows.append(
            {
                "figure": figure,
                "value": value,
                "unit": unit,
                "at_least": at_least,
                "at_most": at_most,
                "met": met,
                "measured": parts or {},
            }
        )

    def save(self):
        """Writes them for the report."""
        path = TARGET / "bench" / f"{self.stage}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.rows, indent=1) + "\n")


def times(ours, theirs, attribute="wall"):
    """How many times cheaper ours is, and the two costs, for `Figures.add`."""
    ours, theirs = getattr(ours, attribute), getattr(theirs, attribute)
    return {"value": theirs / ours, "unit": "x", "parts": {"ours": ours, "theirs": theirs}}


def written(value, unit):
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    if isinstance(value, int):
        digits = 0
    return f"{value:.{digits}f} {unit}".rstrip()


def bound(row):
    if row["at_least"] is not None:
        return f"at least {row['at_least']:g} {row['unit']}"
    if row["at_most"] is not None:
        return f"at most {row['at_most']:g} {row['unit']}"
    return ""


def cells(stage, row):
    met = {True: "met", False: "missed", None: ""}[row["met"]]
    return [stage, row["figure"], written(row["value"], row["unit"]), bound(row), met]


def main():
    found = {}
    for stage in STAGES:
        path = TARGET / "bench" / f"{stage}.json"
        if path.exists():
            found[stage] = json.loads(path.read_text())
    (TARGET / "bench.json").write_text(json.dumps(found, indent=1) + "\n")
    rows = [["STAGE", "FIGURE", "MEASURED", "TARGET", ""]]
    rows += [cells(stage, row) for stage, figures in found.items() for row in figures]
    if "--markdown" in sys.argv[1:]:
        for number, row in enumerate(rows):
            print("| " + " | ".join(row) + " |")
            if number == 0:
                print("|---|---|--:|---|---|")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        aligned = [cell.ljust(width) for cell, width in zip(row, widths)]
        aligned[2] = row[2].rjust(widths[2])
        print("  ".join(aligned).rstrip())


if __name__ == "__main__":
    main()
