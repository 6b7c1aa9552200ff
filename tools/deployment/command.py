"""What the commands have in common: their options, where they work, and how they fail."""

import argparse
import pathlib
import shutil
import sys
import threading
import time

from . import cluster, manifests, podman
from .errors import Failure


def run(description, work, options=None):
    """Runs a command: `work` gets the place, the objects and the options."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--on",
        choices=("auto", "cluster", "podman"),
        default="auto",
        help="the cluster of kubectl's current context, or this machine with Podman; auto takes the "
        "cluster if there is one",
    )
    parser.add_argument(
        "-k",
        dest="folder",
        metavar="FOLDER",
        type=pathlib.Path,
        default=manifests.ALL,
        help="a folder with a kustomization, such as an overlay [default: k8s/all]",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAMESPACE",
        help="the images of this namespace, [REGISTRY/]NAMESPACE [default: kollaglue]",
    )
    parser.add_argument("--tag", metavar="TAG", help="the images of this tag [default: latest]")
    if options:
        options(parser)
    arguments = parser.parse_args()
    try:
        place = place_of(arguments.on)
        objects = manifests.compose(arguments.folder, arguments.namespace, arguments.tag)
        return work(place, objects, arguments) or 0
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        if failure.hint:
            print(failure.hint, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def place_of(choice):
    if choice in ("auto", "cluster") and shutil.which("kubectl"):
        done = cluster.kubectl("get", "--raw", "/readyz", "--request-timeout", "5s", check=False)
        if done.returncode == 0:
            return cluster
        if choice == "cluster":
            raise Failure("the cluster does not answer", done.stderr.strip())
    if choice == "cluster":
        raise Failure("there is no kubectl", "Debian's package is `kubernetes-client`")
    if shutil.which("podman"):
        return podman
    raise Failure(
        "there is no cluster, and no Podman",
        "choose one with `kubectl config use-context`, or install `podman`",
    )


class Progress:
    """A line for each thing that is done, with the seconds it took."""

    def __init__(self):
        self.began = {}
        self.lock = threading.Lock()

    def begins(self, name):
        with self.lock:
            self.began[name] = time.monotonic()
            print(f"{name}: starting", flush=True)

    def ends(self, name, how):
        with self.lock:
            since = self.began.get(name)
            took = f" after {time.monotonic() - since:.0f} s" if since else ""
            print(f"{name}: {how}{took}", flush=True)
