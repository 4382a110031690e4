"""Docker: the untrusted stage in a container of the grader's own image.

The container has no network, no capability, no writable file but a small tmpfs, nothing mounted
from the host and nobody's user id. Order, request and the student's tree go in on standard input;
frames, log and report come out in labelled pieces (`grader/inside/lines.py`, StreamLine). Its first
process is the supervisor, which nothing inside can signal. The clock is ours; when it is up the
container is killed.

Where the host offers gVisor (`runsc`) it is used, and then always cold.

Cold, a container serves one run, under the system call filter of the Linux jail: program and
supervisor are one user there, and without it the one could limit the other to death. Warm, it holds
a parent with the libraries loaded and serves one run at a time, each in a fork that is jailed as by
the whole Linux jail; it is thrown away as soon as a run ended otherwise than with a whole answer.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import queue
import secrets
import select
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader import __version__
from grader.domain import Isolation
from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Sandbox, Stage, StageResult
from grader.sandbox.frames import encode
from grader.sandbox.program import stage_environment
from grader.sandbox.pump import Conversation
from grader.sandbox.turns import undisturbed
from grader.sandbox.verdict import result

IMAGE = "densenet-grader"
INSIDE = "/opt/grader/inside"
"""Where the image has a copy of grader/inside."""
PACKAGE = "/opt/grader/package"
"""Where the image has the grader itself, right networks of its self-test among it. No student's
program needs it: an empty file system lies over it."""
OWNER_LABEL = "densenet-grader.owner"
VERSION_LABEL = "org.opencontainers.image.version"
GVISOR = "runsc"
"""Name under which Docker's documentation and gVisor's have the runtime."""
_USER = "65532:65532"
_PIECE = struct.Struct(">cI")
_STREAM = struct.Struct(">BxxxI")
"""Docker's own header on an attached stream: which, three zero bytes, length."""
_CHUNK = 2**18
_END_S = 10.0
"""For the engine to see the end of a container whose stream has ended."""
_PAGE = 4096
_SPARE_MEMORY = 64 * 2**20
_SPARE_PROCESSES = 8


class DockerSandbox(Sandbox):
    """Runs a stage in a container.

    Args:
        warm: Keep containers with the libraries loaded, one for each run at a time.
        image: Name of an image made from the project's Dockerfile.
        stages: Folder of the stage modules inside the image.
    """

    isolation: Isolation = "docker"

    def __init__(self, *, warm: bool = False, image: str = "", stages: str = INSIDE) -> None:
        self._warm = warm
        self._image = image or os.environ.get("GRADER_IMAGE", "") or IMAGE
        self._stages = stages
        self._lock = threading.Lock()
        self._client: Any = None
        self._runtime: str | None = None
        self._idle: dict[tuple[str, str], queue.SimpleQueue[Container]] = {}

    def available(self) -> str | None:
        """None when the engine answers and has the image."""
        try:
            self._connect()
        except InfrastructureError as error:
            return f"{error.message}. {error.help}"
        return None

    def run(self, stage: Stage) -> StageResult:
        """Run one stage; see `Sandbox.run`."""
        return undisturbed(self._run_once, stage)

    def _run_once(self, stage: Stage, seat: int | None) -> StageResult:
        # The engine gives each container its share of the processors: no seat is needed.
        client = self._connect()
        files = tree_files(stage.tree)
        order = _order(stage, files, warm=self._warm)
        key = (stage.name, json.dumps([order["limits"], order["room_bytes"]]))
        container = self._take(key) or self._start(client, stage, order)
        keep = False
        try:
            request = {"files": files, "request": dict(stage.request)}
            talk = container.run(encode("order", order) + encode("request", request), stage)
            ending = talk.finish()
            if ending.status == -9 and ending.reason is None and container.out_of_memory():
                ending.reason = "memory"
            outcome = result(ending, talk.parser, stage.limits, self.isolation)
            whole = outcome.complete and outcome.run.cause is None
            keep = self._warm and whole and ending.left is None
            return outcome
        finally:
            if keep:
                self._idle.setdefault(key, queue.SimpleQueue()).put(container)
            else:
                container.remove()

    def close(self) -> None:
        """Remove the warm containers."""
        for waiting in self._idle.values():
            with contextlib.suppress(queue.Empty):
                while True:
                    waiting.get_nowait().remove()
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _take(self, key: tuple[str, str]) -> Container | None:
        with contextlib.suppress(queue.Empty, KeyError):
            return self._idle[key].get_nowait()
        return None

    def _connect(self) -> Any:
        with self._lock:
            if self._client is None:
                client = _engine()
                _check_image(client, self._image)
                _reap(client)
                self._runtime = _runtime(client)
                if self._runtime == GVISOR:
                    # Its kernel has no Landlock, which keeps apart what shares a warm container.
                    self._warm = False
                self._client = client
            return self._client

    def _start(self, client: Any, stage: Stage, order: dict[str, Any]) -> Container:
        main = ["python", "-I", "-B", f"{INSIDE}/main.py", stage.name, "--stages", self._stages]
        options = ["--container", "--warm"] if self._warm else ["--container"]
        limits = stage.limits
        memory = limits.memory_bytes + order["room_bytes"] + _SPARE_MEMORY
        host = client.api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=limits.processes + _SPARE_PROCESSES,
            mem_limit=memory,
            memswap_limit=memory,
            tmpfs={
                "/tmp": f"rw,noexec,nosuid,nodev,mode=1777,size={order['room_bytes']}",
                PACKAGE: "ro,noexec,nosuid,nodev,mode=0555,size=4k",
            },
            shm_size="64k",
            log_config={"type": "none"},
            ipc_mode="private",
            ulimits=[{"Name": "core", "Soft": 0, "Hard": 0}],
            runtime=self._runtime,
        )
        try:
            made = client.api.create_container(
                self._image,
                entrypoint=[*main, *options],
                command=[],
                user=_USER,
                environment=_environment(),
                working_dir="/tmp",
                hostname="sandbox",
                stdin_open=True,
                labels={OWNER_LABEL: _owner()},
                host_config=host,
            )
            return Container(client, made["Id"])
        except Exception as error:
            raise InfrastructureError(
                Cause.INFRA_ENGINE, f"the container did not start: {error}", "See grade doctor."
            ) from error


