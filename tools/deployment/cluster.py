"""A deployment on the cluster of kubectl's current context."""

import functools
import json
import time

import yaml

from .errors import Failure
from .manifests import workloads
from .tool import call

GLANCE = 2


kubectl = functools.partial(call, "kubectl")


def namespace_of(objects):
    return next(o["metadata"]["name"] for o in objects if o["kind"] == "Namespace")


def start(objects, progress, patience):
    """Applies everything, and waits for each workload."""
    namespace = namespace_of(objects)
    jobs = [w["metadata"]["name"] for w in workloads(objects) if w["kind"] == "Job"]
    # What a job does cannot be changed, and all of them may run again.
    kubectl("delete", "job", "--namespace", namespace, "--ignore-not-found", *jobs, check=False)
    kubectl("apply", "--server-side", "--filename", "-", text=yaml.safe_dump_all(objects))
    for workload in workloads(objects):
        progress.begins(workload["metadata"]["name"])
    deadline = time.monotonic() + patience
    waiting = workloads(objects)
    while waiting:
        left = []
        for workload in waiting:
            if ready(workload, namespace):
                progress.ends(workload["metadata"]["name"], "done" if workload["kind"] == "Job" else "ready")
            else:
                left.append(workload)
        waiting = left
        if waiting and time.monotonic() > deadline:
            name = waiting[0]["metadata"]["name"]
            raise Failure(f"{name} is not ready", words_of(name, namespace))
        time.sleep(GLANCE if waiting else 0)


def ready(workload, namespace):
    kind, name = workload["kind"].lower(), workload["metadata"]["name"]
    found = kubectl("get", kind, name, "--namespace", namespace, "--output", "json", check=False)
    if found.returncode:
        return False
    found = json.loads(found.stdout)
    state = found.get("status", {})
    if workload["kind"] == "Job":
        return state.get("succeeded", 0) > 0
    if state.get("observedGeneration") != found["metadata"]["generation"]:
        return False
    if workload["kind"] == "DaemonSet":
        return 0 < state.get("desiredNumberScheduled", 0) == state.get("numberReady", 0)
    return state.get("readyReplicas", 0) == found["spec"]["replicas"] == state.get("updatedReplicas", 0)


def words_of(name, namespace):
    selector = f"app.kubernetes.io/name={name}"
    where = ["--namespace", namespace, "--selector", selector]
    pods = kubectl("get", "pods", *where, check=False).stdout
    logs = kubectl("logs", *where, "--all-containers", "--tail", "30", "--prefix", check=False)
    return f"{pods}{logs.stdout}{logs.stderr}".strip()


def status(objects):
    """A row for each workload: its name, what it is, and whether it does its work."""
    namespace = namespace_of(objects)
    return [
        (
            workload["metadata"]["name"],
            workload["kind"],
            "ready" if ready(workload, namespace) else "not ready",
            workload["spec"]["template"]["spec"]["containers"][0]["image"],
        )
        for workload in workloads(objects)
    ]


def stop(objects, data, progress):
    """Removes the workloads; with `data` the namespace, and all that is in it."""
    namespace = namespace_of(objects)
    if data:
        kubectl("delete", "namespace", namespace, "--ignore-not-found")
        progress.ends(namespace, "removed")
        return
    for workload in reversed(workloads(objects)):
        kind, name = workload["kind"].lower(), workload["metadata"]["name"]
        kubectl("delete", kind, name, "--namespace", namespace, "--ignore-not-found")
        progress.ends(name, "removed")
