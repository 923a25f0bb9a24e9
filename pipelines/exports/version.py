"""The version that exports name as their software."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("ocray")
except PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "unreleased"
