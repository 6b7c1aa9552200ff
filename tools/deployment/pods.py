"""Kubernetes' objects as `podman kube play` takes them.

Podman knows pods, not who starts them anew, and finds a pod by its name where Kubernetes finds a
service by its own. So each workload becomes one pod of its name, which is its service's too. What
Podman would do with a probe needs systemd, so they are left out, and asked by `podman.py` instead.
"""

import copy

from .manifests import pod_template

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def pod_of(workload):
    """The pod of a workload, and the claims that come with it."""
    name = workload["metadata"]["name"]
    template = copy.deepcopy(pod_template(workload))
    spec = template["spec"]
    spec.setdefault("restartPolicy", "Always")
    volumes = spec.setdefault("volumes", [])
    claims = []
    for claim in workload["spec"].get("volumeClaimTemplates", []):
        claim = copy.deepcopy(claim)
        volume = claim["metadata"]["name"]
        claim["metadata"]["name"] = f"{volume}-{name}-0"
        claims.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
        reference = {"claimName": claim["metadata"]["name"]}
        volumes.append({"name": volume, "persistentVolumeClaim": reference})
    # Podman names the volume of an emptyDir after it, whichever pod it is in.
    for volume in volumes:
        volume["name"] = f"{name}-{volume['name']}"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.pop("resources", None)
        for probe in PROBES:
            container.pop(probe, None)
        for mount in container.get("volumeMounts", []):
            mount["name"] = f"{name}-{mount['name']}"
    metadata = {"name": name, "labels": template["metadata"].get("labels", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, claims


def configuration(objects, pod):
    """The ConfigMaps that a pod names: Podman wants them beside it."""
    names = {
        volume["configMap"]["name"] for volume in pod["spec"]["volumes"] if "configMap" in volume
    }
    return [o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"] in names]


def probe_of(workload, container):
    """The command that tells whether a container of a workload does its work; none if nothing does."""
    for c in pod_template(workload)["spec"]["containers"]:
        if c["name"] == container:
            for probe in PROBES:
                if probe in c:
                    return c[probe]["exec"]["command"]
    return None
