"""The accuracy is counted here, from labels that a child gave which never saw the true ones."""

import dataclasses
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from grader.domain import Details, Spent
from grader.engine import child, devices, exchange, measure
from grader.engine import evaluate as module
from grader.engine.devices import installed
from grader.engine.evaluate import batch_for, counted, evaluate_in_child, predict_in_child, runtimes
from grader.engine.exchange import NOT_A_NUMBER, labels_of
from grader.engine.measure import Measured
from grader.engine.plan import make_plan
from grader.errors import Cause, InfrastructureError, StageFailed
from grader.graph.numeric import run

needs_openvino = pytest.mark.skipif(not installed("openvino"), reason="OpenVINO is not installed")
MEASURED = Measured(
    runtime="openvino",
    version="OpenVINO 1",
    device="CPU",
    batch=8,
    threads=1,
    images=4,
    times=Spent(evaluation_s=2.0),
)


@pytest.fixture(scope="session")
def plan(small_dense_net):
    return make_plan(small_dense_net.graphs["inference"], small_dense_net.values)


def judged(data, predicted, **changes):
    predicted = np.array(predicted, np.int64)
    arguments = {"time_budget_s": 10.0, "asked": len(predicted), "more": Details()} | changes
    return counted(predicted, data.test_labels[: len(predicted)], MEASURED, data, **arguments)


def own_labels(net, images):
    """What the network itself says, computed apart from all that is tested here."""
    return run(net.graphs["inference"], net.values, images).argmax(-1)


@pytest.mark.tensorflow
@pytest.mark.parametrize("backend", [pytest.param("openvino", marks=needs_openvino), "tensorflow"])
def test_the_accuracy_is_the_networks_own_to_the_last_image(small_dense_net, plan, easy, backend):
    own = own_labels(small_dense_net, easy.test_images)

    found = evaluate_in_child(plan, easy, time_budget_s=60, backend=backend, threads=1)

    assert found.correct == int((own == easy.test_labels).sum())
    assert found.images == 40
    assert found.details.runtime == backend
    assert found.wall_time_s == found.details.times.evaluation_s > 0


@pytest.mark.tensorflow
def test_where_the_fastest_runtime_fails_the_next_one_measures(plan, easy, monkeypatch):
    monkeypatch.setattr(module, "runtimes", lambda *asked: ("jax-that-is-none", "tensorflow"))
    monkeypatch.setitem(module.BATCH, "jax-that-is-none", 8)
    monkeypatch.setattr(module, "Job", lambda **fields: _job(fields))

    found = evaluate_in_child(plan, easy, time_budget_s=60, images=5)

    assert found.details.runtime == "tensorflow"
    assert found.images == 5


def _job(fields):
    if fields["runtime"] == "jax-that-is-none":
        return measure.Job.model_construct(**fields)
    return measure.Job(**fields)


def test_an_image_answered_with_a_nan_is_never_right():
    answers = np.zeros((3, 10), np.float32)
    answers[0, 3] = np.nan
    answers[1, 3] = np.inf
    answers[2, 3] = 1

    assert labels_of(answers).tolist() == [NOT_A_NUMBER, NOT_A_NUMBER, 3]


def test_the_confusion_table_counts_each_image_once(easy):
    found = judged(easy, [0, 1, 9, NOT_A_NUMBER])

    assert found.correct == 2
    assert found.images == 4
    assert found.details.no_answer == 1
    assert found.details.confusion[2][9] == 1
    assert sum(map(sum, found.details.confusion)) == 3


def test_images_that_a_slow_network_left_no_time_for_are_counted_as_not_shown(easy):
    found = judged(easy, [0, 1, 2, 3], time_budget_s=1.0, asked=40)

    assert (found.images, found.of_images) == (4, 40)


def test_images_that_a_busy_machine_left_no_time_for_are_the_machines_fault(easy):
    with pytest.raises(InfrastructureError, match="only 4 images could be shown") as caught:
        judged(easy, [0, 1, 2, 3], asked=40)

    assert caught.value.cause is Cause.INFRA_INTERRUPTED


