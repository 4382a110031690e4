"""What holds for Docker alone: the container's walls, the engine's lacks, what is left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.domain import Limits, RunStatus
from grader.errors import Cause, InfrastructureError
from grader.sandbox.contract import Stage
from grader.sandbox.docker import (
    OWNER_LABEL,
    PACKAGE,
    Container,
    DockerSandbox,
    _engine,
    _owner,
    tree_files,
)
from tests.sandbox.conftest import HONEST, LIMITS, SETTLED_S, TEST_IMAGE, Range, settle

pytestmark = pytest.mark.docker


@pytest.fixture
def docker(ranges: Callable[[str], Range]) -> Range:
    return ranges("docker")


@pytest.fixture
def warm(ranges: Callable[[str], Range]) -> Range:
    return ranges("docker-warm")


def seen_inside(docker: Range) -> dict[str, Any]:
    source = """
        import os
        def answer():
            lines = open("/proc/self/status").read().splitlines()
            mounts = [line.split()[1:4] for line in open("/proc/mounts")]
            return {
                "status": dict(line.split(":\\t") for line in lines),
                "mounts": {m[0]: [m[1], m[2].split(",")] for m in mounts},
                "net": os.listdir("/sys/class/net"),
                "entry": open("/proc/1/comm").read(),
            }
    """
    found: dict[str, Any] = json.loads(docker.run(source).json_frames["answer"])
    return found


def test_the_container_has_no_powers_no_network_and_nothing_writable(docker: Range) -> None:
    found = seen_inside(docker)

    status, mounts = found["status"], found["mounts"]
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert found["net"] == ["lo"]
    assert "ro" in mounts["/"][1]
    assert {"nosuid", "nodev", "noexec"} <= set(mounts["/tmp"][1])
    writable = {p for p, (_, flags) in mounts.items() if "rw" in flags}
    kernels = ("/proc", "/sys", "/dev")
    # The engine's own three files are mounted over the image's; nobody's user cannot write them.
    engines = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert {p for p in writable if not p.startswith(kernels)} <= {"/tmp"} | engines


WAITS = """
import os, time
def answer():
    while not os.path.exists("/tmp/go"): time.sleep(0.01)
    return 42
