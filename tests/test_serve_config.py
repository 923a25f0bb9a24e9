"""Served apps' YAML: what is shipped holds together, what is wrong is named before anything starts."""

import argparse
import socket
from pathlib import Path

import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema

from common.config import ConfigError
from pipelines.placement import PlacementError
from ray_apps.apps import meters as meters_app
from ray_apps.apps.documents import build
from ray_apps.cli import serve
from ray_apps.cli.main import main as ocray
from ray_apps.serving.deploy import CONFIGS, build_apps, fit, load, start
from ray_apps.serving.keys import KeyCheck
from ray_apps.serving.settings import OWN_DEPLOYMENTS, DocumentsSettings, MetersSettings
from ray_apps.serving.stages import BatchSettings
from tests.meter_bundles import write_meter_reader

SHIPPED = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
ALL = ["decode", "deskew", "orientation", "text_detection", "text_recognition"]


def shipped(name: str) -> dict:
    return load(name)


def documents(**args):
    return build(DocumentsSettings.model_validate(args))


@pytest.fixture(scope="module")
def meter_reader(tmp_path_factory) -> Path:
    """Return a YAML file: the shipped meters reader with networks of the tests."""
    folder = tmp_path_factory.mktemp("meters")
    return write_meter_reader(folder)


def edited(tmp_path: Path, change, name: str = "documents") -> Path:
    config = shipped(name)
    change(config["applications"][0])
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_apps_set_what_serve_leaves_open(name, meter_reader):
    config = shipped(name)
    for app in config["applications"]:
        if app["args"]["reader"] == "meters":
            app["args"]["reader"] = str(meter_reader)
    build_apps(config)
    timeout = config["http_options"]["request_timeout_s"]
    assert all(app["args"]["flow"]["request_seconds"] < timeout for app in config["applications"])
    for deployment in (deployment for app in config["applications"] for deployment in app["deployments"]):
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
    ("change", "reported"),
    [
        (lambda app: app["args"]["limits"].update(upload_mb=3), "limits.upload_mb (did you mean upload_mib?)"),
        (lambda app: app["args"]["limits"].update(pages=0), "limits.pages: Input should be greater than or equal to 1"),
        (
            lambda app: app["deployments"][0].update(max_queued=3),
            "deployment ingress: unknown setting max_queued (did you mean",
        ),
        (
            lambda app: app["deployments"][2]["autoscaling_config"].update(max=3),
            "deployment reader: unknown setting max",
        ),
        (lambda app: app["args"].update(uri_prefixes=["https://example.com/"]), "must be a folder of s3://"),
        (lambda app: app["args"].update(uri_prefixes=["s3://bucket/scans"]), "end in /"),
        (lambda app: app["args"]["jobs"].update(store="jobs"), "'jobs' is relative"),
        (lambda app: app["args"].update(stages={"jobs": ALL}), "jobs is the name of another deployment"),
    ],
)
def test_wrong_settings_are_named(tmp_path, change, reported):
    with pytest.raises(ConfigError) as error:
        load(edited(tmp_path, change))
    assert reported in str(error.value)


@pytest.mark.parametrize("stages", [ALL[1:], [*ALL, "deskew"], ALL[::-1]])
def test_every_stage_must_have_its_place(stages):
    with pytest.raises(ConfigError, match="each once and in this order"):
        documents(stages={"reader": stages})


def test_languages_must_be_read():
    assert documents(stages={"reader": ALL}, languages=["fr", "en"])
    with pytest.raises(ConfigError, match="nothing here reads xx"):
        documents(stages={"reader": ALL}, languages=["en", "xx"])


def test_an_app_takes_no_other_reader(meter_reader):
    with pytest.raises(ConfigError, match="meters is of the meters reader; this app reads documents"):
        documents(reader="meters", stages={"reader": ALL})
    with pytest.raises(ConfigError, match="documents is of the documents reader; this app reads meters"):
        meters_app.build(MetersSettings(reader="documents", stages={"reader": ["decode", "meter"]}))
    with pytest.raises(ConfigError, match="each once and in this order"):
        meters_app.build(MetersSettings(reader=str(meter_reader), stages={"reader": ["meter"]}))


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda app: app["args"].update(jobs={"store": "/tmp"}), "unknown setting jobs"),
        (lambda app: app["args"].update(languages=["ko"]), "unknown setting languages"),
        (lambda app: app.update(import_path="ray_apps.apps.meters:read"), "not the builder of an app"),
        (lambda app: app.update(import_path="ray_apps.serving.deploy:load"), "not the builder of an app"),
    ],
)
def test_an_app_of_meters_has_settings_of_its_own(tmp_path, change, reported):
    with pytest.raises(ConfigError, match=reported):
        load(edited(tmp_path, change, "meters"))


def test_jobs_are_kept_by_apps_that_have_them(tmp_path):
    config = shipped("documents-meters")
    arguments = argparse.ArgumentParser()
    serve.add_arguments(arguments)
    serve._override(config, arguments.parse_args(["documents-meters", "--jobs", str(tmp_path)]))
    stores = {app["name"]: app["args"].get("jobs", {}).get("store") for app in config["applications"]}
    assert stores == {"documents": str(tmp_path), "meters": None}
    with pytest.raises(ConfigError, match="meters takes no jobs"):
        serve._override(shipped("meters"), arguments.parse_args(["meters", "--jobs", str(tmp_path)]))


def test_an_unknown_app_is_reported_the_known_ones():
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
    assert most("meters", 16) == {"ingress": 2, "reader": 17}
    with pytest.raises(PlacementError, match=r"need at least 1\.05 CPU, the cluster has 1"):
        most("documents", 1)


def test_both_readers_fit_on_two_cores_and_grow_alike():
    for cpus, expected in ((2, 1), (16, 9)):
        config = shipped("documents-meters")
        fit(config, {"CPU": cpus}, None)
        deployments = [deployment for app in config["applications"] for deployment in app["deployments"]]
        readers = [each["autoscaling_config"]["max_replicas"] for each in deployments if each["name"] == "reader"]
        assert readers == [expected, expected]


def test_keys_that_cannot_protect_are_refused(monkeypatch):
    monkeypatch.delenv("OCRAY_API_KEYS", raising=False)
    with pytest.raises(ConfigError, match="OCRAY_API_KEYS holds no key"):
        KeyCheck(required=True)
    monkeypatch.setenv("OCRAY_API_KEYS", "secret")
    with pytest.raises(ConfigError, match="shorter than 16"):
        KeyCheck(required=False)


def test_a_taken_port_is_reported():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = shipped("documents")
        config["http_options"] |= {"host": "127.0.0.1", "port": taken.getsockname()[1]}
        with pytest.raises(ConnectionError, match="choose another --port"):
            start(config)


def test_the_command_answers_a_wrong_app_with_one_line(tmp_path, capsys):
    path = edited(tmp_path, lambda app: app["args"].update(reader="nothing"))
    assert ocray(["serve", str(path)]) == 2
    assert capsys.readouterr().err.startswith("ocray: no configuration nothing")
