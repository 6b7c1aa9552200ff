"""Runs commands and says what they cost: wall time, CPU time and memory."""

import collections
import contextlib
import ctypes
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time


class Cost:
    """One run: seconds of wall time, seconds of CPU time, bytes of memory at the most.

    `memory` is that of the largest of all its processes, `own` that of the first without those that it
    starts, where it was asked for.
    """

    def __init__(self, wall, cpu, memory, own=0):
        self.wall, self.cpu, self.memory, self.own = wall, cpu, memory, own


class Watch(threading.Thread):
    """Reads a process's own peak of memory until it has ended.

    wait4(2) gives the largest of a process and its children together. What the process adds in its
    last moments, between two looks, is missed.
    """

    EVERY = 0.005

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.peak = pathlib.Path(f"/proc/{pid}/status"), 0
        self.ended = threading.Event()

    def run(self):
        ended = False
        while not ended:
            try:
                lines = self.status.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                if line.startswith("VmHWM:"):
                    self.peak = int(line.split()[1]) * 1024
            ended = self.ended.wait(self.EVERY)

    def end(self):
        """The bytes at the most."""
        self.ended.set()
        self.join()
        return self.peak


def run(command, own=False, **options):
    """Runs a command to its end, which must be good.

    The memory is the kernel's count of the largest process; it starts at what this interpreter
    has, some 10 MB, so nothing below that is told apart. `own` asks for that of the command's own
    process.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **options
        )
        watch = Watch(process.pid) if own else None
        if watch:
            watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        peak = watch.end() if watch else 0
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace")[-4000:])
            sys.exit(f"bench: failed with {process.returncode}: {' '.join(map(str, command))}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, peak)


def side_by_side(commands, rounds):
    """Median costs by name. The commands take turns, so that all see the same machine."""
    costs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(run(command))
    return {name: median(runs) for name, runs in costs.items()}


def median(runs):
    """The median of each cost by itself."""
    parts = ("wall", "cpu", "memory", "own")
    return Cost(*(statistics.median(getattr(run, part) for run in runs) for part in parts))


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


@contextlib.contextmanager
def counted(ancestor):
    """The cost of what is done inside, with the CPU time that engines below `ancestor` spent on it."""
    before = spent(ancestor)
    cost = Cost(time.perf_counter(), 0, 0)
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - cost.wall, spent(ancestor) - before


def measure(ancestor, work):
    """The cost of work that returns one; the CPU time is that of all who took part."""
    with counted(ancestor) as whole:
        cost = work()
    return Cost(cost.wall, whole.cpu, cost.memory, cost.own)


def say(text):
    """Progress, for whoever waits."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
