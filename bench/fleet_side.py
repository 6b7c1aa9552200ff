#!/usr/bin/env python3
"""One side of the comparison on the fleet of small images, with an engine or a store that is empty.

    bench/fleet_side.py SIDE ROOT RESULT ANCESTOR [--push]

    SIDE      native, kolla, buildkit, classic or buildah; all but the first and the last run below
              tests/with-engine
    ROOT      the fleet, which is changed on the way
    RESULT    the file to write what was measured to, as JSON
    ANCESTOR  the process that the engine descends from
    --push    measures pushing alone
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile

import builders
import small
from measure import measure, median, say
from report import TARGET
from side import docker_with

PROGRAM = TARGET / "bench" / "small" / "kolla"
AGAIN = 11
CHANGED = {"a leaf changed": None, "openstack-base changed": "openstack-base"}


def side_of(name, root, work):
    """Who builds, and who pushes what that one built, by name."""
    if name in ("native", "kolla"):
        engine = ["--engine", "native", "--store", work / "store"]
        if name == "kolla":
            engine = ["--engine", "docker", "--engine-url", os.environ["KOLLA_TEST_ENGINE"]]
        kolla = builders.Kolla(PROGRAM, root, work / "cache", engine)
        return kolla, {name: kolla}
    if name == "buildah":
        buildah, skopeo = builders.buildah(PROGRAM, root, work)
        return buildah, {"buildah": buildah, "skopeo": skopeo}
    loop = builders.DockerLoop(PROGRAM, root, work, *docker_with(name))
    return loop, {name: loop}


def folder_of(image, images):
    """The image's folder; for None that of the last of the images, which none is made from."""
    folders = small.folders(images)
    return folders[image or list(images)[-1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("side")
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("ancestor", type=int)
    parser.add_argument("--push", action="store_true")
    arguments = parser.parse_args()
    images = small.write(arguments.root, len(list(arguments.root.rglob("Dockerfile"))))
    costs = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="kolla-bench.", ignore_cleanup_errors=True) as work:
        side, pushers = side_of(arguments.side, arguments.root, pathlib.Path(work))
        side.prepare()
        costs["cold"] = measure(arguments.ancestor, side.build)
        if not arguments.push:
            rounds = AGAIN if isinstance(side, builders.Kolla) else 1
            costs["unchanged"] = median([measure(arguments.ancestor, side.build) for _ in range(rounds)])
            for words, image in CHANGED.items():
                small.change(arguments.root, folder_of(image, images))
                side.prepare()
                costs[words] = measure(arguments.ancestor, side.build)
        for name, pusher in pushers.items():
            pusher.prepare()
            with builders.registry() as registry:
                costs[f"push {name}"] = measure(arguments.ancestor, lambda: pusher.push(registry))
                held = builders.held(registry, images)
            if held != len(images):
                raise SystemExit(f"bench: {name} pushed {held} of {len(images)} images")
        if arguments.side == "buildah":
            # It mounts its storage on itself, and leaves that.
            subprocess.run(["umount", pathlib.Path(work) / "images" / "overlay"], check=True)
    for words, cost in costs.items():
        say(f"{arguments.side}, {words}: {cost.wall:.2f} s ({cost.cpu:.2f} s of CPU time)")
    arguments.result.write_text(json.dumps({words: vars(cost) for words, cost in costs.items()}))


if __name__ == "__main__":
    main()
