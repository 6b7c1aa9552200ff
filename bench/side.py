#!/usr/bin/env python3
"""One side of the comparison of cold builds. Runs below tests/with-engine, with an empty engine.

    bench/side.py SIDE RESULT ANCESTOR

    SIDE      kolla, or WAY/BUILDER: WAY is `same` or `ordinary`, BUILDER `buildkit` or `classic`
    RESULT    the file to write what was measured to, as JSON
    ANCESTOR  the process that the engine descends from
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import archive
from measure import Cost, median, run, say, spent
from report import TARGET

WORK = TARGET / "bench" / "cold"
KOLLA = WORK / "kolla"
ORDINARY = WORK / "overlay"
AGAIN = 11


def kolla(*arguments, way="same", cache=None):
    """The command line of kolla for the copy of the fleet that all sides build."""
    overlay = ["--overlay", ORDINARY] if way == "ordinary" else []
    where = ["-C", WORK / "tree", "--cache-dir", cache or WORK / "cache"]
    return [KOLLA, *arguments, *where, *overlay]


def docker_with(builder):
    """A docker command that has the builder, and the environment that chooses it."""
    chosen = {
        **os.environ,
        "DOCKER_HOST": os.environ["KOLLA_TEST_ENGINE"],
        "DOCKER_BUILDKIT": "1" if builder == "buildkit" else "0",
    }
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
        for directory in os.get_exec_path():
            docker = pathlib.Path(directory) / "docker"
            if os.access(docker, os.X_OK):
                tried = subprocess.run(
                    [docker, "build", "-q", folder], env=chosen, capture_output=True, check=False
                )
                if tried.returncode == 0:
                    image = tried.stdout.decode().strip()
                    subprocess.run([docker, "rmi", image], env=chosen, capture_output=True, check=False)
                    return docker, chosen
    sys.exit(f"bench: no docker command here builds with {builder}")


def bridge_of(docker, chosen):
    """The bridge of the engine's containers."""
    form = '{{index .Options "com.docker.network.bridge.name"}}'
    command = [docker, "network", "inspect", "bridge", "--format", form]
    return subprocess.run(command, env=chosen, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def remembered(bridge):
    """Has the containers on a bridge find the remembered archive wherever they ask over HTTP."""
    server = archive.serve(WORK / "archive")
    rule = ["PREROUTING", "-i", bridge, "-p", "tcp", "--dport", "80", "-j", "REDIRECT"]
    rule += ["--to-ports", str(server.server_port)]
    subprocess.run(["iptables", "-w", "-t", "nat", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", *rule], check=True)


def plan(way):
    """The images in the order they can be built in, with the reference each is looked for by."""
    engine = ["--engine-url", os.environ["KOLLA_TEST_ENGINE"]]
    command = kolla("plan", "--format", "json", *engine, way=way)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [(image["image"], image["engine_reference"]) for image in json.loads(output)["images"]]


@contextlib.contextmanager
def counted(ancestor):
    """The cost of what is done inside, with the CPU time that the engine spent on it."""
    cost = Cost(time.perf_counter(), spent(ancestor), 0)
    yield cost
    cost.wall, cost.cpu = time.perf_counter() - cost.wall, spent(ancestor) - cost.cpu


def with_kolla(ancestor):
    """Builds with kolla as on a machine that has nothing but the bootstrapped root file system."""
    fresh = WORK / "fresh-cache"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(WORK / "cache" / "sources", fresh / "sources")
    engine = ["--engine-url", os.environ["KOLLA_TEST_ENGINE"]]
    command = kolla("build", *engine, cache=fresh)
    with counted(ancestor) as cold:
        run(command)
    return cold, median([run(command) for _ in range(AGAIN)]), {}


def one_after_the_other(way, docker, chosen, ancestor):
    """`docker build` of each Dockerfile, parents first."""
    images = plan(way)

    def build_all():
        with counted(ancestor) as cost:
            each = {
                image: run([docker, "build", "--tag", reference, WORK / way / image], env=chosen).wall
                for image, reference in images
            }
        return cost, each

    cold, each = build_all()
    return cold, build_all()[0], each


def contents(way, docker, chosen):
    """image -> its packages, and its size: the sides must have built the same."""
    found = {}
    for image, reference in plan(way):
        packages = [docker, "run", "--rm", "--network=none", "--entrypoint=dpkg-query", reference, "-W"]
        size = [docker, "image", "inspect", "--format", "{{.Size}}", reference]
        packages, size = (
            subprocess.run(c, env=chosen, check=True, stdout=subprocess.PIPE, text=True).stdout
            for c in (packages, size)
        )
        found[image] = {"packages": sorted(packages.splitlines()), "size": int(size)}
    return found


def main():
    side, result, ancestor = sys.argv[1:]
    # The firewall's rule must go, however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    way, _, builder = side.partition("/")
    docker, chosen = docker_with(builder or "buildkit")
    with remembered(bridge_of(docker, chosen)):
        if side == "kolla":
            way = "same"
            cold, again, each = with_kolla(int(ancestor))
        else:
            cold, again, each = one_after_the_other(way, docker, chosen, int(ancestor))
    say(f"{side}: {cold.wall:.0f} s ({cold.cpu:.0f} s of CPU time), again {again.wall:.2f} s")
    measured = {
        "cold": vars(cold),
        "again": vars(again),
        "each": each,
        "contents": contents(way, docker, chosen),
    }
    pathlib.Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
