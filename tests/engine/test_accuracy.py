"""A network is measured when its reading is proved; every reason not to measure has its cause."""

import json
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from grader.assignment import load_assignment
from grader.domain import Details, Looks, MeasuredAccuracy, Measurement
from grader.engine import accuracy
from grader.engine.data import NoData
from grader.engine.gpu import Gpu
from grader.engine.plan import Unrebuildable
from grader.errors import Cause, InfrastructureError
from grader.graph.evidence import assemble
from grader.graph.numeric import Agreement, run

BORDERLINE = 0.02
ASSIGNMENT = load_assignment(Path(__file__).parents[1] / "example_assignment.toml")

pytestmark = pytest.mark.tensorflow


WEIGHTS = "densenet.weights.h5"


def measure(*arguments, handed_in=WEIGHTS, **options):
    """The accuracy of a submission that came with this weights file."""
    return accuracy.measure(*arguments, handed_in=handed_in, **options)


@pytest.fixture(autouse=True)
def _data(monkeypatch, easy):
    monkeypatch.setattr(accuracy, "find_images", lambda *place: easy)


def evidence(net, cause=None, **changes):
    record = json.loads(net.record)
    record["weights"] = {"file": WEIGHTS, "loaded": True}
    return assemble({"model": json.dumps(record | changes).encode()}, {}, [], cause, "")


def test_an_honest_network_is_measured(small_dense_net, easy, tmp_path):
    own = run(small_dense_net.graphs["inference"], small_dense_net.values, easy.test_images)

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT, scratch=tmp_path)

    assert found.note is found.cause is found.review is None
    assert found.runs[0].correct == int((own.argmax(-1) == easy.test_labels).sum())
    assert (tmp_path / "evaluation" / "result.json").is_file()


def test_weights_other_than_those_the_network_ran_with_go_to_a_person(small_dense_net):
    weights = np.frombuffer(small_dense_net.frames["weights"], "<f4") * np.float32(1.01)
    frames = small_dense_net.frames | {"weights": weights.tobytes()}

    found = measure(evidence(small_dense_net), frames, ASSIGNMENT)

    assert not found.runs
    assert found.cause is None
    assert "is not proved to be the student's" in found.review


@pytest.mark.parametrize(
    ("changes", "cause", "text"),
    [
        ({"weights": {"file": None}}, Cause.STUDENT_BAD_OUTPUT, f"expected {WEIGHTS}"),
        ({"weights": {"file": "other.h5"}}, Cause.STUDENT_BAD_OUTPUT, "received other.h5"),
        (
            {
                "weights": {
                    "file": WEIGHTS,
                    "loaded": False,
                    "failure": {"type": "ValueError", "message": "2 layers", "where": ""},
                }
            },
            Cause.STUDENT_EXCEPTION,
            r"does not fit build_model\(\): ValueError: 2 layers",
        ),
        (
            {"failure": {"type": "TypeError", "message": "no", "where": "densenet.py, line 3"}},
            Cause.STUDENT_EXCEPTION,
            r"build_model\(\): TypeError: no \(densenet.py, line 3\)",
        ),
    ],
    ids=["none loaded", "another file", "other weights", "no network"],
)
def test_what_the_student_left_out_fails_with_its_reason(small_dense_net, changes, cause, text):
    found = measure(evidence(small_dense_net, **changes), small_dense_net.frames, ASSIGNMENT)

    assert not found.runs
    assert found.cause is cause
    assert re.search(text, found.note)


