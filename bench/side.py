#!/usr/bin/env python3
"""One side of the comparison of cold builds. Runs below tests/with-engine, with an empty engine.

    bench/side.py SIDE RESULT ANCESTOR

    SIDE      kolla, native, or WAY/BUILDER: WAY is `same` or `ordinary`, BUILDER `buildkit` or
              `classic`
    RESULT    the file to write what was measured to, as JSON
    ANCESTOR  the process that the engine descends from

KOLLA_BENCH_PATTERNS are the images to build and the parents they need, for a look; without it, all.
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

import archive
import builders
from measure import counted, measure, median, run, say
from report import TARGET

WORK = TARGET / "bench" / "cold"
KOLLA = WORK / "kolla"
ORDINARY = WORK / "overlay"
AGAIN = 11
PATTERNS = os.environ.get("KOLLA_BENCH_PATTERNS", "").split()


def kolla(*arguments, way="same", cache=None):
    """The command line of kolla for the copy of the fleet that all sides build."""
    overlay = ["--overlay", ORDINARY] if way == "ordinary" else []
    where = ["-C", WORK / "tree", "--cache-dir", cache or WORK / "cache", "--tag", builders.TAG]
    return [KOLLA, *arguments, *where, *overlay]


def docker_engine():
    """How kolla is told of the Docker Engine here."""
    return ["--engine", "docker", "--engine-url", os.environ["KOLLA_TEST_ENGINE"]]


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
    """Has the containers on a bridge find the remembered archive wherever they ask over HTTP; gives
    its port, for whom it is a proxy."""
    server = archive.serve(WORK / "archive")
    rule = ["PREROUTING", "-i", bridge, "-p", "tcp", "--dport", "80", "-j", "REDIRECT"]
    rule += ["--to-ports", str(server.server_port)]
    subprocess.run(["iptables", "-w", "-t", "nat", "-I", *rule], check=True)
    try:
        yield server.server_port
    finally:
        subprocess.run(["iptables", "-w", "-t", "nat", "-D", *rule], check=True)


def plan(way):
    """The images in the order they can be built in, with the reference each is looked for by."""
    command = kolla("plan", "--format", "json", *PATTERNS, *docker_engine(), way=way)
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [(image["image"], image["engine_reference"]) for image in json.loads(output)["images"]]


def with_kolla(ancestor, engine, environment):
    """Builds with kolla as on a machine that has nothing but the bootstrapped root file system."""
    fresh = WORK / "fresh-cache"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(WORK / "cache" / "sources", fresh / "sources")

    def command(*words):
        return lambda: run(kolla(*words, *PATTERNS, *engine, cache=fresh), own=True, env=environment)

    cold = measure(ancestor, command("build"))
    again = median([measure(ancestor, command("build")) for _ in range(AGAIN)])
    with builders.registry() as registry:
        push = measure(ancestor, command("push", "--registry", registry))
    return cold, again, push, {}


def natively(ancestor, port):
    """The same with the native engine, whose images the Docker Engine is given afterwards."""
    store = WORK / "store"
    shutil.rmtree(store, ignore_errors=True)
    engine = ["--engine", "native", "--store", store]
    # Its steps are on the network of the machine itself, where no rule is ours to set.
    proxy = {**os.environ, "http_proxy": f"http://127.0.0.1:{port}"}
    measured = with_kolla(ancestor, engine, proxy)
    docker = ["--engine-url", os.environ["KOLLA_TEST_ENGINE"]]
    run(kolla("export", *(PATTERNS or ["*"]), "--to", "docker", *engine, *docker))
    return measured


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
    again = build_all()[0]
    with builders.registry() as registry:
        names = [f"{registry}/kollaglue/{image}:{builders.TAG}" for image, _ in images]
        for (_, reference), name in zip(images, names):
            subprocess.run([docker, "tag", reference, name], env=chosen, check=True)
        with counted(ancestor) as push:
            for name in names:
                run([docker, "push", name], env=chosen)
    return cold, again, push, each


def contents(way, docker, chosen, exported):
    """image -> its packages, and its size: the sides must have built the same."""
    found = {}
    for image, reference in plan(way):
        if exported:
            reference = f"kollaglue/{image}:{builders.TAG}"
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
    with remembered(bridge_of(docker, chosen)) as port:
        if side == "kolla":
            way = "same"
            cold, again, push, each = with_kolla(int(ancestor), docker_engine(), None)
        elif side == "native":
            way = "same"
            cold, again, push, each = natively(int(ancestor), port)
        else:
            cold, again, push, each = one_after_the_other(way, docker, chosen, int(ancestor))
    say(f"{side}: {cold.wall:.0f} s ({cold.cpu:.0f} s of CPU time), again {again.wall:.2f} s, push {push.wall:.1f} s")
    measured = {
        "cold": vars(cold),
        "again": vars(again),
        "push": vars(push),
        "each": each,
        "contents": contents(way, docker, chosen, side == "native"),
    }
    pathlib.Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    main()
