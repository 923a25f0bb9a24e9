"""A command line with a file name that is not UTF-8, which Ray would not start from."""

import subprocess
import sys


def test_the_entrypoint_is_text():
    script = """
from ray._private import utils
from ray_apps.cli.cluster import make_entrypoint_text
make_entrypoint_text()
print(utils.get_entrypoint_name().encode().decode().endswith(r"caf\\udce9.png"))
"""
    command = [sys.executable, "-c", script, b"caf\xe9.png"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"True"