@pytest.mark.parametrize(
    ("broken", "said"),
    [(True, r"NaN or infinity \(1 of \d+ variables"), (False, "own answers are")],
)
def test_a_network_whose_answers_are_no_numbers_fails_by_its_training(
    small_dense_net, broken, said
):
    frames = dict(small_dense_net.frames)
    frames["sample"] = np.full(len(frames["sample"]) // 4, np.nan, "<f4").tobytes()
    if broken:
        frames["weights"] = np.float32(np.inf).tobytes() + frames["weights"][4:]

    found = measure(evidence(small_dense_net), frames, ASSIGNMENT)

    assert found.review is None
    assert found.cause is Cause.STUDENT_BAD_OUTPUT
    assert re.search(said, found.note)
    assert "smaller learning rate" in found.note


@pytest.mark.parametrize("claim", [{"file": WEIGHTS, "loaded": True}, {"file": None}])
def test_what_a_program_says_of_its_weights_is_no_evidence_that_any_were_handed_in(
    small_dense_net, claim
):
    found = measure(
        evidence(small_dense_net, weights=claim), small_dense_net.frames, ASSIGNMENT, handed_in=None
    )

    assert not found.runs
    assert found.cause is Cause.SUBMISSION_MISSING_FILE


@pytest.mark.parametrize("retrain", [False, True])
def test_a_network_of_another_architecture_has_no_accuracy(small_dense_net, monkeypatch, retrain):
    monkeypatch.setattr(accuracy, "why_not_dense", lambda graph: "is a chain")

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT, retrain=retrain)

    assert not found.runs
    assert found.cause is Cause.STUDENT_OTHER_NETWORK
    assert found.note.endswith("a densely connected network alone; build_model() is a chain")


def test_a_course_that_asks_for_no_densenet_measures_any_network(small_dense_net, monkeypatch):
    monkeypatch.setattr(accuracy, "why_not_dense", lambda graph: "is a chain")
    other = ASSIGNMENT.model_copy(update={"probes": None})

    found = measure(evidence(small_dense_net), small_dense_net.frames, other)

    assert found.runs[0] is not None


@pytest.mark.parametrize("backend", ["openvino", "tensorflow"])
def test_a_network_behind_images_standardised_one_by_one_is_measured(easy, tmp_path, backend):
    import tensorflow as tf

    from tests.graph import tracing

    built = []

    def build():
        built.append(tracing.dense_net())
        return built[0]

    net = tracing.trace_model(build, tf.image.per_image_standardization)
    own = np.asarray(built[0](tf.image.per_image_standardization(easy.test_images)))

    chosen = accuracy.Instruments(backend=backend)
    found = measure(evidence(net), net.frames, ASSIGNMENT, scratch=tmp_path, instruments=chosen)

    assert found.review is found.cause is None
    assert found.runs[0].correct == int((own.argmax(-1) == easy.test_labels).sum())
    sure = np.load(tmp_path / "evaluation" / "confidence.npy")
    assert np.allclose(sure, own.max(-1), atol=1e-5)
    assert np.ptp(sure) > 1e-4


@pytest.mark.parametrize("retrain", [False, True])
def test_images_that_are_prepared_by_their_batch_are_not_measured_and_say_so(
    small_dense_net, retrain
):
    found = measure(
        evidence(small_dense_net, preprocess={"traced": True, "of_batch": True}),
        small_dense_net.frames,
        ASSIGNMENT,
        retrain=retrain,
    )

    assert found.review is None
    assert not found.runs
    assert found.cause is Cause.STUDENT_FORBIDDEN_OP
    assert "change with the other images of the batch" in found.note


def test_weights_that_did_not_arrive_whole_are_no_weights(small_dense_net):
    frames = small_dense_net.frames | {"weights": small_dense_net.frames["weights"][:-4]}

    found = measure(evidence(small_dense_net), frames, ASSIGNMENT)

    assert found.cause is Cause.STUDENT_BAD_OUTPUT


@pytest.mark.parametrize(
    "sample",
    [{"shape": [2, 10**6], "failure": None}, {"shape": None, "failure": None}, {}],
    ids=["giant", "none", "empty"],
)
def test_a_sample_that_is_none_proves_nothing(small_dense_net, sample):
    found = measure(evidence(small_dense_net, sample=sample), small_dense_net.frames, ASSIGNMENT)

    assert not found.runs
    assert found.review


