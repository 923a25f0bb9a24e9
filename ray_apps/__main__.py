"""`python -m ray_apps COMMAND` is `ocray COMMAND`, also where ocray is not installed: in the folder of a checkout."""

import sys

from ray_apps.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
