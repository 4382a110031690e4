"""What unit 2 computes by hand is what Keras computes."""

import importlib.util

import numpy as np
import pytest

from grader.resources import assignment_dir

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def by_hand():
    file = assignment_dir() / "units/02-convnets/reference/convnets.py"
    spec = importlib.util.spec_from_file_location("convnets_by_hand", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_convolution_pooling_and_weights_are_those_of_keras(by_hand):
    import keras

    draw = np.random.default_rng(0)
    maps, kernels = draw.normal(size=(9, 12, 3)), draw.normal(size=(3, 3, 3, 5))
    bias, image = draw.normal(size=5), draw.normal(size=(11, 14))

    def of_keras(work, values, *arguments, **keywords):
        batch = np.float32(values.reshape(1, *values.shape[:2], -1))
        return np.array(work(batch, *arguments, **keywords))[0]

    conv = of_keras(keras.ops.conv, maps, np.float32(kernels)) + bias
    assert by_hand.convolve_maps(maps, kernels, bias) == pytest.approx(conv, abs=1e-4)
    one = np.float32(kernels[:, :, :1, :1])
    strided = of_keras(keras.ops.conv, np.pad(image, 1), one, strides=2)[..., 0]
    assert by_hand.convolve(image, one[..., 0, 0], 2, 1) == pytest.approx(strided, abs=1e-4)
    most = of_keras(keras.ops.max_pool, image, 3, 2)[..., 0]
    mean = of_keras(keras.ops.average_pool, image, 3, 2)[..., 0]
    assert by_hand.max_pool(image, 3, 2) == pytest.approx(most, abs=1e-5)
    assert by_hand.average_pool(image, 3, 2) == pytest.approx(mean, abs=1e-5)

    layer = keras.layers.Conv2D(7, 5, strides=3)
    layer.build((None, 20, 20, 4))
    assert by_hand.convolution_weights(5, 4, 7, True) == layer.count_params()
    size = layer.compute_output_shape((None, 20, 20, 4))[1]
    assert by_hand.output_size(20, 5, 3, 0) == size
