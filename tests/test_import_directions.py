"""Imports point one way, and reading needs no training stack."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGES = {"ray_apps", "tuners", "trainers", "pipelines", "models", "common"}
MAY_IMPORT = {
    "common": set(),
    "models": {"common"},
    "pipelines": {"models", "common"},
    "trainers": {"models", "common"},
    "tuners": {"trainers", "models", "common"},
    "ray_apps": {"tuners", "trainers", "pipelines", "models", "common"},
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


def needed_first(path: Path) -> set[str]:
    """Modules that must be imported before this one can be: not those for type checkers or imported in functions."""
    nodes, names = list(ast.parse(path.read_text("utf-8")).body), set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.If | ast.Try | ast.With) and "TYPE_CHECKING" not in ast.dump(node):
            nodes += [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]
    return names


def test_imports_go_in_no_circle():
    """Else whether a module can be imported depends on which one was imported before."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    waiting = {}
    for name, path in paths.items():
        found = {each for each in needed_first(path) if each in paths and each != name}
        # Packages begin before what is in them.
        found |= {".".join(each.split(".")[:n]) for each in found for n in range(1, each.count(".") + 1)}
        waiting[name] = {each for each in found if each in paths and not f"{name}.".startswith(f"{each}.")}
    while free := {name for name, needed in waiting.items() if not needed}:
        waiting = {name: needed - free for name, needed in waiting.items() if name not in free}
    while dead_ends := waiting.keys() - set().union(*waiting.values()):
        waiting = {name: needed - dead_ends for name, needed in waiting.items() if name not in dead_ends}
    assert not waiting, f"a circle among {', '.join(sorted(waiting))}"


TRAINERS = {  # folder of trainers: the others that it may import
    "core": {"data"},
    "data": set(),
    "render": {"data"},
    "pages": {"core", "data", "render"},
    "deskew": {"core", "data", "render", "pages"},
    "orientation": {"core", "data", "render", "pages"},
    "detection": {"core", "data", "render"},
    "recognition": {"core", "data", "render"},
    "meter": {"core", "data", "render", "detection", "recognition"},  # their metrics
    "meter_screen": {"core", "data", "meter", "detection"},  # starts from the weights of text detection
    "meter_digits": {"core", "data", "meter", "recognition"},  # starts from the weights of text recognition
}


@pytest.mark.parametrize("folder", sorted(path.name for path in (ROOT / "trainers").iterdir() if path.is_dir()))
def test_a_models_training_is_its_own(folder):
    if not (modules := sorted((ROOT / "trainers" / folder).rglob("*.py"))):
        return
    assert folder in TRAINERS, f"add trainers/{folder} to TRAINERS, with the folders that it may import"
    for path in modules:
        nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        names = [(node.module or "").split(".") for node in nodes]
        wrong = {name[1] for name in names if name[0] == "trainers" and len(name) > 1} - TRAINERS[folder] - {folder}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_torch_is_only_in_networks_and_trainers():
    for package in ("common", "models", "pipelines"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "network.py" and path.parent.name != "networks":
                wrong = imported_by(path) & {"torch", "torchvision", "timm"}
                assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("module", ["cli.ocr", "cli.status", "cli.serve", "cli.mine", "apps.documents", "apps.meters"])
def test_modules_that_read_load_no_torch(module):
    code = f"import sys, ray_apps.{module}, pipelines.stages.text; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_client_loads_nothing_that_reads():
    code = "import sys, ray_apps.client.client; sys.exit(bool({'ray', 'cv2', 'openvino'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
