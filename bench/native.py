"""The rows that every comparison of the native engine with others has."""

from report import times

# Megabytes that the program may take while it builds or pushes.
MEMORY = 200


def against(figures, what, ours, others, at_most, leave_out=()):
    """Rows against each of the others, and those against the fastest of them, of which that of
    wall time has the target.

    `others` is words -> Cost; those of `leave_out` are measured, and are no fastest.
    """
    for words, cost in others.items():
        for attribute, kind in (("wall", "wall time"), ("cpu", "CPU time")):
            figures.add(f"{what}: native against {words}, {kind}", **times(ours, cost, attribute))
    best = min((words for words in others if words not in leave_out), key=lambda words: others[words].wall)
    for attribute, kind, bound in (("wall", "wall time", at_most), ("cpu", "CPU time", None)):
        parts = {"ours": getattr(ours, attribute), "theirs": getattr(others[best], attribute)}
        figures.add(
            f"{what}: native's share of the {kind} of the best ({best})",
            parts["ours"] / parts["theirs"],
            "",
            at_most=bound,
            parts=parts,
        )


def memory(figures, what, runs):
    """What kolla itself took at the most, and the largest of all processes, with what steps ran."""
    figures.add(f"{what}: memory of native kolla", max(run.own for run in runs) / 1e6, "MB", at_most=MEMORY)
    figures.add(f"{what}: memory of the largest process", max(run.memory for run in runs) / 1e6, "MB")