class Container:
    """A started container and the stream to its first process.

    Args:
        client: The engine.
        identity: Of a created container.
    """

    def __init__(self, client: Any, identity: str) -> None:
        self._api = client.api
        self._identity = identity
        self._attached: Any = None
        self._socket: Any = None
        self._raw = bytearray()
        self._pieces = bytearray()
        wanted = {"stdin": 1, "stdout": 1, "stream": 1}
        try:
            self._attached = self._api.attach_socket(identity, params=wanted)
            self._socket = getattr(self._attached, "_sock", self._attached)
            self._socket.setblocking(False)
            self._api.start(identity)
        except Exception:
            self.remove()
            raise

    def run(self, data: bytes, stage: Stage) -> Conversation:
        """Send one order and request, and listen until the report.

        Args:
            data: Both frames.
            stage: For its limits.

        Returns:
            What was heard. On a limit of ours the container is killed.
        """
        talk = Conversation(stage.limits)
        rest = memoryview(data)
        while not talk.stopped:
            writers = [self._socket] if rest else []
            readable, writable, _ = select.select(
                [self._socket], writers, [], min(talk.seconds_left, 1.0)
            )
            if writable:
                rest = rest[self._write(rest) :]
            if readable and self._hear(talk):
                return talk
            if talk.seconds_left == 0.0:
                talk.out_of_time()
        self.remove()
        return talk

    def out_of_memory(self) -> bool:
        """Whether the engine saw the container reach its memory limit."""
        with contextlib.suppress(Exception):
            state = self._api.inspect_container(self._identity)["State"]
            return bool(state.get("OOMKilled"))
        return False

    def _has_ended(self) -> bool:
        """Whether the engine is well and saw the container end."""
        with contextlib.suppress(Exception):
            self._api.wait(self._identity, timeout=_END_S)
            return True
        return False

    def remove(self) -> None:
        """Kill and remove it; nothing of it stays. May be called twice.

        The stream goes first: the engine may wait for someone to read it.
        """
        parts: tuple[Any, ...] = (
            self._attached,
            self._socket,
            getattr(self._attached, "_response", None),
        )
        for part in parts:
            with contextlib.suppress(Exception):
                part.close()
        with contextlib.suppress(Exception):
            self._api.remove_container(self._identity, force=True, v=True)

    def _write(self, data: memoryview) -> int:
        try:
            return int(self._socket.send(data[:_CHUNK]))
        except BlockingIOError:
            return 0
        except OSError:  # it is gone; listening will tell
            return len(data)

    def _hear(self, talk: Conversation) -> bool:
        """Take what came. Returns whether the run is over."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            if self.out_of_memory():
                talk.ending.reason = "memory"
            elif talk.parser.ready and self._has_ended():
                talk.stop(
                    Cause.STUDENT_EXITED, "the program ended its container before it had answered"
                )
            else:
                talk.hear_report(b'{"error": "the container ended without a report"}')
            return True
        self._raw += data
        for stream, payload in _unwrap(self._raw, _STREAM):
            if stream == 1:
                self._pieces += payload
        for letter, payload in _unwrap(self._pieces, _PIECE):
            if letter == b"O":
                talk.hear_output(payload)
            elif letter == b"L":
                talk.hear_log(payload)
            elif letter == b"H":
                talk.hear_held(float(payload))
            else:
                talk.hear_report(payload)
                return True
        return False


def tree_files(tree: Path) -> dict[str, str]:
    """Read a tree to send it.

    Args:
        tree: The rewritten submission.

    Returns:
        Relative POSIX path → base64 of the bytes; links are not followed.
    """
    return {
        path.relative_to(tree).as_posix(): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _order(stage: Stage, files: dict[str, str], *, warm: bool) -> dict[str, Any]:
    sizes = (len(data) // 4 * 3 - data[-2:].count("=") for data in files.values())
    tree_bytes = sum(-(-size // _PAGE) * _PAGE for size in sizes)  # what a tmpfs takes for them
    rooms = -(-(tree_bytes + 2**20) // 2**24) * 2**24
    return {
        "limits": stage.limits.model_dump(),
        "jail": True,
        "alone": not warm,
        "private": f"/tmp/private-{secrets.token_hex(8)}",
        "container": True,
        "tree_bytes": tree_bytes,
        "room_bytes": rooms + 2 * stage.limits.file_bytes,
    }


def _unwrap(buffer: bytearray, header: struct.Struct) -> Iterator[tuple[Any, bytes]]:
    while len(buffer) >= header.size:
        label, length = header.unpack_from(buffer)
        if length > 2**31 or len(buffer) < header.size + length:
            return
        payload = bytes(memoryview(buffer)[header.size : header.size + length])
        del buffer[: header.size + length]
        yield label, payload


# --- the engine ---------------------------------------------------------------------------


def _engine() -> Any:
    try:
        import docker
    except ImportError as error:
        raise InfrastructureError(
            Cause.INFRA_ENGINE, "Docker: the Python package docker is missing", "pip install docker"
        ) from error
    fix = "Start it, join the group docker, or set DOCKER_HOST."
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if host.startswith("unix://") and not Path(host.removeprefix("unix://")).exists():
        raise InfrastructureError(Cause.INFRA_ENGINE, f"Docker: no engine at {host}", fix)
    client = None
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except Exception as error:
        if client is not None:
            client.close()
        raise InfrastructureError(
            Cause.INFRA_ENGINE,
            f"Docker: the engine does not answer ({_short(error)})",
            fix,
        ) from error
    return client


def _check_image(client: Any, image: str) -> None:
    import docker

    build = f"Build it: docker build -t {image} ."
    try:
        labels = client.images.get(image).labels
    except docker.errors.ImageNotFound as error:
        raise InfrastructureError(
            Cause.INFRA_ENGINE, f"Docker: there is no image {image}", build
        ) from error
    except docker.errors.DockerException as error:
        raise InfrastructureError(
            Cause.INFRA_ENGINE, f"Docker: the image {image} cannot be read ({_short(error)})"
        ) from error
    made_for = labels.get(VERSION_LABEL)
    if made_for != __version__:
        raise InfrastructureError(
            Cause.INFRA_ENGINE,
            f"Docker: image {image}: expected one of version {__version__}, received {made_for}",
            build,
        )


def _runtime(client: Any) -> str | None:
    """gVisor where the host offers it: a kernel of the container's own. None for the default."""
    return GVISOR if GVISOR in (client.info().get("Runtimes") or {}) else None


def _environment() -> dict[str, str]:
    """Return a stage's environment, with the image's own places of programs and libraries."""
    ours = stage_environment()
    return {name: ours[name] for name in ours if name not in ("PATH", "LD_LIBRARY_PATH")}


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


# --- orphans ------------------------------------------------------------------------------


def _owner() -> str:
    """Name this process so that a later one can tell whether it still lives."""
    return "/".join([platform.node(), _boot(), str(os.getpid()), _start_of(os.getpid())])


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "-"


def _start_of(pid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return "-"


def _reap(client: Any) -> None:
    """Remove containers that a grader of this machine left when it was killed."""
    with contextlib.suppress(Exception):
        for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}):
            node, boot, pid, start = container.labels[OWNER_LABEL].split("/")
            ours = node == platform.node()
            if ours and (boot != _boot() or _start_of(int(pid)) != start):
                container.remove(force=True, v=True)
