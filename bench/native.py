"""The rows that every comparison of the native engine with others has."""

from report import times

# Megabytes that the program may take while it builds or pushes.
MEMORY = 200


def against(figures, what, ours, others, at_most, leave_out=()):
    """Rows against each of the others, and one against the fastest of them, which has the target.

    `others` is words -> Cost; those of `leave_out` are measured, and are no fastest.
    """
    for words, cost in others.items():
        for attribute, kind in (("wall", "wall time"), ("cpu", "CPU time")):
            figures.add(f"{what}: native against {words}, {kind}", **times(ours, cost, attribute))
    best = min((words for words in others if words not in leave_out), key=lambda words: others[words].wall)
    figures.add(
        f"{what}: native's share of the wall time of the best ({best})",
        ours.wall / others[best].wall,
        "",
        at_most=at_most,
        parts={"ours": ours.wall, "theirs": others[best].wall},
    )


def memory(figures, what, runs):
    """What kolla itself took at the most, and the largest of all processes, with what steps ran."""
    figures.add(f"{what}: memory of native kolla", max(run.own for run in runs) / 1e6, "MB", at_most=MEMORY)
    figures.add(f"{what}: memory of the largest process", max(run.memory for run in runs) / 1e6, "MB")
