"""Those who build a fleet of small images and push it, each in its own way, behind the same few words.

`build` and `push` do what is measured and give its cost; `prepare` what is not: a loop needs the
Dockerfiles and the references, which kolla has by itself.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from measure import Cost, run

TAG = "bench"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class Kolla:
    """kolla, with whichever engine."""

    def __init__(self, program, root, cache, engine):
        self.command = [program, "-C", root, "--tag", TAG, "--cache-dir", cache, *engine]

    def prepare(self):
        """Nothing."""

    def build(self):
        return run([*self.command, "build"], own=True)

    def push(self, registry):
        return run([*self.command, "push", "--registry", registry], own=True)


class Loop:
    """What a person would write: a command for each image, parents first."""

    def __init__(self, program, root, work, build, push, environment):
        self.program, self.root, self.work = program, root, work
        self.one_build, self.one_push, self.environment = build, push, environment
        self.images = []

    def prepare(self):
        """Writes the Dockerfiles and contexts that kolla sends, and learns what it calls them."""
        kolla = [self.program, "-C", self.root, "--tag", TAG, "--cache-dir", self.work / "plan"]
        rendered = self.work / "rendered"
        shutil.rmtree(rendered, ignore_errors=True)
        subprocess.run([*kolla, "render", "--quiet", "--output", rendered], check=True)
        engine = ["--engine", "native", "--store", self.work / "plan" / "store"]
        plan = subprocess.run([*kolla, *engine, "plan", "--format", "json"], check=True, capture_output=True)
        self.images = [
            (image["image"], image["engine_reference"], rendered / image["image"])
            for image in json.loads(plan.stdout)["images"]
        ]

    def each(self, one):
        """The sum of what a command costs that is run for each image."""
        begin = time.perf_counter()
        costs = [run(one(*image), env=self.environment) for image in self.images]
        wall = time.perf_counter() - begin
        return Cost(wall, sum(cost.cpu for cost in costs), max(cost.memory for cost in costs))

    def build(self):
        return self.each(lambda image, reference, folder: [*self.one_build, "--tag", reference, folder])

    def push(self, registry):
        return self.each(
            lambda image, reference, folder: self.one_push(reference, f"{registry}/kollaglue/{image}:{TAG}")
        )


class DockerLoop(Loop):
    """`docker build` and `docker push`."""

    def __init__(self, program, root, work, docker, environment):
        self.docker = docker
        push = lambda reference, there: [docker, "push", there]
        super().__init__(program, root, work, [docker, "build"], push, environment)

    def push(self, registry):
        # Names cost a person nothing: they could be given when building.
        for image, reference, _ in self.images:
            there = f"{registry}/kollaglue/{image}:{TAG}"
            subprocess.run([self.docker, "tag", reference, there], env=self.environment, check=True)
        return super().push(registry)


def buildah(program, root, work):
    """`buildah build` and `buildah push`, and the same with `skopeo copy` to push."""
    settings = work / "storage.conf"
    settings.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{work}/images"\nrunroot = "{work}/run"\n'
    )
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings), "TMPDIR": str(work)}
    # Without a run time of its own, which is what it does fastest.
    build = ["buildah", "build", "--layers", "--isolation", "chroot"]

    def push(reference, there):
        return ["buildah", "push", "--tls-verify=false", reference, f"docker://{there}"]

    def copy(reference, there):
        source = f"containers-storage:{reference}"
        return ["skopeo", "copy", "--dest-tls-verify=false", source, f"docker://{there}"]

    return (
        Loop(program, root, work, build, push, environment),
        Loop(program, root, work, build, copy, environment),
    )


@contextlib.contextmanager
def registry():
    """The address of a registry that holds nothing, and goes away with all that it was given."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        settings = pathlib.Path(folder) / "registry.yml"
        settings.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: {address}}}\n"
        )
        server = subprocess.Popen(
            ["docker-registry", "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(address)
            yield address
        finally:
            server.terminate()
            server.wait()


def wait_for(address):
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("bench: the registry does not answer")


def held(address, images):
    """How many of the images a registry has under the tag."""
    count = 0
    for image in images:
        with contextlib.suppress(urllib.error.HTTPError):
            request = urllib.request.Request(
                f"http://{address}/v2/kollaglue/{image}/manifests/{TAG}",
                headers={"Accept": ", ".join(MANIFESTS)},
            )
            with urllib.request.urlopen(request, timeout=10) as answer:
                count += bool(json.load(answer)["layers"])
    return count
