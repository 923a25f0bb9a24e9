"""What the code imports is declared in pyproject.toml, and what is declared is used."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
SHIPPED = ("common", "models", "pipelines", "ray_apps", "trainers", "tuners")
CORE = ("common", "models", "pipelines", "ray_apps")  # `pip install ocray` runs them

# Imported, and required by a declared dependency whose interface they are part of.
COME_WITH = {
    "markupsafe": "jinja2",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
    "fastapi": "ray",
    "starlette": "ray",
    "uvicorn": "ray",
    "urllib3": "requests",
    "aiohttp": "ray",
}
# Declared, and needed though nothing imports them.
WITHOUT_IMPORT = {
    "s3fs": "fsspec opens s3:// with it",
    "python-multipart": "Starlette parses forms with it",
    "rapidocr": "its weights become bundles",
    "torchvision": "timm imports it",
    "scikit-learn": "Optuna's fANOVA",
    "onnxscript": "torch.onnx.export",
    "onnxruntime-gpu": "models.runtime imports it as onnxruntime",
}
# In core packages, but reached from training and export alone: networks, and what makes ONNX of them.
TRAIN_ONLY = {"torch", "timm", "onnx"}
# Used if the user has it.
OPTIONAL = {
    "onnxruntime": "reads on GPUs (the extra gpu brings another build of it), and checks exported networks",
    "pyiceberg": "the extra lake brings it, for --sink",
    "pillow-heif": "the extra heif brings it, for photos of phones",
}


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def declared(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {normalized(re.match(r"[\w.-]+", line)[0]) for line in lines}


@cache
def imports(packages):
    """Return the distributions that packages import, each with a file that does."""
    distributions = packages_distributions()
    found = {}
    for file in sorted(file for package in packages for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for module in modules:
                top = module.partition(".")[0]
                if top in sys.stdlib_module_names or top in SHIPPED:
                    continue
                name = {"google.protobuf": "protobuf"}.get(".".join(module.split(".")[:2]))
                name = name or next((d for d in distributions.get(top, []) if normalized(d) in declared("train")), None)
                name = name or distributions.get(top, [top])[0]
                found.setdefault(normalized(name), file.relative_to(ROOT))
    return found


@pytest.mark.parametrize(("packages", "extras"), [(CORE, ()), (SHIPPED, ("train",))])
def test_imports_are_declared(packages, extras):
    known = declared(*extras) | set(COME_WITH) | set(OPTIONAL) | (set() if extras else TRAIN_ONLY)
    unknown = {name: str(file) for name, file in imports(packages).items() if name not in known}
    assert not unknown


@pytest.mark.parametrize(("name", "parent"), COME_WITH.items())
def test_what_comes_with_another_package_does(name, parent):
    assert parent in declared()
    assert any(normalized(re.match(r"[\w.-]+", line)[0]) == name for line in requires(parent))


def test_declared_dependencies_are_used():
    unused = declared("train", "gpu") - set(imports(SHIPPED)) - set(WITHOUT_IMPORT)
    assert not unused
    assert set(WITHOUT_IMPORT) <= declared("train", "gpu")
