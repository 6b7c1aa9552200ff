#!/usr/bin/env python3
"""Writes a fleet of any size, in the shape of fleet.json, as definitions that kolla reads.

    bench/tree.py [--images N] DIR

The layouts, the components, kolla.toml, the service `base` and the crate of the program in it are the
repository's own. Every other
image is a folder with a Dockerfile.tera that extends a layout, and one file of its context. A fleet
larger than fleet.json is fleet.json again and again below the same two roots, `base` and
`openstack-base`, so the depth stays and the width grows, as it does when services are added.
"""

import argparse
import json
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent
ROOTS = ("base", "openstack-base")

FIRST_OF_SERVICE = """\
{% extends "layouts/service.tera" %}
{% block from %}FROM {{ image(name="@PARENT@") }}{% endblock from %}
{% block files %}COPY @IMAGE@.conf /etc/@SERVICE@/{% endblock files %}
{% block command %}CMD ["@IMAGE@"]{% endblock command %}
"""

OTHER = """\
{% extends "layouts/image.tera" %}
{% block from %}FROM {{ image(name="@PARENT@") }}{% endblock from %}
{% block files %}COPY @IMAGE@.conf /etc/@SERVICE@/{% endblock files %}
{% block expose %}EXPOSE 8080{% endblock expose %}
{% block healthcheck %}{{<healthcheck check={["kolla-healthcheck", "http", "8080", "/"]} />}}{% endblock healthcheck %}
{% block command %}CMD ["@IMAGE@", "--config-file", "/etc/@SERVICE@/@IMAGE@.conf"]{% endblock command %}
"""


def shape():
    """fleet.json: image -> parent, None for the one root."""
    return json.loads((HERE / "fleet.json").read_text())


def grow(fleet, images):
    """The first `images` images of copies of `fleet`, parents before children."""
    grown = {root: fleet[root] for root in ROOTS}
    copy = 0
    while len(grown) < images:
        suffix = f"-{copy}" if copy else ""

        def name(image):
            return image if image in ROOTS else image + suffix

        def add(image):
            if name(image) not in grown:
                add(fleet[image])
                if len(grown) < images:
                    grown[name(image)] = name(fleet[image])

        for image in fleet:
            add(image)
        copy += 1
    return grown


def services(fleet):
    """service -> its images. A service is what shares an ancestor directly below the two roots."""

    def first(image):
        while fleet[image] not in ROOTS:
            image = fleet[image]
        return image

    grouped = {}
    for image in fleet:
        if image not in ROOTS:
            service = first(image).replace("-base", "")
            grouped.setdefault(service, []).append(image)
    return grouped


def write(root, images=None):
    """Writes the tree below `root`, which is emptied first; gives the number of its images."""
    fleet = shape()
    fleet = grow(fleet, images or len(fleet))
    root = pathlib.Path(root)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    shutil.copytree(REPOSITORY / "templates", root / "templates")
    shutil.copytree(REPOSITORY / "services" / "base", root / "services" / "base")
    shutil.copytree(REPOSITORY / "start", root / "start")
    for name in ("kolla.toml", "Cargo.toml", "Cargo.lock"):
        shutil.copy(REPOSITORY / name, root / name)
    for number, (service, members) in enumerate(sorted(services(fleet).items())):
        folder = root / "services" / service
        folder.mkdir()
        definition = [
            f'description = "The service {service}"\n',
            f'[user]\nname = "{service[:32]}"\nuid = {43000 + number}\n',
        ]
        for image in members:
            definition.append(
                f'[images.{image}]\ndescription = "The image {image}"\n'
                f'packages = ["{image}", "python3-{service}", "{service}-common"]\n'
                f'smoke = ["{image}", "--version"]\n'
            )
            template = FIRST_OF_SERVICE if fleet[image] in ROOTS else OTHER
            for word, value in (
                ("@PARENT@", fleet[image]),
                ("@IMAGE@", image),
                ("@SERVICE@", service),
            ):
                template = template.replace(word, value)
            (folder / image).mkdir()
            (folder / image / "Dockerfile.tera").write_text(template)
            (folder / image / f"{image}.conf").write_text(f"[DEFAULT]\nservice = {image}\n")
        (folder / "service.toml").write_text("\n".join(definition))
    return len(fleet)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, help="how many images [default: those of fleet.json]")
    parser.add_argument("dir", metavar="DIR")
    arguments = parser.parse_args()
    print(write(arguments.dir, arguments.images), "images in", arguments.dir)


if __name__ == "__main__":
    main()