@pytest.mark.parametrize(
    "lie",
    [
        {"sample": {"shape": "x"}},
        {"sample": {"shape": [2, 10**9], "failure": None}},
        {"sample": {"shape": None, "failure": "it failed"}},
        {"weights": {"file": "w.keras", "loaded": False, "failure": ["no", "object"]}},
        {"weights": {"file": {}, "loaded": "yes"}},
    ],
)
def test_an_account_of_weights_or_sample_that_is_none_is_bad_output(small_dense_net, lie):
    found = measure(evidence(small_dense_net, **lie), small_dense_net.frames, ASSIGNMENT)

    assert not found.runs
    assert found.cause is Cause.STUDENT_BAD_OUTPUT
    assert "not well formed" in found.note


@pytest.mark.parametrize("shape", [[2**20] * 4, [2, 32, 32], [3, 32, 32, 3], [], [2, 2**20, 1, 9]])
def test_images_that_the_network_was_never_shown_prove_nothing(small_dense_net, shape):
    found = measure(
        evidence(small_dense_net, input_shape=shape), small_dense_net.frames, ASSIGNMENT
    )

    assert not found.runs
    assert "not for the images that it was shown" in found.review


def test_without_data_nothing_is_measured_and_nobody_is_at_fault(small_dense_net, monkeypatch):
    monkeypatch.setattr(accuracy, "find_images", lambda *place: NoData("it is nowhere"))

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)

    assert found == MeasuredAccuracy(note="it is nowhere")


def test_damaged_data_are_the_machines_fault(small_dense_net, monkeypatch):
    def damaged(*place):
        raise InfrastructureError(Cause.INFRA_DATA, "half a file")

    monkeypatch.setattr(accuracy, "find_images", damaged)

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)

    assert found.cause is Cause.INFRA_DATA


def test_a_trace_that_this_machine_lost_is_the_machines_fault():
    found = measure(assemble({}, {}, [], Cause.INFRA_SANDBOX, "no sandbox"), {}, ASSIGNMENT)

    assert found.cause is Cause.INFRA_SANDBOX


def test_a_trace_that_ended_by_the_student_is_the_students():
    found = measure(assemble({}, {}, [], Cause.STUDENT_TIMEOUT, "too slow"), {}, ASSIGNMENT)

    assert found.cause is Cause.STUDENT_TIMEOUT


def test_retraining_needs_no_weights_and_follows_the_submissions_recipe(small_dense_net, tmp_path):
    (tmp_path / "recipe.toml").write_text("epochs = 2\nbatch_size = 20\n")

    found = measure(
        evidence(small_dense_net, weights={"file": None}),
        small_dense_net.frames,
        ASSIGNMENT,
        scratch=tmp_path,
        retrain=True,
    )

    assert found.runs[0].mode == "retrain"
    assert len(found.runs[0].details.epochs) == 2


def test_a_recipe_that_is_none_fails_with_its_mistake(small_dense_net, tmp_path):
    (tmp_path / "recipe.toml").write_text("epochs = -1\n")

    found = measure(
        evidence(small_dense_net),
        small_dense_net.frames,
        ASSIGNMENT,
        scratch=tmp_path,
        retrain=True,
    )

    assert found.cause is Cause.SUBMISSION_BAD_RECIPE
    assert "epochs" in found.note


def trained(data, correct, seed=0):
    """A measurement as retraining gives it, of 40 images."""
    return Measurement(
        mode="retrain",
        images=40,
        of_images=40,
        correct=correct,
        wall_time_s=9.0,
        allowed_s=10.0,
        device="CPU",
        dataset=data.dataset,
        details=Details(seed=seed),
    )


def retrained_with(monkeypatch, net, data, results, **rule):
    """Retrain with results that are given; returns the runs and the seeds that were taken."""
    seeds = []

    def one(network, job, images, place):
        seeds.append(job.recipe.seed)
        return trained(data, results[len(seeds) - 1], job.recipe.seed)

    monkeypatch.setattr(accuracy, "retrain_in_child", one)
    table = ASSIGNMENT.evaluation.model_copy(update=rule)
    assignment = ASSIGNMENT.model_copy(update={"evaluation": table})
    return measure(evidence(net), net.frames, assignment, retrain=True).runs, seeds


