"""The Python client of the HTTP APIs. Nothing here loads Ray or any part that reads."""

from ray_apps.client.answers import ApiError, ClientError, TransportError
from ray_apps.client.client import Client

__all__ = ["ApiError", "Client", "ClientError", "TransportError"]
