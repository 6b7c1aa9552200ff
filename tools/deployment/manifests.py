"""The objects of k8s/, composed by kustomize."""

import pathlib
import shutil
import tempfile

import yaml

from .errors import Failure
from .tool import call

K8S = pathlib.Path(__file__).resolve().parents[2] / "k8s"
ALL = K8S / "all"
WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet", "Job")


def compose(folder, namespace=None, tag=None):
    """The objects of a folder with a kustomization, with images of another namespace or tag if told."""
    folder = pathlib.Path(folder).resolve()
    if not (K8S / "secrets" / "clouds.yaml").exists():
        raise Failure("there are no passwords yet", "make them: tools/genpwd")
    if namespace is None and tag is None:
        return kustomize(folder)
    images = sorted({image_name(image) for image in images_of(kustomize(folder))})
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".kolla-") as overlay:
        entries = []
        for image in images:
            entry = {"name": image}
            if namespace is not None:
                entry["newName"] = f"{namespace}/{image.rsplit('/', 1)[-1]}"
            if tag is not None:
                entry["newTag"] = tag
            entries.append(entry)
        kustomization = {"resources": [f"../{folder.name}"], "images": entries}
        (pathlib.Path(overlay) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return kustomize(pathlib.Path(overlay))


def kustomize(folder):
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            break
    else:
        raise Failure(
            "neither kustomize nor kubectl is here",
            "Debian's packages are `kustomize` and `kubernetes-client`, from release 13 on",
        )
    done = call(*command, str(folder))
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pod_template(workload):
    return workload["spec"]["template"]


def containers(workload):
    spec = pod_template(workload)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def workloads(objects):
    return [o for o in objects if o["kind"] in WORKLOADS]


def images_of(objects):
    return [c["image"] for workload in workloads(objects) for c in containers(workload)]


def image_name(image):
    """An image without its tag: a colon before the last slash is a port's."""
    path, slash, last = image.rpartition("/")
    return path + slash + last.partition(":")[0]