def test_time_that_other_programs_took_is_not_charged(easy):
    times = Spent(evaluation_s=20.0, charged_s=6.0)
    busy = MEASURED.model_copy(update={"times": times})

    found = counted(
        np.array([0, 1, 2, 3]), easy.test_labels[:4], busy, easy,
        time_budget_s=10.0, asked=4, more=Details(),
    )  # fmt: skip

    assert (found.wall_time_s, found.charged_s) == (20.0, 6.0)


@pytest.mark.parametrize(
    ("device", "threads", "charged"),
    [("CPU", 1, 5.0), ("CPU", 2, 2.5), ("NVIDIA H200", None, 8.0)],
)
def test_a_cpu_is_charged_by_work_and_a_leased_gpu_by_the_clock(
    monkeypatch, device, threads, charged
):
    monkeypatch.setattr(measure, "cores", lambda: 2)

    assert measure.charge(8.0, 5.0, device, threads) == charged
    assert measure.charge(2.0, 5.0, device, threads) == 2.0


def test_a_device_that_multiplies_rightly_is_well():
    devices.try_device(0.0, np.matmul)


def test_one_wrong_number_makes_a_device_unwell():
    def flips_a_bit(a, b):
        product = a @ b
        product[3, 7] += 1
        return product

    with pytest.raises(devices.Unwell, match="1 of 1048576 numbers"):
        devices.try_device(0.0, flips_a_bit)


@pytest.mark.tensorflow
def test_a_plan_that_the_child_cannot_read_is_the_graders_fault(plan, easy, tmp_path, monkeypatch):
    monkeypatch.setattr(type(plan), "save", lambda self, path: path.write_bytes(b"none"))

    with pytest.raises(InfrastructureError) as caught:
        predict_in_child(plan, {"test": easy.test_images[:2]}, stop_after_s=9, folder=tmp_path)

    assert caught.value.cause is Cause.INFRA_TENSORFLOW


