"""A deployment on this machine, by `podman kube play`."""

import concurrent.futures
import functools
import json
import pathlib
import shutil
import tempfile
import time

import yaml

from .errors import Failure
from .manifests import pod_template, workloads
from .pods import configuration, pod_of, probe_of
from .tool import call

NETWORK = "kolla"
LABEL = "app.kubernetes.io/part-of=kolla"
# What others need to begin with; then Keystone, which everything else asks; then what makes the
# schemas and enters the services; then the services.
WAVES = (("mariadb", "rabbitmq", "memcached"), ("keystone-bootstrap",), ("keystone",))
AT_ONCE = 4
# Seconds between two looks at something that is not ready.
GLANCE = 1


podman = functools.partial(call, "podman")


def inspect(kind, name):
    """What Podman says of a thing, and nothing where there is none."""
    done = podman(kind, "inspect", name, check=False)
    if done.returncode:
        return None
    found = json.loads(done.stdout)
    return found[0] if isinstance(found, list) else found


def start(objects, progress, patience):
    """Starts what does not run, and waits until all of it does its work."""
    if podman("network", "exists", NETWORK, check=False).returncode:
        podman("network", "create", "--label", LABEL, NETWORK)
    for secret in objects:
        if secret["kind"] == "Secret":
            keep(secret)
    play([o for o in objects if o["kind"] == "PersistentVolumeClaim"])
    for wave in waves(workloads(objects)):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            pods = [pool.submit(bring_up, w, objects, progress, patience) for w in wave]
            try:
                for pod in concurrent.futures.as_completed(pods):
                    pod.result()
            except BaseException:
                for pod in pods:
                    pod.cancel()
                raise


def waves(all_workloads):
    def number(workload):
        for index, names in enumerate(WAVES):
            if workload["metadata"]["name"] in names:
                return index
        return len(WAVES) + (workload["kind"] != "Job")

    for wave in range(len(WAVES) + 2):
        if found := [w for w in all_workloads if number(w) == wave]:
            yield found


def keep(secret):
    """Podman's own secrets are what a pod's volume is made of."""
    document = yaml.safe_dump({k: secret[k] for k in ("apiVersion", "kind", "metadata", "data")})
    name = secret["metadata"]["name"]
    found = podman("secret", "inspect", "--showsecret", name, check=False)
    if found.returncode == 0:
        if json.loads(found.stdout)[0]["SecretData"] == document:
            return
        podman("secret", "rm", name)
    podman("secret", "create", "--label", LABEL, name, "-", text=document)


def play(documents):
    if not documents:
        return
    with tempfile.TemporaryDirectory(prefix="kolla-") as folder:
        path = pathlib.Path(folder) / "play.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        podman("kube", "play", "--quiet", "--network", NETWORK, str(path))


def bring_up(workload, objects, progress, patience):
    name = workload["metadata"]["name"]
    pod, claims = pod_of(workload)
    is_job = workload["kind"] == "Job"
    found = inspect("pod", name)
    if found and (is_job or found["State"] != "Running"):
        podman("pod", "rm", "--force", "--time", "10", name)
        found = None
    if not found:
        progress.begins(name)
        try:
            play([*claims, *configuration(objects, pod), pod])
        except Failure as failure:
            raise Failure(f"{name} could not be started", f"{failure.hint}\n{words_of(name)}") from None
    deadline = time.monotonic() + patience
    for container in pod["spec"]["containers"]:
        wait_for(name, container["name"], workload, is_job, deadline)
    progress.ends(name, "done" if is_job else "ready")


def wait_for(pod, container, workload, is_job, deadline):
    name = f"{pod}-{container}"
    while True:
        known = inspect("container", name) or {}
        state = known.get("State", {"Status": "missing"})
        if is_job and state["Status"] == "exited" and state["ExitCode"] == 0:
            return
        if not is_job and state["Status"] == "running" and answers(workload, container, name):
            return
        if time.monotonic() > deadline:
            said = f"container {container} is {state['Status']}"
            if anew := known.get("RestartCount"):
                said += f", started anew {anew} times"
            raise Failure(f"{pod} is not ready: {said}", words_of(pod))
        time.sleep(GLANCE)


def answers(workload, container, name):
    probe = probe_of(workload, container)
    return probe is None or podman("exec", name, *probe, check=False).returncode == 0


def words_of(pod, lines=30):
    """The last lines that the containers of a pod wrote, the last containers last."""
    told = []
    for container in (inspect("pod", pod) or {}).get("Containers", []):
        done = podman("logs", "--tail", str(lines), container["Id"], check=False)
        if words := (done.stdout + done.stderr).strip():
            told.append(f"--- {container['Name']}\n{words}")
    return "\n".join(told)


def status(objects):
    """A row for each workload: its name, what it is, and whether it does its work."""
    rows = []
    for workload in workloads(objects):
        name = workload["metadata"]["name"]
        found = inspect("pod", name)
        if not found:
            rows.append((name, workload["kind"], "missing", ""))
            continue
        for container in pod_template(workload)["spec"]["containers"]:
            known = inspect("container", f"{name}-{container['name']}")
            state = known["State"]["Status"] if known else "missing"
            if workload["kind"] == "Job":
                good = state == "exited" and known["State"]["ExitCode"] == 0
                state = "done" if good else state
            elif state == "running":
                well = answers(workload, container["name"], f"{name}-{container['name']}")
                state = "ready" if well else "not ready"
            image = known["ImageName"] if known else container["image"]
            rows.append((f"{name}/{container['name']}", workload["kind"], state, image))
    return rows


def stop(objects, data, progress):
    """Removes the pods, what they needed last first; with `data`, their volumes and secrets too."""
    for wave in reversed(list(waves(workloads(objects)))):
        names = [w["metadata"]["name"] for w in wave if inspect("pod", w["metadata"]["name"])]
        if names:
            podman("pod", "rm", "--force", "--time", "30", *names)
        for name in names:
            progress.ends(name, "removed")
    for secret in objects:
        if secret["kind"] == "Secret":
            podman("secret", "rm", secret["metadata"]["name"], check=False)
    if gone := volumes(objects, data):
        podman("volume", "rm", *gone)
    if data:
        for folder in host_folders(objects):
            shutil.rmtree(folder, ignore_errors=True)
    podman("network", "rm", NETWORK, check=False)


def host_folders(objects):
    """What the pods keep on the machine itself: Kolla's own folders, and no others."""
    for workload in workloads(objects):
        for volume in pod_template(workload)["spec"].get("volumes", []):
            path = volume.get("hostPath", {}).get("path", "")
            if path.startswith("/var/lib/kolla/") and ".." not in path:
                yield path


def volumes(objects, data):
    """The names of what the pods mount: what can be made again, and with `data` what cannot."""
    names = [o["metadata"]["name"] for o in objects if o["kind"] in ("ConfigMap", "Secret")]
    for workload in workloads(objects):
        pod, claims = pod_of(workload)
        names += [v["name"] for v in pod["spec"]["volumes"] if "emptyDir" in v]
        names += [c["metadata"]["name"] for c in claims if data]
    names += [o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim" and data]
    there = set(podman("volume", "ls", "--format", "{{.Name}}").stdout.split())
    return [name for name in dict.fromkeys(names) if name in there]
