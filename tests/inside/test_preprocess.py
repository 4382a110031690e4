"""NumPy code in `preprocess` is followed by what it gives, and told apart from what cannot be."""

import numpy as np
import pytest

from grader.inside.tracing import preprocess as reading

pytestmark = pytest.mark.tensorflow

SIZE = [32, 32, 3]
MEAN_IMAGE = np.random.default_rng(5).uniform(90, 140, SIZE).astype(np.float32)
EACH = (1, 2, 3)


def floats(images):
    return np.asarray(images, "float32")


KNOWN = {
    "scaled": lambda x: x / 255.0,
    "scaled by channel": lambda x: (x / 255.0 - [0.49, 0.48, 0.45]) / [0.25, 0.24, 0.26],
    "BGR": lambda x: x[..., ::-1].astype("float32") / 255.0,
    "BGR of Caffe": lambda x: floats(x)[..., ::-1] - [103.9, 116.8, 123.7],
    "a mean image": lambda x: (floats(x) - MEAN_IMAGE) / 64,
    "mixed channels": lambda x: floats(x) @ np.array([[0.3, 0.1, 1], [0.6, 0.2, 0], [0.1, 0.7, 0]]),
    "grey three times": lambda x: np.repeat(floats(x).mean(-1, keepdims=True), 3, -1) / 255,
    "gamma": lambda x: (floats(x) / 255) ** 0.45,
    "clipped": lambda x: np.clip(x, 20, 200) / 255.0,
    "standardised": lambda x: (
        (floats(x) - floats(x).mean(EACH, keepdims=True)) / floats(x).std(EACH, keepdims=True)
    ),
    "standardised by channel": lambda x: (
        (floats(x) - floats(x).mean((1, 2), keepdims=True))
        / (floats(x).std((1, 2), keepdims=True) + 1e-7)
    ),
    "with an epsilon inside": lambda x: (
        (x / 255.0 - (x / 255.0).mean(EACH, keepdims=True))
        / np.sqrt((x / 255.0).var(EACH, keepdims=True) + 1e-3)
    ),
    "between 0 and 1": lambda x: (
        (floats(x) - x.min(EACH, keepdims=True))
        / (x.max(EACH, keepdims=True) - floats(x).min(EACH, keepdims=True))
    ),
    "by the brightest": lambda x: x / floats(x).max(EACH, keepdims=True),
    "centred": lambda x: floats(x) - floats(x).mean(EACH, keepdims=True),
    "one image at a time": lambda x: np.stack([(i - i.mean()) / i.std() for i in floats(x)]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_function_of_one_image_is_followed(name):
    entry, note = reading.traceable(lambda x: KNOWN[name](np.asarray(x.copy())), [2, *SIZE])
    images = reading._pictures(9, SIZE, 4)

    expected = KNOWN[name](images)
    assert note == {"traced": False, "known": True, "of_batch": False}
    assert np.allclose(entry(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("preprocess", "habit"),
    [
        (lambda x: (floats(x) - floats(x).mean()) / floats(x).std(), {"of_batch": True}),
        (lambda x: x / floats(x).max(), {"of_batch": True}),
        (lambda x: x / 255 + np.random.normal(size=x.shape), {"random": True}),
    ],
    ids=["standardised by batch", "by the brightest of the batch", "noise"],
)
def test_what_is_no_function_of_one_image_is_noted(preprocess, habit):
    _, note = reading.traceable(preprocess, [2, *SIZE])

    assert {key: note.get(key) for key in habit} == habit
    assert note["traced"] or not note["known"]


def test_code_for_tensors_is_traced_and_its_habits_noted():
    import tensorflow as tf

    _, alone = reading.traceable(tf.image.per_image_standardization, [2, *SIZE])
    _, mixed = reading.traceable(lambda x: x / tf.reduce_max(x), [2, *SIZE])

    assert alone == {"traced": True, "of_batch": False}
    assert mixed == {"traced": True, "of_batch": True}


def test_code_that_gives_no_images_is_left_to_its_own_failure():
    entry, note = reading.traceable(lambda x: x.nothing, [2, *SIZE])

    assert note == {"traced": False, "known": False}
    assert entry(np.zeros((2, *SIZE), np.uint8)).dtype == "float32"
