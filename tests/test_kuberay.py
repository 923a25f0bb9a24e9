"""The manifests for Kubernetes: valid for KubeRay, and in agreement with the rest of the project."""

import gzip
import shutil
import subprocess
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from common.project import VERSION, config_folder
from ray_apps.packages import PACKAGES
from ray_apps.serving.deploy import load

ROOT = Path(__file__).parent.parent
KUBERAY = ROOT / "deploy" / "kuberay"
CRDS = ROOT.parent / "shared" / "kuberay-crds"  # KubeRay's schemas: not ours, so not in the repository
CLUSTERS = {
    "RayCluster": ("spec",),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayCronJob": ("spec", "jobTemplate", "rayClusterSpec"),
    "RayService": ("spec", "rayClusterConfig"),
}


@cache
def documents(folder: str) -> list[dict]:
    """Return a Kustomize folder's objects. Without kubectl those of the base are read from their files."""
    if shutil.which("kubectl"):
        built = subprocess.run(["kubectl", "kustomize", KUBERAY / folder], capture_output=True, text=True, check=True)
        return list(yaml.safe_load_all(built.stdout))
    if folder != "base":
        pytest.skip("kubectl builds overlays, and is not installed")
    files = yaml.safe_load((KUBERAY / "base" / "kustomization.yaml").read_text())["resources"]
    return [yaml.safe_load((KUBERAY / "base" / file).read_text()) for file in files]


def clusters(folder: str) -> dict[str, dict]:
    """Return the RayCluster spec in each of KubeRay's objects, by kind."""
    found = {}
    for document in documents(folder):
        if document["kind"] in CLUSTERS:
            spec = document
            for key in CLUSTERS[document["kind"]]:
                spec = spec[key]
            found[document["kind"]] = spec
    return found


def pods(cluster: dict) -> list[tuple[dict, dict]]:
    """Return (group, pod spec) of the head and of each worker group."""
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [(group, group["template"]["spec"]) for group in groups]


def closed(schema: dict) -> dict:
    """Return a schema in which an unknown key is an error: Kubernetes would drop it in silence."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


@pytest.mark.parametrize("folder", ["base", "overlays/spot", "overlays/small"])
@pytest.mark.parametrize("kind", CLUSTERS)
def test_objects_are_valid(folder, kind):
    file = CRDS / f"ray.io_{kind.lower()}s.yaml.gz"
    if not file.exists():
        pytest.skip(f"no schemas at {CRDS}")
    versions = yaml.safe_load(gzip.decompress(file.read_bytes()))["spec"]["versions"]
    schema = closed(next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1"))
    schema["properties"]["metadata"] = {"type": "object"}
    (document,) = [document for document in documents(folder) if document["kind"] == kind]
    errors = [
        f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(document)
    ]
    assert not errors


@pytest.mark.parametrize("folder", ["base", "overlays/spot", "overlays/small"])
@pytest.mark.parametrize("kind", CLUSTERS)
def test_ray_counts_what_the_pods_have(folder, kind):
    cluster = clusters(folder)[kind]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group, pod in pods(cluster)[1:]:
        (container,) = pod["containers"]
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert group["rayStartParams"]["num-cpus"] == requests["cpu"] == limits["cpu"]
        assert requests["memory"] == limits["memory"]
        assert group["rayStartParams"].get("num-gpus") == requests.get("nvidia.com/gpu")
        assert ("cuda" in container["image"]) == ("nvidia.com/gpu" in requests)
        assert pod["terminationGracePeriodSeconds"] >= 120


@pytest.mark.parametrize("kind", CLUSTERS)
def test_clusters_are_closed(kind):
    cluster = clusters("base")[kind]
    assert cluster["authOptions"] == {"mode": "token"} and cluster["autoscalerOptions"]["version"] == "v2"
    for _, pod in pods(cluster):
        assert pod["securityContext"]["runAsNonRoot"] and pod["serviceAccountName"] == "ocray"
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    labels = [group["template"]["metadata"]["labels"] for group, _ in pods(cluster)]
    assert {label["app.kubernetes.io/part-of"] for label in labels} == {"ocray"}  # whom the NetworkPolicy covers


def test_versions_are_those_of_the_project():
    constraints = (ROOT / "constraints.txt").read_text()
    for cluster in clusters("base").values():
        assert f"\nray=={cluster['rayVersion']}\n" in constraints
        for _, pod in pods(cluster):
            assert pod["containers"][0]["image"].partition(":")[2].removesuffix("-cuda") == VERSION
    assert f'default = "{VERSION}"' in (ROOT / "deploy" / "docker-bake.hcl").read_text()


def test_spot_nodes_read_and_on_demand_nodes_drive():
    for kind, cluster in clusters("overlays/spot").items():
        (_, head), (_, worker), *_ = pods(cluster)
        assert head["nodeSelector"] == {"karpenter.sh/capacity-type": "on-demand"}
        reads = "on-demand" if kind == "RayService" else "spot"
        assert worker["nodeSelector"] == {"karpenter.sh/capacity-type": reads}
        assert cluster["workerGroupSpecs"][0]["labels"]["ray.io/market-type"] == reads


def test_the_served_app_is_the_packaged_one(tmp_path):
    (service,) = [document for document in documents("base") if document["kind"] == "RayService"]
    (tmp_path / "app.yaml").write_text(service["spec"]["serveConfigV2"])
    there = load(tmp_path / "app.yaml")
    here = load(config_folder("serve") / "documents.yaml")
    here["http_options"]["host"] = "0.0.0.0"
    here["applications"][0]["args"]["require_api_key"] = True
    here["applications"][0]["args"]["jobs"]["store"] = "s3://BUCKET/jobs"
    assert there == here
    names = {variable["name"] for variable in pods(service["spec"]["rayClusterConfig"])[1][1]["containers"][0]["env"]}
    assert {"OCRAY_API_KEYS", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "RAY_worker_niceness"} <= names


def test_the_image_holds_what_it_is_built_from():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in kept)
    assert {*PACKAGES, "configs", "pyproject.toml", "constraints.txt"} <= set(kept)


def test_the_overlay_of_the_documentation_builds(tmp_path):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl builds overlays, and is not installed")
    text = (ROOT / "docs" / "clusters.md").read_text()
    overlay = text.partition("# deploy/kuberay/overlays/mine/kustomization.yaml\n")[2].partition("```")[0]
    shutil.copytree(KUBERAY, tmp_path / "kuberay")
    (tmp_path / "kuberay" / "overlays" / "mine").mkdir()
    (tmp_path / "kuberay" / "overlays" / "mine" / "kustomization.yaml").write_text(overlay)
    command = ["kubectl", "kustomize", tmp_path / "kuberay" / "overlays" / "mine"]
    built = list(yaml.safe_load_all(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    (job,) = [document for document in built if document["kind"] == "RayJob"]
    assert job["spec"]["suspend"] is False and "s3://mybucket/scans" in job["spec"]["entrypoint"]
    images = {container["image"] for _, pod in pods(job["spec"]["rayClusterSpec"]) for container in pod["containers"]}
    assert images == {f"registry.mycompany.kr/ocray:{VERSION}", f"registry.mycompany.kr/ocray:{VERSION}-cuda"}
    (account,) = [document for document in built if document["kind"] == "ServiceAccount"]
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    # Each object has a workload, by which it is applied.
    workloads = {document["metadata"]["labels"]["ocray.io/workload"] for document in built}
    assert workloads == {"shared", "bulk", "schedule", "serve", "cluster"}
