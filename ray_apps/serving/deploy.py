"""An app's YAML (Ray Serve's own schema): checked, started on the connected Ray, stopped."""

import inspect
import logging
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import BaseModel
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig
from ray.serve.exceptions import RayServeException
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from common.config import ConfigError, find_yaml, read_yaml, unknown_setting, validate
from common.project import config_folder
from common.ray_private import deploy_apps
from pipelines.placement import PlacementError
from ray_apps.serving.settings import OWN_DEPLOYMENTS, AppSettings

CONFIGS = config_folder("serve")
logger = logging.getLogger("ray.serve")
_START_SECONDS = 180
_POLL_SECONDS = 0.25
_SECONDS_TO_ANSWER = 10
_CORES_PER_INGRESS = 8  # more ingresses would take cores from the readers


def load(reference: str | Path) -> dict[str, Any]:
    """Return the configuration of a served app: a name in `configs/serve/` or a YAML file.

    Raises:
        ConfigError: no such file, YAML that does not parse, or a setting that is unknown or out of range. Serve
            itself passes over unknown ones in silence.
    """
    path = find_yaml(reference, CONFIGS, "served app")
    config = read_yaml(path)
    _no_unknown(ServeDeploySchema, config, str(path))
    for app in config.get("applications") or []:
        where = f"{path}: application {app.get('name')}"
        _no_unknown(ServeApplicationSchema, app, where)
        validate(settings_type(app), app.get("args", {}), where)
        for deployment in app.get("deployments", []):
            name = f"{where}, deployment {deployment.get('name')}"
            _no_unknown(DeploymentSchema, deployment, name)
            _no_unknown(AutoscalingConfig, deployment.get("autoscaling_config", {}), name)
    validate(ServeDeploySchema, config, str(path))
    return config


def settings_type(app: dict[str, Any]) -> type[AppSettings]:
    """Return the type of the argument of an application's builder, from which Serve makes its `args`.

    Raises:
        ConfigError: there is no such builder.
    """
    path = app.get("import_path", "")
    try:
        (argument,) = inspect.signature(resolve_name(path)).parameters.values()
        if issubclass(argument.annotation, AppSettings):
            return argument.annotation
        reason: object = f"it takes no {AppSettings.__name__}"
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        reason = error
    raise ConfigError(
        f"import_path {path!r} is not the builder of an app ({reason}); for example ray_apps.apps.meters:build"
    )


def _no_unknown(model: type[BaseModel], content: dict[str, Any], where: str) -> None:
    unknown = sorted(content.keys() - model.model_fields.keys())
    if unknown:
        raise ConfigError(f"{where}: " + "; ".join(unknown_setting(key, model.model_fields) for key in unknown))


def build_apps(config: dict[str, Any]) -> None:
    """Build the apps in this process, as Serve will in its own.

    Raises:
        ConfigError, BundleError: what the apps' builders raise.
    """
    for app in config["applications"]:
        settings = validate(settings_type(app), app.get("args", {}), f"application {app['name']}")
        resolve_name(app["import_path"])(settings)


def fit(config: dict[str, Any], resources: dict[str, float], replicas: int | None) -> None:
    """Limit the replicas of autoscaled deployments to `replicas` and to what fits into `resources` if all grow alike;
    Serve would request more for ever.

    Raises:
        PlacementError: not even the least number of replicas fits.
    """
    deployments = [deployment for app in config["applications"] for deployment in app.get("deployments", [])]
    scaled = [deployment for deployment in deployments if "autoscaling_config" in deployment]
    own = [deployment for deployment in scaled if deployment["name"] in OWN_DEPLOYMENTS]
    growing = [deployment for deployment in scaled if deployment["name"] not in OWN_DEPLOYMENTS]
    for deployment in own:
        _bound(deployment, int(resources.get("CPU", 0) / _CORES_PER_INGRESS))
    for resource, key in (("CPU", "num_cpus"), ("GPU", "num_gpus")):
        least = sum(_need(deployment, key) * _least_replicas(deployment) for deployment in deployments)
        has = resources.get(resource, 0)
        if least > has:
            raise PlacementError(
                f"cannot be scheduled: the deployments need at least {least:g} {resource}, the cluster has {has:g}"
            )
        together = sum(_need(deployment, key) for deployment in growing)
        room = int((has - least) / together) if together else None
        for deployment in growing:
            if room is not None:
                _bound(deployment, _least_replicas(deployment) + room)
            if replicas is not None:
                _bound(deployment, replicas)