"""
"""A program that is looked at while it runs, however long that takes."""


def let_go(client: Any, container: str) -> None:
    """End the wait of a container with that program in it."""
    touched = client.containers.get(container).exec_run(["/bin/sh", "-c", ": > /tmp/go"])
    assert touched.exit_code == 0, touched.output


def test_the_engine_was_told_so_and_mounts_nothing_of_ours(docker: Range) -> None:
    tree = docker.tree(WAITS, {})
    seen: dict[str, Any] = {}

    def look() -> bool:
        client = _engine()
        label = f"{OWNER_LABEL}={_owner()}"
        for container in client.containers.list(filters={"label": label}, ignore_removed=True):
            if "--warm" not in container.attrs["Config"]["Entrypoint"]:
                seen.update(container.attrs)
                let_go(client, container.id)
        client.close()
        return bool(seen)

    looker = threading.Thread(target=settle, args=(look,))
    looker.start()
    result = docker.run_tree(tree, {}, wall_time_s=2 * SETTLED_S)
    looker.join()

    host = seen["HostConfig"]
    assert result.json_frames == {"answer": b"42"}
    assert not host["Binds"]
    assert not seen["Mounts"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] == LIMITS.processes + 8
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["LogConfig"]["Type"] == "none"
    assert not any("GRADER" in entry for entry in seen["Config"]["Env"])


def test_a_warm_container_serves_one_run_after_another(warm: Range) -> None:
    names = [
        json.loads(
            warm.run("import os\ndef answer(): return os.stat('/proc/1').st_ino").json_frames[
                "answer"
            ]
        )
        for _ in range(2)
    ]

    assert names[0] == names[1]


def test_a_warm_container_is_thrown_away_after_a_failure(warm: Range) -> None:
    sandbox = warm.sandbox
    assert isinstance(sandbox, DockerSandbox)
    warm.run(HONEST)
    before = {key: waiting.qsize() for key, waiting in sandbox._idle.items()}

    result = warm.run("def answer(): raise ValueError")

    after = {key: waiting.qsize() for key, waiting in sandbox._idle.items()}
    assert result.run.status is RunStatus.FAILED
    assert sum(after.values()) == sum(before.values()) - 1


def test_the_engines_word_of_memory_counts_not_the_exit_status(
    docker: Range, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import os\ndef answer(): os.kill(os.getpid(), 9)"

    assert docker.run(source).run.cause is Cause.STUDENT_EXITED
    monkeypatch.setattr(Container, "out_of_memory", lambda self: True)
    assert docker.run(source).run.cause is Cause.STUDENT_OUT_OF_MEMORY


class FakeEngine:
    """As much of the engine as the choice of a runtime asks; it makes no container."""

    def __init__(self, runtimes: dict[str, Any]) -> None:
        self.runtimes, self.wanted = runtimes, {}  # type: ignore[var-annotated]
        self.api = self

    def info(self) -> dict[str, Any]:
        return {"Runtimes": self.runtimes}

    def create_host_config(self, **wanted: Any) -> dict[str, Any]:
        self.wanted = wanted
        return wanted

    def create_container(self, image: str, **wanted: Any) -> Any:
        self.wanted.update(wanted, image=image)
        raise ConnectionError("no container is made here")

    def close(self) -> None:
        pass


def wanted_of(
    monkeypatch: pytest.MonkeyPatch, tree: Path, runtimes: dict[str, Any], *, warm: bool
) -> dict[str, Any]:
    """What an engine with these runtimes is asked for."""
    engine = FakeEngine(runtimes)
    monkeypatch.setattr("grader.sandbox.docker._engine", lambda: engine)
    monkeypatch.setattr("grader.sandbox.docker._check_image", lambda *_: None)
    monkeypatch.setattr("grader.sandbox.docker._reap", lambda *_: None)
    with pytest.raises(InfrastructureError, match="did not start: no container") as caught:
        DockerSandbox(warm=warm).run(Stage("trace", tree, {}, LIMITS))
    assert caught.value.cause is Cause.INFRA_ENGINE
    return engine.wanted


def test_everything_the_container_is_denied_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_KEY_FILE", "/nobody/course.key")

    wanted = wanted_of(monkeypatch, tmp_path, {"runc": {}}, warm=False)

    assert wanted["network_mode"] == "none"
    assert wanted["read_only"] is True
    assert wanted["user"] == "65532:65532"
    assert wanted["cap_drop"] == ["ALL"]
    assert wanted["security_opt"] == ["no-new-privileges"]  # and so the engine's own seccomp
    assert wanted["pids_limit"] == LIMITS.processes + 8
    assert wanted["mem_limit"] == wanted["memswap_limit"]
    assert list(wanted["tmpfs"]) == ["/tmp", PACKAGE]
    assert wanted["tmpfs"][PACKAGE].startswith("ro,")
    assert {"noexec", "nosuid", "nodev"} <= set(wanted["tmpfs"]["/tmp"].split(","))
    assert wanted["shm_size"] == "64k"
    assert wanted["ipc_mode"] == "private"
    assert wanted["log_config"] == {"type": "none"}
    assert wanted["stdin_open"] is True
    assert not {"binds", "mounts", "volumes", "devices", "device_requests"} & set(wanted)
    assert list(wanted["labels"]) == [OWNER_LABEL]
    assert not any("GRADER" in entry or "KEY" in entry for entry in wanted["environment"])


def test_a_submission_may_have_256_processes_where_nothing_else_is_said() -> None:
    assert Limits().processes == 256


@pytest.mark.parametrize("warm", [False, True])
def test_gvisor_is_used_where_the_host_offers_it_and_then_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    wanted = wanted_of(monkeypatch, tmp_path, {"runc": {}, "runsc": {}}, warm=warm)

    assert wanted["runtime"] == "runsc"
    assert "--warm" not in wanted["entrypoint"]  # its kernel has no Landlock to part two runs with


def test_without_gvisor_the_engines_own_runtime_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = wanted_of(monkeypatch, tmp_path, {"runc": {}}, warm=True)

    assert wanted["runtime"] is None
    assert "--warm" in wanted["entrypoint"]


def test_a_missing_image_is_named_with_its_fix(docker: Range) -> None:
    sandbox = DockerSandbox(image="densenet-grader:never-built")

    lack = sandbox.available()

    assert lack is not None
    assert "densenet-grader:never-built" in lack
    assert "docker build" in lack


def test_an_image_of_another_version_is_refused(docker: Range) -> None:
    client = _engine()
    recipe = f"FROM {TEST_IMAGE}\nLABEL org.opencontainers.image.version=0.0.0\n"
    old = f"{TEST_IMAGE}-old"
    client.images.build(fileobj=io.BytesIO(recipe.encode()), tag=old, rm=True)
    client.close()

    lack = DockerSandbox(image=old).available()

    assert lack is not None
    assert "0.0.0" in lack


def test_a_missing_engine_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    sandbox = DockerSandbox()

    assert "no-engine.sock" in (sandbox.available() or "")
    with pytest.raises(InfrastructureError) as caught:
        sandbox.run(Stage("trace", tmp_path, {}))
    assert caught.value.cause is Cause.INFRA_ENGINE


def test_links_in_a_tree_are_not_followed_into_the_container(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x")
    (tmp_path / "link.py").symlink_to("/etc/passwd")

    assert list(tree_files(tmp_path)) == ["a.py"]


SCRIPT = """
import sys
from pathlib import Path
from grader.sandbox.contract import Stage
from grader.sandbox.docker import DockerSandbox, _owner
sandbox = DockerSandbox(image=sys.argv[1], stages="/opt/grader/inside/stages")
sandbox.available()
print(_owner(), flush=True)
sandbox.run(Stage("play", Path(sys.argv[2]), {}))
"""


REAP = """
import sys
from grader.sandbox.docker import DockerSandbox
assert DockerSandbox(image=sys.argv[1]).available() is None
"""


def test_a_killed_graders_container_ends_and_is_removed_by_the_next(docker: Range) -> None:
    tree = docker.tree("import time\ndef answer(): time.sleep(LONG_S)", {})
    command = [sys.executable, "-c", SCRIPT, TEST_IMAGE, str(tree)]
    root = Path(__file__).parents[2]
    grader = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    assert grader.stdout is not None
    owner = grader.stdout.readline().strip()
    client = _engine()

    def containers(**more: Any) -> list[Any]:
        label = {"label": f"{OWNER_LABEL}={owner}"}
        return list(
            client.containers.list(filters={**label, **more}, ignore_removed=True, all=True)
        )

    running = settle(lambda: bool(containers(status="running")))
    os.kill(grader.pid, signal.SIGKILL)
    grader.communicate()
    ended = settle(lambda: not containers(status="running"))
    DockerSandbox(image=TEST_IMAGE).available()
    left = containers()
    client.close()

    assert running
    assert ended
    assert left == []


def test_a_living_graders_container_is_left_alone_by_another(docker: Range) -> None:
    tree = docker.tree(WAITS, {})
    other = [sys.executable, "-c", REAP, TEST_IMAGE]
    root = Path(__file__).parents[2]
    results: list[Any] = []
    long = {"wall_time_s": 2 * SETTLED_S}
    run = threading.Thread(target=lambda: results.append(docker.run_tree(tree, {}, **long)))
    client = _engine()
    label = {"label": f"{OWNER_LABEL}={_owner()}", "status": "running"}

    def running() -> list[str]:
        found = client.containers.list(filters=label, ignore_removed=True)
        return [c.id for c in found if "--warm" not in c.attrs["Config"]["Entrypoint"]]

    run.start()
    assert settle(lambda: bool(running()))
    before = running()
    subprocess.run(other, cwd=root, check=True)
    after = running()
    let_go(client, after[0])
    run.join()
    client.close()

    assert before == after
    assert results[0].json_frames == {"answer": b"42"}


def test_the_grader_in_the_image_is_not_there_for_student_code(docker: Range) -> None:
    # Its self-test has right networks in it, and a cold container has no jail.
    found = docker.run("import os\ndef answer(path): return os.listdir(path)", path=PACKAGE)

    assert found.json_frames == {"answer": b"[]"}


def test_in_a_warm_container_nothing_is_written_outside_the_private_folder(warm: Range) -> None:
    # What lies there would be found by the next run.
    source = """
        def answer():
            try: open("/tmp/left", "w").close()
            except OSError: return "refused"
    """

    assert warm.run(source).json_frames == {"answer": b'"refused"'}
