"""Served apps' YAML: what is shipped holds together, what is wrong is named before anything starts."""

import socket
from pathlib import Path

import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema

from pipelines.config import ConfigError
from pipelines.placement import PlacementError
from ray_apps import serve
from ray_apps.documents_app import build
from ray_apps.serving.deploy import CONFIGS, build_apps, fit, load, start
from ray_apps.serving.keys import KeyCheck
from ray_apps.serving.settings import OWN_DEPLOYMENTS
from ray_apps.serving.stages import BatchSettings

SHIPPED = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
ALL = ["decode", "deskew", "orientation", "text_detection", "text_recognition"]


def shipped(name: str) -> dict:
    return load(name)


def edited(tmp_path: Path, change) -> Path:
    config = shipped("documents")
    change(config["applications"][0])
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_apps_set_what_serve_leaves_open(name):
    config = shipped(name)
    build_apps(config)
    (app,) = config["applications"]
    timeout = config["http_options"]["request_timeout_s"]
    assert app["args"]["flow"]["request_seconds"] < timeout
    for deployment in app["deployments"]:
        scaled = deployment["name"] != "jobs"
        expected = {"max_ongoing_requests", "max_queued_requests", "health_check_period_s", "health_check_timeout_s"}
        expected |= {"graceful_shutdown_wait_loop_s", "graceful_shutdown_timeout_s", "ray_actor_options"}
        expected |= {"autoscaling_config"} if scaled else {"num_replicas"}
        assert expected <= deployment.keys() <= DeploymentSchema.model_fields.keys()
        assert deployment["max_queued_requests"] > 0
        if scaled:
            scaling = deployment["autoscaling_config"]
            required = {
                "min_replicas",
                "max_replicas",
                "target_ongoing_requests",
                "upscale_delay_s",
                "downscale_delay_s",
            }
            assert required <= scaling.keys() <= AutoscalingConfig.model_fields.keys()
            assert scaling["target_ongoing_requests"] <= deployment["max_ongoing_requests"]
        if deployment["name"] not in OWN_DEPLOYMENTS:
            batch = BatchSettings.model_validate(deployment["user_config"])
            assert deployment["max_ongoing_requests"] >= 2 * batch.max_batch_size  # one read, one waiting


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda app: app["args"]["limits"].update(upload_mb=3), "limits.upload_mb; did you mean upload_mib?"),
        (lambda app: app["args"]["limits"].update(pages=0), "limits.pages: Input should be greater than or equal to 1"),
        (lambda app: app["deployments"][0].update(max_queued=3), "deployment ingress: unknown setting max_queued"),
        (
            lambda app: app["deployments"][2]["autoscaling_config"].update(max=3),
            "deployment reader: unknown setting max",
        ),
        (lambda app: app["args"].update(uri_prefixes=["https://example.com/"]), "must be a folder of s3://"),
        (lambda app: app["args"].update(uri_prefixes=["s3://bucket/scans"]), "end in /"),
        (lambda app: app["args"]["jobs"].update(store="jobs"), "'jobs' is relative"),
        (lambda app: app["args"].update(stages={"jobs": ALL}), "jobs is the name of a deployment of its own"),
    ],
)
def test_wrong_settings_are_named(tmp_path, change, told):
    with pytest.raises(ConfigError) as error:
        load(edited(tmp_path, change))
    assert told in str(error.value)


@pytest.mark.parametrize("stages", [ALL[1:], [*ALL, "deskew"], ALL[::-1]])
def test_every_stage_must_have_its_place(stages):
    with pytest.raises(ConfigError, match="each once and in this order"):
        build({"stages": {"reader": stages}})


def test_languages_must_be_read():
    assert build({"stages": {"reader": ALL}, "languages": ["fr", "en"]})
    with pytest.raises(ConfigError, match="nothing here reads xx"):
        build({"stages": {"reader": ALL}, "languages": ["en", "xx"]})


def test_an_app_of_documents_takes_no_other_reader():
    with pytest.raises(ConfigError, match="meters is of the meters reader; this app reads documents"):
        build({"reader": "meters", "stages": {"reader": ALL}})


def test_an_unknown_app_is_told_the_known_ones():
    with pytest.raises(ConfigError, match="documents, documents-composed"):
        load("document")


def test_replicas_are_bounded_by_what_the_cluster_holds():
    def most(name: str, cpus: float, replicas: int | None = None) -> dict[str, int]:
        config = shipped(name)
        fit(config, {"CPU": cpus}, replicas)
        deployments = config["applications"][0]["deployments"]
        return {d["name"]: d["autoscaling_config"]["max_replicas"] for d in deployments if "autoscaling_config" in d}

    assert most("documents", 2) == {"ingress": 1, "reader": 2}
    assert most("documents", 16) == {"ingress": 2, "reader": 17}
    assert most("documents", 16, replicas=3) == {"ingress": 2, "reader": 3}
    composed = most("documents-composed", 2)
    assert set(composed.values()) == {1} and len(composed) == 5
    with pytest.raises(PlacementError, match=r"need at least 1\.05 CPU, the cluster has 1"):
        most("documents", 1)


def test_keys_that_cannot_protect_are_refused(monkeypatch):
    monkeypatch.delenv("OCRAY_API_KEYS", raising=False)
    with pytest.raises(ConfigError, match="OCRAY_API_KEYS holds no key"):
        KeyCheck(required=True)
    monkeypatch.setenv("OCRAY_API_KEYS", "secret")
    with pytest.raises(ConfigError, match="shorter than 16"):
        KeyCheck(required=False)


def test_a_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = shipped("documents")
        config["http_options"] |= {"host": "127.0.0.1", "port": taken.getsockname()[1]}
        with pytest.raises(ConnectionError, match="choose another --port"):
            start(config)


def test_the_door_answers_a_wrong_app_with_one_line(tmp_path, capsys):
    path = edited(tmp_path, lambda app: app["args"].update(reader="nothing"))
    assert serve.main([str(path)]) == 2
    assert capsys.readouterr().err.startswith("ocray: no configuration nothing")
