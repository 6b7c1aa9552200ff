#!/usr/bin/env python3
"""Two revisions of 188 images: how long it takes to tell which of them a change affects."""

import subprocess

import tree
from measure import say, side_by_side
from report import TARGET, Figures

KOLLA = TARGET / "release" / "kolla"
FLEETS = {
    "nothing changed": TARGET / "bench" / "fleet-188-same",
    "a layout changed": TARGET / "bench" / "fleet-188-changed",
}
ROUNDS = 15


def commit(folder):
    """Makes a folder a repository with everything in it committed."""
    git = ["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (
        ["init", "--quiet"],
        ["add", "--all"],
        ["-c", "commit.gpgSign=false", "commit", "--quiet", "--message", "all"],
    ):
        subprocess.run([*git, *arguments], check=True)


def main():
    for folder in FLEETS.values():
        images = tree.write(folder)
        commit(folder)
    layout = FLEETS["a layout changed"] / "templates" / "layouts" / "image.tera"
    place = "{% block expose %}"
    layout.write_text(layout.read_text().replace(place, f"LABEL changed=yes\n{place}"))
    commands = {name: [KOLLA, "-C", folder, "affected", "--since", "HEAD"] for name, folder in FLEETS.items()}
    say(f"comparing {images} images with a commit, {ROUNDS} rounds")
    costs = side_by_side(commands, ROUNDS)
    figures = Figures("affected")
    for name, cost in costs.items():
        figures.add(f"kolla affected, {images} images, {name}, wall time", cost.wall * 1e3, "ms", at_most=300)
        figures.add(f"kolla affected, {images} images, {name}, CPU time", cost.cpu * 1e3, "ms")
    figures.save()


if __name__ == "__main__":
    main()
