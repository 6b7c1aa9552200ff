#!/usr/bin/env python3
"""Writes a fleet in the shape of fleet.json whose images take no time of their own to build.

    bench/small.py [--images N] DIR

Plain Dockerfiles: a static busybox at the bottom, and in each image a few settings, one small file, and
two commands that write a few kilobytes. What a build of it costs is what the builder costs.
"""

import argparse
import pathlib
import shutil

import tree

BASE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
"""

EVERY = """\
ENV KOLLA_IMAGE={image}
LABEL org.opencontainers.image.title={image}
COPY {image}.conf /etc/{service}/{image}.conf
RUN mkdir -p /var/lib/{image} && seq 1 1000 >/var/lib/{image}/numbers
RUN sed s/service/image/ /etc/{service}/{image}.conf >/etc/{service}/{image}.ini && chmod 640 /etc/{service}/{image}.ini
"""


def fleet(images=None):
    """image -> parent, parents first; `images` of them, each with its parents."""
    shape = tree.shape()
    return tree.grow(shape, images or len(shape))


def folders(of):
    """image -> its folder in the tree."""
    services = {root: root for root in tree.ROOTS if root in of}
    services |= {image: service for service, members in tree.services(of).items() for image in members}
    return {image: pathlib.Path(services[image]) / image for image in of}


def change(root, folder):
    """Changes the one file that an image copies."""
    with (pathlib.Path(root) / folder / f"{folder.name}.conf").open("a") as file:
        file.write("changed = true\n")


def write(root, images=None):
    """Writes the tree below `root`, which is emptied first; gives image -> parent, parents first."""
    busybox = shutil.which("busybox")
    root = pathlib.Path(root)
    shutil.rmtree(root, ignore_errors=True)
    of = fleet(images)
    for image, folder in folders(of).items():
        (root / folder).mkdir(parents=True)
        parent = of[image]
        first = f"FROM {parent}\n" if parent else BASE
        words = {"image": image, "service": folder.parent.name}
        (root / folder / "Dockerfile").write_text(first + EVERY.format(**words))
        (root / folder / f"{image}.conf").write_text(f"[DEFAULT]\nservice = {image}\n")
        if not parent:
            shutil.copy(busybox, root / folder / "busybox")
    return of


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, help="how many images [default: those of fleet.json]")
    parser.add_argument("dir", metavar="DIR")
    arguments = parser.parse_args()
    print(len(write(arguments.dir, arguments.images)), "images in", arguments.dir)


if __name__ == "__main__":
    main()
