"""Other people's programs, run to their end."""

import subprocess

from .errors import Failure


def call(tool, *arguments, check=True, text=None):
    """Runs a tool with `text` on its standard input. One that fails is a Failure with its own words,
    unless `check` is false."""
    done = subprocess.run(
        [tool, *arguments], input=text, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise Failure(f"{tool} {arguments[0]} failed", done.stderr.strip())
    return done
