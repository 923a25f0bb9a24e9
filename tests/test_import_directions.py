"""Imports point one way, and reading needs no training stack."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = {"ray_apps", "tuners", "trainers", "pipelines", "models"}
MAY_IMPORT = {
    "models": set(),
    "pipelines": {"models"},
    "trainers": {"models"},
    "tuners": {"trainers", "models"},
    "ray_apps": {"tuners", "trainers", "pipelines", "models"},
}


def imported_by(path: Path) -> set[str]:
    """Top-level names of everything a file imports, at any depth of nesting."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_point_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        wrong = imported_by(path) & PACKAGES - MAY_IMPORT[package] - {package}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_torch_is_only_in_networks_and_trainers():
    for package in ("models", "pipelines"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "network.py" and path.parent.name != "networks":
                wrong = imported_by(path) & {"torch", "torchvision", "timm"}
                assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("door", ["bulk_ocr", "serve", "documents_app"])
def test_doors_that_read_load_no_torch(door):
    code = f"import sys, ray_apps.{door}, pipelines.stages.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_client_loads_nothing_that_reads():
    code = "import sys, ray_apps.client; sys.exit(bool({'ray', 'cv2', 'openvino'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
