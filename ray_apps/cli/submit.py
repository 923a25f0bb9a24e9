"""Run a command on a cluster: ship the code, follow the log, return the command's exit code.

ocray submit ocr --input s3://bucket/scans --output s3://bucket/results
ocray submit --address http://127.0.0.1:8265 train deskew --run /shared/runs/deskew

The same command is one job: given again while the job runs, it follows that job.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from common.config import ConfigError, nearest
from common.errors import ExitCode
from ray_apps.cli import main
from ray_apps.submission.job import Follower, is_running, job_id, open_client, submit
from ray_apps.submission.payload import pack

SUBMITTED = ("ocr", "export-records", "train", "tune", "evaluate")
_DEFAULT_ADDRESS = "http://127.0.0.1:8265"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address",
        default=os.environ.get("RAY_API_SERVER_ADDRESS", _DEFAULT_ADDRESS),
        metavar="URL",
        help=f"the cluster's dashboard (default: $RAY_API_SERVER_ADDRESS, else {_DEFAULT_ADDRESS})",
    )
    parser.add_argument(
        "--installed", action="store_true", help="run the ocray that is installed on the cluster; ship no code"
    )
    parser.add_argument(
        "--wheel",
        type=Path,
        metavar="FILE",
        help="ship this wheel of ocray instead of the code here; pip installs it on each node, for the job alone",
    )
    parser.add_argument("--detach", action="store_true", help="do not wait for the job")
    parser.add_argument(
        "job", nargs=argparse.REMAINDER, metavar="COMMAND …", help=f"{', '.join(SUBMITTED)}, with arguments"
    )


def run(args: argparse.Namespace) -> int:
    if not args.job or args.job[0] not in SUBMITTED:
        given = args.job[0] if args.job else ""
        raise ConfigError(f"submit cannot run {given or 'nothing'}{nearest(given, SUBMITTED)}: {', '.join(SUBMITTED)}")
    if {"-h", "--help"} & set(args.job):
        return main.main(args.job)
    if args.wheel and (args.installed or args.wheel.suffix != ".whl" or not args.wheel.is_file()):
        raise ConfigError(
            f"--wheel {args.wheel} must be a file .whl, without --installed; `pip wheel . --no-deps` makes one"
        )
    client = open_client(args.address)
    name = job_id(args.job)
    if is_running(client, name):
        print(f"job {name} is running already", flush=True)
    else:
        with tempfile.TemporaryDirectory(prefix="ocray-submit-") as folder:
            own = pack(args.job, Path.cwd(), Path(folder), code=not (args.installed or args.wheel))
            if args.wheel:
                shutil.copy(args.wheel, folder)
            submit(client, args.job, Path(folder), args.wheel and args.wheel.name)
        print(f"job {name} submitted{', with ' + ', '.join(own) if own else ''}", flush=True)
    if args.detach:
        return ExitCode.OK
    follower = Follower(client, name)
    try:
        return follower.follow()
    except KeyboardInterrupt:
        print(f"stopping job {name}", flush=True)
        follower.stop()
        raise
