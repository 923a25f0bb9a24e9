"""The doors: Ray jobs, Serve apps and the command line that people start. Thin; one file a door."""

import sys
from pathlib import Path

from ray_apps.packages import hidden_by, own_packages_first

# `ocray`, or `python -m ray_apps.DOOR`, which looks into the folder where it is started first. Who imports the client
# into a program of their own keeps their path.
_is_program = bool(sys.argv) and (sys.argv[0] == "-m" or Path(sys.argv[0]).name == "ocray")
if _is_program and hidden_by(sys.path) is not None:
    own_packages_first()
