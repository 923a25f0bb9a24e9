"""Three hosts on this machine: network namespaces with processes and a home of their own, behind SSH.

It needs root, `ip`, `unshare`, sshd and rsync (Debian: iproute2, util-linux, openssh-server, rsync). The hosts see the
file system of this machine, so that Python and the checkout are installed on each of them; Ray's temporary files,
/dev/shm and the home of their user are their own.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from common.project import ROOT

NETWORK = "10.201.77"
BRIDGE = "ocray-net"
HEAD, *WORKERS = [f"{NETWORK}.{number}" for number in (2, 3, 4)]
_HOME = "/home/ocray-host"
_RAY = str(Path(sys.executable).with_name("ray"))  # of this environment, activated or not
_NEEDED = ("ip", "unshare", "sshd", "ssh", "ssh-keygen", "rsync")

_INIT = """set -e
mount --make-rprivate /
mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray && mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/sshd {home} && mount -t tmpfs tmpfs {home}
mount --bind {folder}/passwd /etc/passwd
cp {folder}/bashrc {home}/.bashrc && cp {folder}/bashrc {home}/.bash_profile
/usr/sbin/sshd -D -e -f {folder}/sshd_config -o ListenAddress={address} &
while true; do sleep 1 & wait $!; done  # the first process of a host: it takes over and buries what others leave
"""

_SSHD = """Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
"""

_BASHRC = """export PATH={path} PYTHONPATH={root} RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
"""


def why_not() -> str | None:
    """Return why there can be no hosts here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacking = [name for name in _NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if lacking:
        return f"{', '.join(lacking)} not installed"
    tried = subprocess.run(["unshare", "--net", "--pid", "--fork", "--mount", "--mount-proc", "true"])
    return "namespaces are not allowed here" if tried.returncode else None


@dataclass
class Hosts:
    """The hosts that run; `folder` is seen by all of them."""

    folder: Path
    processes: dict[str, subprocess.Popen]

    @property
    def config(self) -> Path:
        """The cluster's YAML, made from `deploy/machines.yaml`."""
        return self.folder / "cluster.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a program here that talks to the cluster with its token."""
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.folder / "token")}
        return {**os.environ, **token, "RAY_USAGE_STATS_ENABLED": "0", "HOME": str(self.folder / "home")}

    def run(self, *command: str, seconds: float = 180, **options) -> subprocess.CompletedProcess[str]:
        """Run a command of this machine; its output is both streams."""
        options = {"env": self.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        return subprocess.run(command, text=True, timeout=seconds, **options)

    def ssh(self, address: str, command: str) -> list[str]:
        """Return the command line that runs a shell command on a host."""
        options = ["-i", str(self.folder / "key"), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
        options += ["-o", "UserKnownHostsFile=/dev/null"]
        return ["ssh", *options, f"root@{address}", f"bash --login -c '{command}'"]

    def up(self) -> str:
        """Start the cluster as a user does; return what `ray up` printed."""
        started = self.run(_RAY, "up", "--yes", "--no-config-cache", str(self.config), seconds=240)
        assert started.returncode == 0, started.stdout
        return started.stdout

    def down(self) -> str:
        ended = self.run(_RAY, "down", "--yes", str(self.config))
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    def lose(self, address: str) -> None:
        """End a host with all that runs on it, at once."""
        _kill(self.processes.pop(address))


@contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """Run the hosts; all of them see `folder`."""
    _write_files(folder)
    running = Hosts(folder, {})
    try:
        _connect_network()
        for address in (HEAD, *WORKERS):
            running.processes[address] = _start(folder, address)
        for address in running.processes:
            _wait_for_ssh(running, address)
        yield running
    finally:
        for process in running.processes.values():
            _kill(process)
        _disconnect_network()
        with suppress(OSError):
            os.rmdir(_HOME)  # where their homes were mounted


def _write_files(folder: Path) -> None:
    (folder / "home").mkdir(parents=True)
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    passwd = Path("/etc/passwd").read_text().splitlines()
    of_root = next(line.split(":") for line in passwd if line.startswith("root:"))
    others = [line for line in passwd if not line.startswith("root:")]
    (folder / "passwd").write_text("\n".join([":".join([*of_root[:5], _HOME, "/bin/bash"]), *others]) + "\n")
    (folder / "sshd_config").write_text(_SSHD.format(folder=folder))
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    (folder / "bashrc").write_text(_BASHRC.format(path=path, root=ROOT))
    (folder / "token").write_text(os.urandom(32).hex())
    content = yaml.safe_load((ROOT / "deploy" / "machines.yaml").read_text())
    content["provider"] |= {"head_ip": HEAD, "worker_ips": WORKERS}
    content["auth"] = {"ssh_user": "root", "ssh_private_key": str(folder / "key")}
    content["file_mounts"] = {f"{_HOME}/.ray/auth_token": str(folder / "token")}
    # All hosts are this machine: it has fewer cores than they would.
    content["worker_start_ray_commands"][-1] += " --num-cpus=1 --object-store-memory=100000000"
    content["head_start_ray_commands"][-1] += " --object-store-memory=100000000"
    (folder / "cluster.yaml").write_text(yaml.safe_dump(content))


def _start(folder: Path, address: str) -> subprocess.Popen:
    name = _namespace(address)
    script = _INIT.format(folder=folder, home=_HOME, address=address)
    inside = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script]
    log = (folder / f"{name}.log").open("wb")
    return subprocess.Popen(["ip", "netns", "exec", name, *inside], stdout=log, stderr=log, start_new_session=True)


def _kill(process: subprocess.Popen) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _namespace(address: str) -> str:
    return f"ocray-{address.rpartition('.')[2]}"


def _connect_network() -> None:
    _disconnect_network()
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for address in (HEAD, *WORKERS):
        name = _namespace(address)
        _ip("netns", "add", name)
        _ip("link", "add", f"{name}-a", "type", "veth", "peer", "name", f"{name}-b")
        _ip("link", "set", f"{name}-a", "master", BRIDGE, "up")
        _ip("link", "set", f"{name}-b", "netns", name)
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", f"{name}-b")
        _ip("-n", name, "link", "set", f"{name}-b", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", f"{NETWORK}.1")  # Ray asks the routes for its address


def _disconnect_network() -> None:
    for address in (HEAD, *WORKERS):
        _ip("netns", "del", _namespace(address), check=False)
        _ip("link", "del", f"{_namespace(address)}-a", check=False)
    _ip("link", "del", BRIDGE, check=False)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], check=check, capture_output=not check)


def _wait_for_ssh(running: Hosts, address: str) -> None:
    deadline = time.monotonic() + 20
    while running.run(*running.ssh(address, "true")).returncode:
        log = running.folder / f"{_namespace(address)}.log"
        assert time.monotonic() < deadline, f"{address} does not answer: {log.read_text()}"
        time.sleep(0.3)
