"""Runs commands and says what they cost: wall time, CPU time and memory."""

import collections
import ctypes
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


class Cost:
    """One run: seconds of wall time, seconds of CPU time, bytes of memory at the most."""

    def __init__(self, wall, cpu, memory):
        self.wall, self.cpu, self.memory = wall, cpu, memory


def run(command, **options):
    """Runs a command to its end, which must be good.

    The memory is the kernel's count of the largest process; it starts at what this interpreter
    has, some 10 MB, so nothing below that is told apart.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace")[-4000:])
            sys.exit(f"bench: failed with {process.returncode}: {' '.join(map(str, command))}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def side_by_side(commands, rounds):
    """Median costs by name. The commands take turns, so that all see the same machine."""
    costs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(run(command))
    return {name: median(runs) for name, runs in costs.items()}


def median(runs):
    """The median of each cost by itself."""
    return Cost(*(statistics.median(getattr(r, a) for r in runs) for a in ("wall", "cpu", "memory")))


def adopt():
    """Makes this process the parent of its descendants' orphans, so that `spent` finds them."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def bury():
    """Waits for the orphans that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def spent(ancestor):
    """Seconds of CPU time of all descendants of a process, those that ended included.

    Unlike wall time it hardly depends on what else the machine does.
    """
    ticks, children = {}, collections.defaultdict(list)
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The command, in brackets, may hold anything.
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        children[int(fields[1])].append(pid)
        own, waited_for = fields[11:13], fields[13:15]
        ticks[pid] = sum(map(int, own + waited_for)), sum(map(int, waited_for))
    total, open_ = ticks[ancestor][1], children[ancestor]
    while open_:
        pid = open_.pop()
        total += ticks[pid][0]
        open_ += children[pid]
    return total / os.sysconf("SC_CLK_TCK")


def say(text):
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
