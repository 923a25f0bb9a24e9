"""API keys: from the environment variable `OCRAY_API_KEYS` (comma-separated), sent as `X-API-Key` or a bearer token."""

import hashlib
import hmac
import os

from fastapi import Request

from common.config import ConfigError
from ray_apps.serving.problems import Problem

VARIABLE = "OCRAY_API_KEYS"
_SHORTEST = 16  # characters


class KeyCheck:
    """A FastAPI dependency that lets requests with a known key pass; without any keys configured, all of them.

    Raises:
        ConfigError: keys are required and there are none, or one is too short to be a secret.
    """

    def __init__(self, required: bool):
        keys = [key.strip() for key in os.environ.get(VARIABLE, "").split(",") if key.strip()]
        if required and not keys:
            raise ConfigError(f"require_api_key is on, but {VARIABLE} holds no key; set it where the replicas run")
        if any(len(key) < _SHORTEST for key in keys):
            raise ConfigError(f"a key in {VARIABLE} is shorter than {_SHORTEST} characters; use `openssl rand -hex 32`")
        self._digests = [_digest(key) for key in keys]

    def __call__(self, request: Request) -> None:
        if not self._digests:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
        if not given:
            raise Problem(401, "this server requires an API key: header X-API-Key", {"WWW-Authenticate": "Bearer"})
        digest = _digest(given)
        # Compare against all keys in constant time, so that timing does not reveal which key matched.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Problem(401, "the API key is not known", {"WWW-Authenticate": "Bearer"})
        request.state.owner = digest.hex()


def owner(request: Request) -> str | None:
    """Return the client's identity: the SHA-256 of its API key, in hex; None without keys. Only behind a `KeyCheck`."""
    return getattr(request.state, "owner", None)


def client(request: Request) -> str:
    """Return whose share a request counts against: the API key's owner, else the address that it comes from."""
    return owner(request) or (request.client.host if request.client else "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