def test_a_clear_accuracy_is_decided_by_one_training(small_dense_net, easy, monkeypatch):
    found, seeds = retrained_with(
        monkeypatch, small_dense_net, easy, [40], borderline=BORDERLINE, seeds=3
    )

    assert len(seeds) == 1
    assert [run.correct for run in found] == [40]


def test_a_borderline_accuracy_is_measured_with_further_seeds(small_dense_net, easy, monkeypatch):
    found, seeds = retrained_with(
        monkeypatch, small_dense_net, easy, [34, 37, 36], borderline=BORDERLINE, seeds=3
    )

    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    assert [run.correct for run in found] == [34, 37, 36]


def test_what_no_honest_network_shows_goes_to_a_person_with_its_accuracy(
    small_dense_net, easy, monkeypatch
):
    def evaluated(plan, data, **arguments):
        suspicions = ("test 100.0%, train 50.0%",)
        details = Details(looks=Looks.model_construct(suspicions=suspicions))
        return trained(data, 40).model_copy(update={"mode": "weights", "details": details})

    monkeypatch.setattr(accuracy, "evaluate_in_child", evaluated)

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)

    assert found.runs[0].accuracy == 1.0
    assert found.review.endswith("may have seen the test images: test 100.0%, train 50.0%")


class Lender:
    """In place of the lease: notes when a GPU is held."""

    def __init__(self, monkeypatch):
        self.held = False
        self.gpu = Gpu("GPU-1", "NVIDIA H200", 140 * 2**30, 141 * 2**30, 0)
        monkeypatch.setattr(accuracy, "list_gpus", lambda: [self.gpu])
        monkeypatch.setattr(accuracy, "lease", self.lease)

    @contextmanager
    def lease(self, **options):
        self.held = True
        yield self.gpu
        self.held = False


def test_a_gpu_is_held_while_the_images_are_shown_and_not_while_the_reading_is_proved(
    small_dense_net, easy, monkeypatch
):
    lender, seen = Lender(monkeypatch), {}

    def proved(*arguments):
        seen["proof"] = lender.held
        return Agreement(True)

    def evaluated(plan, data, *, gpu, **arguments):
        seen["evaluation"] = lender.held, gpu
        details = Details()
        return trained(data, 40).model_copy(update={"mode": "weights", "details": details})

    monkeypatch.setattr(accuracy, "_agreement", proved)
    monkeypatch.setattr(accuracy, "evaluate_in_child", evaluated)

    measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)

    assert seen == {"proof": False, "evaluation": (True, "GPU-1")}
    assert not lender.held


def test_a_submission_without_weights_never_holds_a_gpu(small_dense_net, monkeypatch):
    Lender(monkeypatch)
    monkeypatch.setattr(accuracy, "lease", lambda **options: pytest.fail("a GPU was lent"))

    found = measure(evidence(small_dense_net, weights={}), {}, ASSIGNMENT, handed_in=None)

    assert found.cause is Cause.SUBMISSION_MISSING_FILE


@pytest.mark.parametrize(("tolerance", "said"), [(2e-2, True), (1e-4, False)])
def test_a_network_in_half_precision_is_measured_with_a_note_on_its_rounding(
    small_dense_net, easy, monkeypatch, tolerance, said
):
    def evaluated(plan, data, **arguments):
        return trained(data, 40).model_copy(update={"mode": "weights", "details": Details()})

    monkeypatch.setattr(accuracy, "evaluate_in_child", evaluated)
    monkeypatch.setattr(accuracy, "tolerance_of", lambda trace: tolerance)

    found = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)

    assert bool(found.runs[0].details.notes) is said


def test_a_network_that_cannot_be_rebuilt_is_named_the_same_in_both_modes(
    small_dense_net, monkeypatch
):
    def refuses(graph, values):
        raise Unrebuildable("the operation TopKV2")

    monkeypatch.setattr(accuracy, "make_plan", refuses)

    weights = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT)
    retrain = measure(evidence(small_dense_net), small_dense_net.frames, ASSIGNMENT, retrain=True)

    assert weights == retrain
    assert weights.cause is Cause.STUDENT_FORBIDDEN_OP
    assert "TopKV2" in weights.note
