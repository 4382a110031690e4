"""A GPU is lent to one run at a time; a full, sick or dirty one to none. The driver is made up."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from grader.engine import gpu as module
from grader.engine.gpu import GpuUnwell, lease, list_gpus, require_device
from grader.errors import Cause, InfrastructureError, UsageError

GIB = 2**30


class Nvml:
    """As much of pynvml as the lease asks; cards are [uuid, free GiB, errors]."""

    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
    NVML_VOLATILE_ECC = 0

    class NVMLError(Exception):
        pass

    def __init__(self, *cards, answers=True, counts_errors=True):
        self.cards, self.answers, self.counts_errors = list(cards), answers, counts_errors

    def nvmlInit(self):
        if not self.answers:
            raise self.NVMLError("driver not loaded")

    def nvmlShutdown(self):
        pass

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.cards[index]

    def nvmlDeviceGetUUID(self, card):
        return card[0]

    def nvmlDeviceGetName(self, card):
        return b"NVIDIA H200"

    def nvmlDeviceGetMemoryInfo(self, card):
        return SimpleNamespace(free=card[1] * GIB, total=141 * GIB)

    def nvmlDeviceGetTotalEccErrors(self, card, kind, counter):
        if not self.counts_errors:
            raise self.NVMLError("not supported")
        return card[2]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(module, "POLL_S", 0.0)


def test_the_emptiest_gpu_is_lent_first(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0], ["GPU-b", 100, 0])

    with lease(folder=tmp_path, nvml=nvml) as gpu:
        assert gpu.uuid == "GPU-b"
        assert gpu.name == "NVIDIA H200"


def test_a_second_run_gets_another_gpu_and_a_third_none(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0], ["GPU-b", 100, 0])

    with lease(folder=tmp_path, nvml=nvml) as one, lease(folder=tmp_path, nvml=nvml) as other:
        assert {one.uuid, other.uuid} == {"GPU-a", "GPU-b"}
        with (
            pytest.raises(InfrastructureError, match="taken") as caught,
            lease(folder=tmp_path, nvml=nvml),
        ):
            raise AssertionError("it was lent twice")

    assert caught.value.cause is Cause.INFRA_GPU


def test_a_gpu_is_lent_again_when_the_run_is_over(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0])

    for _ in range(2):
        with lease(folder=tmp_path, nvml=nvml) as gpu:
            assert gpu.uuid == "GPU-a"


def test_a_grader_that_is_killed_gives_its_gpu_back(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0])
    hold = (
        "import fcntl, os, sys\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "GPU-a.lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(InfrastructureError, match="taken"), lease(folder=tmp_path, nvml=nvml):
        pass

    child.kill()
    child.communicate()

    with lease(folder=tmp_path, nvml=nvml) as gpu:
        assert gpu.uuid == "GPU-a"


def test_a_gpu_that_was_full_before_is_not_lent_and_says_how_full(tmp_path):
    nvml = Nvml(["GPU-a", 1, 0])

    full = r"full: 1\.0 GiB free of 141 GiB"
    with pytest.raises(InfrastructureError, match=full), lease(folder=tmp_path, nvml=nvml):
        pass

    assert not list(tmp_path.glob("*.quarantine"))


def test_a_gpu_with_memory_errors_is_set_aside_for_good(tmp_path):
    nvml = Nvml(["GPU-a", 20, 3])

    with pytest.raises(InfrastructureError, match="set aside"), lease(folder=tmp_path, nvml=nvml):
        pass
    nvml.cards[0][2] = 0
    with pytest.raises(InfrastructureError, match="set aside"), lease(folder=tmp_path, nvml=nvml):
        pass

    assert "memory errors" in (tmp_path / "GPU-a.quarantine").read_text()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda nvml: nvml.cards[0].__setitem__(1, 10), r"10\.0 GiB of its memory"),
        (lambda nvml: nvml.cards[0].__setitem__(2, 1), "1 uncorrected memory errors"),
        (lambda nvml: nvml.cards.clear(), "it is gone"),
    ],
    ids=["memory held", "errors", "lost"],
)
def test_a_gpu_that_comes_back_dirty_is_the_machines_fault_and_set_aside(tmp_path, spoil, text):
    nvml = Nvml(["GPU-a", 20, 0])

    with (
        pytest.raises(InfrastructureError, match=text) as caught,
        lease(folder=tmp_path, nvml=nvml),
    ):
        spoil(nvml)

    assert caught.value.cause is Cause.INFRA_GPU
    assert (tmp_path / "GPU-a.quarantine").is_file()


def test_a_run_that_fails_gives_its_gpu_back_and_keeps_its_own_error(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0])

    with pytest.raises(KeyError), lease(folder=tmp_path, nvml=nvml):
        raise KeyError("own")

    with lease(folder=tmp_path, nvml=nvml) as gpu:
        assert gpu.uuid == "GPU-a"


def test_a_card_that_does_not_count_errors_is_fit(tmp_path):
    nvml = Nvml(["GPU-a", 20, 0], counts_errors=False)

    with lease(folder=tmp_path, nvml=nvml) as gpu:
        assert gpu.errors == 0


def test_without_a_driver_there_is_no_gpu(tmp_path):
    nvml = Nvml(answers=False)

    assert list_gpus(nvml) == []
    none = "no NVIDIA GPU"
    with pytest.raises(InfrastructureError, match=none), lease(folder=tmp_path, nvml=nvml):
        pass


def test_a_gpu_that_computed_wrongly_is_set_aside_and_not_lent_again(tmp_path):
    nvml = Nvml(["GPU-1", 100, 0])

    with (
        pytest.raises(GpuUnwell, match="numbers are wrong"),
        lease(folder=tmp_path, nvml=nvml),
    ):
        raise GpuUnwell("3 numbers are wrong")

    assert "numbers are wrong" in (tmp_path / "GPU-1.quarantine").read_text()
    with pytest.raises(InfrastructureError, match="set aside"), lease(folder=tmp_path, nvml=nvml):
        pass


@pytest.mark.parametrize(("free_gib", "used"), [(140, False), (120, True)])
def test_a_gpu_of_which_others_hold_a_part_is_known(free_gib, used):
    assert list_gpus(Nvml(["GPU-1", free_gib, 0]))[0].was_in_use is used


# --- asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "environment", "asker"),
    [
        ("gpu", {}, "--device gpu"),
        ("gpu", {"GRADER_DEVICE": "gpu"}, "GRADER_DEVICE=gpu"),
        ("auto", {"NVIDIA_VISIBLE_DEVICES": "all"}, "NVIDIA_VISIBLE_DEVICES=all"),
    ],
)
def test_a_gpu_that_is_asked_for_and_not_there_is_refused(monkeypatch, device, environment, asker):
    monkeypatch.delenv("GRADER_DEVICE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(InfrastructureError, match=f"^{asker} asks for a GPU") as caught:
        require_device(device, nvml=Nvml(answers=False))
    assert caught.value.cause is Cause.INFRA_GPU
    assert "--gpus all" in caught.value.help
    assert "--device cpu" in caught.value.help


def test_a_gpu_that_is_asked_for_and_there_is_taken():
    require_device("gpu", nvml=Nvml(["GPU-a", 20, 0]))


@pytest.mark.parametrize(
    ("device", "visible"), [("auto", ""), ("auto", "void"), ("auto", "none"), ("cpu", "all")]
)
def test_where_nobody_asks_for_a_gpu_none_is_needed(monkeypatch, device, visible):
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", visible)

    require_device(device, nvml=Nvml(answers=False))


def test_a_backend_that_never_computes_on_a_gpu_is_no_answer_to_the_wish_for_one():
    with pytest.raises(UsageError, match="--device cpu"):
        require_device("gpu", "openvino", nvml=Nvml(["GPU-a", 20, 0]))