def _bound(deployment: dict[str, Any], replicas: int) -> None:
    scaling = deployment["autoscaling_config"]
    scaling["max_replicas"] = max(_least_replicas(deployment), min(scaling["max_replicas"], replicas))


def _need(deployment: dict[str, Any], key: str) -> float:
    return deployment.get("ray_actor_options", {}).get(key, 0)


def _least_replicas(deployment: dict[str, Any]) -> int:
    scaling = deployment.get("autoscaling_config")
    return scaling.get("min_replicas", 1) if scaling else deployment.get("num_replicas", 1)


def start(config: dict[str, Any], ended: Callable[[], bool] = lambda: False) -> None:
    """Start the apps on the connected Ray and wait until they run, or until `ended`.

    Raises:
        ConnectionError: the port is taken. ConfigError: an app could not be deployed; Serve's reason is in it.
    """
    schema = ServeDeploySchema.model_validate(config)
    _check_port(schema.http_options.host, schema.http_options.port)
    serve.start(
        proxy_location=schema.proxy_location,
        http_options=schema.http_options.model_dump(),
        logging_config=schema.logging_config,
    )
    deploy_apps(schema)
    deadline = time.monotonic() + _START_SECONDS
    while True:
        apps = serve.status().applications
        failed = {name: app for name, app in apps.items() if app.status == ApplicationStatus.DEPLOY_FAILED}
        if failed:
            name, app = failed.popitem()
            raise ConfigError(f"the app {name} could not be deployed: {_reason(app)}")
        if apps and all(app.status == ApplicationStatus.RUNNING for app in apps.values()):
            return
        if ended():
            return
        if time.monotonic() > deadline:
            states = {f"{n}/{d}": str(v.status) for n, app in apps.items() for d, v in app.deployments.items()}
            raise ConfigError(
                f"not running after {_START_SECONDS} s: {states}; see the logs in /tmp/ray/session_latest"
            )
        time.sleep(0.2)


def drain(config: dict[str, Any], ended: Callable[[], bool] = lambda: False) -> None:
    """Make the apps refuse new requests (`/readyz` and requests are answered with 503), and wait until the others are
    answered; until `ended`, or as long as the ingresses may take to shut down.
    """
    apps = [app["name"] for app in config["applications"]]
    ingresses = [d for app in config["applications"] for d in app.get("deployments", []) if d["name"] == "ingress"]
    seconds = max((d.get("graceful_shutdown_timeout_s", 20) for d in ingresses), default=20)
    deadline = time.monotonic() + seconds
    announced = False
    while not ended() and time.monotonic() < deadline:
        try:
            inside = sum(_inside(app) for app in apps)
        except (RayError, RayServeException, TimeoutError) as error:
            logger.warning("the HTTP side does not answer, it is shut down: %s", type(error).__name__)
            return
        if not inside:
            return
        if not announced:
            print(f"shutting down after {inside} open requests; press Ctrl-C again to stop at once", flush=True)
            announced = True
        time.sleep(_POLL_SECONDS)


def _inside(app: str) -> int:
    """Return how many requests the app's replicas are still answering while they accept no more."""
    return sum(serve.get_app_handle(app).broadcast("drain").results(timeout_s=_SECONDS_TO_ANSWER))


def _reason(app: ApplicationStatusOverview) -> str:
    """Return the last line of the first failed deployment's message: its exception. Serve gives whole tracebacks."""
    messages = [d.message for d in app.deployments.values() if d.status.value == ApplicationStatus.DEPLOY_FAILED.value]
    lines = [line for line in (messages or [app.message])[0].splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines or ["no reason given"])[-1]


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConnectionError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another --port"
            ) from error
