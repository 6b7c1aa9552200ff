#!/usr/bin/env python3
"""What is published is looked for, and the real images are published; run below tests/with-engine."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import small
from measure import median, run, say
from report import TARGET, Figures, times

KOLLA = TARGET / "release" / "kolla"
REPOSITORY = TARGET.parent
ROUNDS = 5
TAG = "bench"


def looking(figures, registry, work):
    """188 images that are published and not here: one request each."""
    fleet = work / "fleet"
    images = len(small.write(fleet))
    where = ["--registry", registry, "--namespace", "lookup", "--tag", TAG]
    run([KOLLA, "-C", fleet, "build", "--engine", "native", "--store", work / "a", "--push", *where])
    say(f"looking for {images} published images, {ROUNDS} rounds")
    plan = [KOLLA, "-C", fleet, "plan", "--engine", "native", *where, "--format", "json"]
    told = subprocess.run([*plan, "--store", work / "b"], check=True, capture_output=True, text=True)
    assert json.loads(told.stdout)["builds"] == 0, "not all of them were found"
    costs = [run([*plan, "--store", work / "b"]) for _ in range(ROUNDS)]
    wall = median(costs).wall
    figures.add(f"kolla plan, {images} published images looked for", wall * 1e3, "ms", at_most=1000)


def publishing(figures, registry, docker, work):
    """The real images from the native engine's store, and from Docker one by one."""
    kolla = [KOLLA, "-C", REPOSITORY]
    native = ["--engine", "native", "--tag", TAG]
    say("the real images, if they are not built")
    run([*kolla, "build", *native])
    archive = work / "images.tar"
    run([*kolla, "export", *native, "*", "--to", f"docker-archive:{archive}"])
    environment = {**os.environ, "DOCKER_HOST": docker}
    run(["docker", "load", "--input", archive], env=environment)
    archive.unlink()
    names = subprocess.run([*kolla, "list", "--format", "names"], check=True, capture_output=True, text=True)
    names = names.stdout.split()
    for name in names:
        there = f"{registry}/by-docker/{name}:{TAG}"
        run(["docker", "tag", f"kollaglue/{name}:{TAG}", there], env=environment)
    say(f"publishing {len(names)} images, and pushing them one by one")
    place = ["--registry", registry, "--namespace", "by-kolla"]
    ours = run([*kolla, "publish", *native, *place])
    script = "; ".join(f"docker push --quiet {registry}/by-docker/{name}:{TAG}" for name in names)
    theirs = run(["bash", "-e", "-c", script], env=environment)
    figures.add("kolla publish against docker push in a loop", at_least=2, **times(ours, theirs))


def main():
    registry = os.environ["KOLLA_TEST_REGISTRY"]
    docker = os.environ["KOLLA_TEST_ENGINE"]
    figures = Figures("publishing")
    work = pathlib.Path(tempfile.mkdtemp(prefix="publishing-", dir=TARGET / "bench"))
    try:
        looking(figures, registry, work)
        publishing(figures, registry, docker, work)
    finally:
        shutil.rmtree(work)
    figures.save()


if __name__ == "__main__":
    main()
