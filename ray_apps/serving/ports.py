"""Where Serve's replicas listen."""

import ray
from ray.serve._private import replica


def listen_on_node_address() -> None:
    """Have this replica's gRPC server, by which Serve's proxies and replicas call it, listen on the node's own address.

    Ray 2.60 has it listen on all interfaces, and whoever reaches it may call the replica, past keys and limits. To be
    called in a replica's constructor: the server starts after it.
    """
    add_port = replica.add_port_to_grpc_server
    host = ray.util.get_node_ip_address()
    host = f"[{host}]" if ":" in host else host
    replica.add_port_to_grpc_server = lambda server, address: add_port(server, address.replace("[::]", host))
