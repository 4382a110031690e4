"""The reference solution on real images: the report's accuracy is its own network's, exactly."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from grader.assignment import load_assignment
from grader.engine.accuracy import trained_values
from grader.engine.data import NoData, find_images
from grader.engine.evaluate import evaluate_in_child
from grader.engine.plan import make_plan
from grader.graph.evidence import assemble
from grader.inside.tracing import trained
from grader.paper import Configuration
from tests.graph import tracing

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "reference_solution"
WEIGHTS = REFERENCE / "densenet.weights.h5"
IMAGES = 300

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="the reference solution has no weights yet"),
]


@pytest.fixture(scope="module")
def reference():
    """The reference solution's module."""
    spec = importlib.util.spec_from_file_location("reference_densenet", REFERENCE / "densenet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data():
    found = find_images()
    if isinstance(found, NoData) or "GRADER_DATA" not in os.environ:
        pytest.skip("GRADER_DATA does not name a folder with CIFAR-10")
    return found


@pytest.mark.data
def test_the_reported_accuracy_is_that_of_its_own_network_to_the_last_image(reference, data):
    channel = tracing.Channel()
    wanted = {
        "input_shape": [32, 32, 3],
        "modes": ["inference", "training"],
        "seed": 1,
        "weights": WEIGHTS.name,
    }
    answer = trained.answer(reference, wanted, REFERENCE, channel)
    model = assemble({"model": json.dumps({"failure": None, **answer}).encode()}, {}, []).model
    plan = make_plan(model.graph, trained_values(model.record, channel.binary, WEIGHTS.name))
    own = reference.build_model()
    own.load_weights(WEIGHTS)
    images = np.asarray(reference.preprocess(data.test_images[:IMAGES]))
    predicted = own.predict(images, verbose=0).argmax(-1)

    found = evaluate_in_child(
        plan,
        data,
        time_budget_s=300,
        images=IMAGES,
    )

    assert found.correct == int((predicted == data.test_labels[:IMAGES]).sum())
    assert found.images == IMAGES
    assert found.details.looks.suspicions == ()


def test_its_curve_ends_above_the_threshold():
    threshold = load_assignment(ROOT / "assignment").evaluation.threshold

    history = json.loads((REFERENCE / "training.json").read_text(encoding="utf-8"))

    assert history["test_accuracy"] > threshold


def test_its_network_has_the_papers_parameters(reference):
    model = reference.build_model()

    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == Configuration(13, 32, 0.5, bottleneck=False).count().trainable