def test_a_child_that_was_killed_for_memory_is_told_from_a_crash(tmp_path, plan, monkeypatch):
    def killed(command, **options):
        return child.subprocess.CompletedProcess(command, -9, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", killed)

    with pytest.raises(InfrastructureError) as caught:
        predict_in_child(plan, {"test": np.zeros((2, 32, 32, 3), np.uint8)}, stop_after_s=1)

    assert caught.value.cause is Cause.INFRA_MEMORY


def test_a_child_that_hangs_is_ended(plan, monkeypatch):
    def hangs(command, **options):
        raise child.subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(child.subprocess, "run", hangs)

    with pytest.raises(InfrastructureError, match="hung"):
        predict_in_child(plan, {"test": np.zeros((2, 32, 32, 3), np.uint8)}, stop_after_s=1)


@pytest.mark.tensorflow
def test_nothing_of_the_exchange_is_left_but_what_a_person_may_want(plan, easy, tmp_path):
    predict_in_child(plan, {"test": easy.test_images[:2]}, stop_after_s=9, folder=tmp_path)

    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["confidence.npy", "job.json", "labels-test.npy", "plan.npz", "result.json"]
    assert "label" not in json.loads((tmp_path / "job.json").read_text())


@pytest.mark.tensorflow
def test_when_time_is_over_the_child_stops_and_says_how_far_it_came(plan):
    sets = {"test": np.zeros((2000, 32, 32, 3), np.uint8)}

    answers, measured = predict_in_child(plan, sets, stop_after_s=1e-6)

    assert len(answers.labels["test"]) == measured.images == measured.batch


class Slow:
    """A runner that takes its time for each image, on a clock of its own."""

    device, batch = "CPU", 1

    def __init__(self, clock, image_s):
        self.clock, self.image_s, self.calls = clock, image_s, []

    def predict(self, images):
        self.clock["now"] += self.image_s * len(images)
        self.calls.append(len(images))
        return np.zeros((len(images), 10), np.float32)


@pytest.mark.parametrize(("image_s", "answered", "largest"), [(0.9, 13, 2), (1e-4, 2000, 500)])
def test_a_slow_network_too_is_stopped_on_time(monkeypatch, image_s, answered, largest):
    clock = {"now": 0.0}
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(measure.time, name, lambda: clock["now"])
    monkeypatch.setattr(measure, "charge", lambda spent, *rest: spent)
    job = measure.Job(runtime="tensorflow", batch=1, stop_after_s=10)
    runner = Slow(clock, image_s)

    shared = measure.Clock(job, "CPU")
    answers = measure._predict(runner, np.zeros((2000, 1)), job, shared)

    assert (len(answers), max(runner.calls) <= largest) == (answered, True)
    assert shared.spent_s <= job.stop_after_s + 2 * image_s


@pytest.mark.parametrize(
    ("image_s", "answered"),
    [(0.04, [100, 100, 63]), (0.11, [95, 0, 0]), (1e-4, [100, 100, 100])],
    ids=["over in a further set", "over in the first set", "quick"],
)
def test_one_clock_runs_over_all_image_sets(monkeypatch, image_s, answered):
    clock = {"now": 0.0}
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(measure.time, name, lambda: clock["now"])
    monkeypatch.setattr(measure, "charge", lambda spent, *rest: spent)
    monkeypatch.setattr(measure, "_import", lambda runtime: None)
    monkeypatch.setattr(measure, "open_runner", lambda plan, job: Slow(clock, image_s))
    monkeypatch.setattr(Slow, "version", "none", raising=False)
    names = ("test", "test-mirrored", "train")
    job = measure.Job(runtime="tensorflow", batch=1, stop_after_s=10, sets=names)

    measured, answers = measure.run_plan(None, job, {n: np.zeros((100, 1)) for n in names})

    assert [len(answers.labels[name]) for name in names] == answered
    assert measured.images == answered[0]
    assert measured.times.evaluation_s + measured.times.further_s <= 10 + 2


def test_looks_that_a_busy_machine_left_no_time_for_are_the_machines_fault(plan, easy, monkeypatch):
    def child_gives(plan, sets, **options):
        labels = {name: np.zeros(len(images), np.int64) for name, images in sets.items()}
        labels["train"] = labels["train"][:3]
        return exchange.Answers(labels, np.zeros(len(labels["test"]), np.float32)), MEASURED

    monkeypatch.setattr(module, "predict_in_child", child_gives)

    with pytest.raises(InfrastructureError, match="not all further images") as caught:
        evaluate_in_child(plan, easy, time_budget_s=10)

    assert caught.value.cause is Cause.INFRA_INTERRUPTED


@pytest.mark.parametrize("suspicious", [False, True])
def test_mirrored_training_images_are_shown_where_something_is_suspicious(
    plan, easy, monkeypatch, suspicious
):
    asked = []

    def child_gives(plan, sets, **options):
        asked.append((list(sets), options.get("folder")))
        labels = {name: np.full(len(images), -1) for name, images in sets.items()}
        if suspicious and "test" in labels:
            labels["test"] = easy.test_labels
        return exchange.Answers(labels, np.zeros(len(easy.test_labels), np.float32)), MEASURED

    monkeypatch.setattr(module, "predict_in_child", child_gives)

    data = dataclasses.replace(easy, name="cifar10")
    looks = evaluate_in_child(plan, data, time_budget_s=1).details.looks

    further = [(["train-mirrored"], None)] if suspicious else []
    assert asked[1:] == further
    assert bool(looks.suspicions) == suspicious
    assert (looks.train_mirrored is not None) == suspicious


def test_a_second_look_that_fails_takes_nothing_from_what_was_measured(plan, easy, monkeypatch):
    def child_gives(plan, sets, **options):
        if "test" not in sets:
            raise InfrastructureError(Cause.INFRA_MEMORY, "no memory", "")
        labels = {name: np.full(len(images), -1) for name, images in sets.items()}
        labels["test"] = easy.test_labels
        return exchange.Answers(labels, np.zeros(len(easy.test_labels), np.float32)), MEASURED

    monkeypatch.setattr(module, "predict_in_child", child_gives)

    found = evaluate_in_child(plan, dataclasses.replace(easy, name="cifar10"), time_budget_s=1)

    assert found.correct == found.images
    assert found.details.looks.suspicions
    assert found.details.looks.train_mirrored is None


def test_what_was_fastest_for_a_network_is_not_tried_again_for_other_weights(plan, monkeypatch):
    jobs = []

    def child_gives(place, job, gpu):
        jobs.append(job)
        return exchange.Answers({}, np.zeros(0, np.float32)), MEASURED.model_copy(
            update={"batch": 4}
        )

    def with_arrays(change):
        instructions = [
            dataclasses.replace(i, arrays=tuple(map(change, i.arrays))) for i in plan.instructions
        ]
        return dataclasses.replace(plan, instructions=tuple(instructions))

    monkeypatch.setattr(module, "_fastest", {})
    monkeypatch.setattr(module, "_ask_child", child_gives)
    other = with_arrays(lambda array: array + 1)
    shorter = dataclasses.replace(plan, instructions=plan.instructions[:-1])
    asked = [(plan, 1), (other, 1), (other, 2), (shorter, 1)]
    for each, threads in asked:
        images = {"test": np.zeros((1, 32, 32, 3), np.uint8)}
        predict_in_child(each, images, stop_after_s=1, backend="openvino", threads=threads)

    assert [(job.batch, job.tried) for job in jobs] == [
        (8, False),
        (4, True),
        (8, False),
        (8, False),
    ]


def test_a_network_that_used_up_its_processor_time_is_slow_and_no_other_runtime_is_tried(
    plan, monkeypatch
):
    tried = []

    def ends(command, **options):
        tried.append(command)
        return child.subprocess.CompletedProcess(command, -24, b"", b"")

    monkeypatch.setattr(child.subprocess, "run", ends)
    monkeypatch.setattr(module, "runtimes", lambda *asked: ("tensorflow", "tensorflow"))

    with pytest.raises(StageFailed, match="too slow to be measured") as caught:
        predict_in_child(plan, {"test": np.zeros((2, 32, 32, 3), np.uint8)}, stop_after_s=1)

    assert caught.value.cause is Cause.STUDENT_TIMEOUT
    assert len(tried) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_kernel_ends_a_computation_that_cannot_end_itself(tmp_path):
    program = """
import sys
from grader.engine import measure
measure.START_S, measure.cores = 1, lambda: 1
measure.limit_processor(measure.Job(runtime="tensorflow", batch=1, stop_after_s=0))
for _ in range(10**10): pass
"""
    ended = subprocess.run([sys.executable, "-c", program], timeout=300, check=False)

    assert ended.returncode == module.OUT_OF_PROCESSOR_TIME


def test_a_network_that_cannot_fit_is_refused_before_anything_runs(plan, easy, monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 2)
    monkeypatch.setattr(module, "predict_in_child", lambda *a, **o: pytest.fail("it was run"))
    budget = plan.multiplications * len(easy.test_images) / (2 * module.FASTEST)

    with pytest.raises(StageFailed, match="multiplications an image; at most") as caught:
        evaluate_in_child(plan, easy, time_budget_s=0.99 * budget)

    assert f"{plan.multiplications:,}" in caught.value.message
    assert caught.value.cause is Cause.STUDENT_TIMEOUT
    module.refuse_slow(plan, 1.01 * budget, len(easy.test_images))


def test_the_papers_larger_networks_are_not_refused_unseen_on_two_cores(monkeypatch):
    monkeypatch.setattr(measure, "cores", lambda: 2)
    bc_250 = SimpleNamespace(multiplications=5_418_785_724)

    module.refuse_slow(bc_250, 300)


def test_a_network_with_giant_maps_is_shown_fewer_images_at_a_time(plan):
    first = dataclasses.replace(plan.instructions[0], shape=(4096, 4096, 3))
    giant = dataclasses.replace(plan, instructions=(first, *plan.instructions[1:]))

    assert batch_for(giant, "tensorflow") == 1
    assert batch_for(plan, "tensorflow") == module.BATCH["tensorflow"]


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="expected one of openvino, tensorflow"):
        runtimes("torch")


@pytest.mark.tensorflow
def test_pictures_lie_beside_the_exchange(plan, easy, tmp_path):
    found = evaluate_in_child(plan, easy, time_budget_s=60, folder=tmp_path)

    assert "confusion.svg" in found.details.pictures
    assert all((tmp_path / name).is_file() for name in found.details.pictures)


def test_confidence_is_a_probability_of_logits_and_of_probabilities_alike():
    logits = np.array([[0.0, 0.0], [0.0, np.log(3)]], np.float32)

    assert exchange.confidence_of(logits).tolist() == pytest.approx([0.5, 0.75])
    assert exchange.confidence_of(np.array([[0.9, 0.1]], np.float32)).tolist() == pytest.approx(
        [0.9]
    )
