"""A reader as a served app: an ingress with the reader's own HTTP API, and its stages in deployments."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.bundle import Bundle
from pipelines.readers.base import Reader
from pipelines.readers.registry import load_reader
from ray_apps.serving.chain import Chain
from ray_apps.serving.ingress import Ingress
from ray_apps.serving.settings import AppSettings, served_reader
from ray_apps.serving.stages import stage_deployments

_Reader = TypeVar("_Reader", bound=Reader[Any, Any])


class ServedReader(Ingress[AppSettings, Chain], Generic[_Reader]):
    """The HTTP side of an app. `api` makes its routes; it is called in each replica, with this object."""

    def __init__(
        self,
        settings: AppSettings,
        deployments: dict[str, DeploymentHandle],
        reader: _Reader,
        bundles: list[tuple[str, Bundle]],
        api: "Callable[[ServedReader[_Reader]], FastAPI]",
    ):
        super().__init__(settings, Chain(deployments, settings.stages, reader.record_type), deployments, bundles)
        self.reader, self._api = reader, api

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._api(self)


_INGRESS = serve.deployment(name="ingress")(serve.ingress()(ServedReader))


def reader_app(
    settings: AppSettings, kind: type[_Reader], api: Callable[[ServedReader[_Reader]], FastAPI]
) -> serve.Application:
    """Return the app of a reader, for the builder that `import_path` in `configs/serve/*.yaml` names.

    Args:
        settings: the builder's argument. kind: the reader that it serves. api: a function of a module, see
            `ServedReader`.

    Raises:
        ConfigError, BundleError.
    """
    reader = served_reader(load_reader(settings.reader), kind, settings)
    specs = {spec.stage.name: spec for spec in reader.stages(settings.device, settings.threads)}
    bundles = [(stage, bundle) for stage, used in reader.bundles().items() for bundle in used]
    return _INGRESS.bind(settings, stage_deployments(settings.stages, specs), reader, bundles, api)
