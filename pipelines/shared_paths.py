"""Whether local files are the same on every node of a cluster: found out before a job begins, not believed.

A folder that a node has to itself takes results that nobody finds again, and hides inputs that are there.
"""

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.errors import ExpectedError
from common.storage import Storage
from common.storage.locations import local_path
from pipelines.sources import Document

# Number of files, spread over all inputs, that are checked.
_FILES_ASKED = 50
_NODE_SECONDS = 120.0


class NotShared(ExpectedError):
    """A local path that not every node sees; the message names path, node and remedy."""


@dataclass(frozen=True)
class _Seen:
    """What a node sees: whether the probe is there, and the first file that is not."""

    probe: bool
    lacking: str | None


def check_shared(output_uri: str, documents: Sequence[Document]) -> None:
    """Make sure that all nodes that can read see the local output folder and the local documents.

    Each node looks for a probe file in the output and leaves one of its own. With one node there is nothing to ask.

    Raises:
        NotShared: a node does not.
    """
    folder = local_path(output_uri)
    files = _some([document for document in documents if local_path(document.base_uri) is not None])
    here = ray.get_runtime_context().get_node_id()
    nodes = {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != here and node["Resources"].get("CPU", 0) > 0
    }
    if not nodes or (folder is None and not files):
        return
    probe = f".probe-{uuid.uuid4().hex[:12]}"
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
        _touch(f"{folder}/{probe}")
    try:
        paths = [path for document in files if (path := local_path(document.base_uri)) is not None]
        for node_id, seen in _ask(nodes, folder, probe, paths).items():
            if folder is not None and not (seen.probe and os.path.exists(f"{folder}/{probe}-{node_id}")):
                raise NotShared(
                    f"the output {folder} is not the same folder on node {nodes[node_id]}: what that node reads would "
                    f"be lost; use a URI such as s3://bucket/results, or a folder that all nodes mount"
                )
            if seen.lacking is not None:
                raise NotShared(
                    f"{seen.lacking} is not there on node {nodes[node_id]}; use inputs that all nodes see: URIs such "
                    f"as s3://bucket/scans, or a folder that all nodes mount"
                )
    finally:
        if folder is not None:
            for name in (probe, *(f"{probe}-{node_id}" for node_id in nodes)):
                if os.path.exists(f"{folder}/{name}"):
                    os.unlink(f"{folder}/{name}")


def check_same_output(output: Storage, known: str) -> None:
    """`check_shared` from within a worker, whose node may have joined later: the output must hold the file `known`.

    Raises:
        NotShared: it does not.
    """
    if output.is_local and not output.exists(known):
        raise NotShared(
            f"the output {output.uri} is not the same folder on node {ray.util.get_node_ip_address()}, which joined "
            "later; use a URI such as s3://bucket/results, or a folder that all nodes mount"
        )


def _ask(nodes: dict[str, str], folder: str | None, probe: str, paths: Sequence[str]) -> dict[str, _Seen]:
    """Return what each node sees; nodes that are lost meanwhile are left out."""
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    answers = {
        node_id: look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)).remote(
            folder, f"{probe}", f"{probe}-{node_id}", paths
        )
        for node_id in nodes
    }
    seen = {}
    for node_id, answer in answers.items():
        try:
            seen[node_id] = ray.get(answer, timeout=_NODE_SECONDS)
        except (RayError, GetTimeoutError) as error:
            if any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes()):
                raise NotShared(
                    f"node {nodes[node_id]} does not report whether it sees the local files ({type(error).__name__}); "
                    "use URIs such as s3://bucket/…, or mend the node"
                ) from error
    return seen


def _look(folder: str | None, probe: str, own: str, paths: Sequence[str]) -> _Seen:
    there = folder is not None and os.path.exists(f"{folder}/{probe}")
    if there:
        _touch(f"{folder}/{own}")
    return _Seen(there, next((path for path in paths if not os.path.lexists(path)), None))


def _touch(path: str) -> None:
    with open(path, "wb"):
        pass


def _some(documents: Sequence[Document]) -> list[Document]:
    step = max(1, len(documents) // _FILES_ASKED)
    there = [document for document in documents[::step] if os.path.lexists(local_path(document.base_uri) or "")]
    return there[:_FILES_ASKED]
