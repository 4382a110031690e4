"""A network is described as it runs: with its weights loaded, fed what its own input asks for."""

import types

import numpy as np
import pytest

from grader.graph.numeric import run
from grader.inside.tracing import probes, weights
from tests.graph import tracing
from tests.graph.writing import agrees

pytestmark = pytest.mark.tensorflow


def small(dtype=None, first=None):
    """A few layers behind `first`."""
    import keras
    from keras import layers

    inputs = keras.Input((32, 32, 3), dtype=dtype)
    x = first(inputs) if first is not None else inputs
    x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def test_a_normalisation_has_the_mean_and_variance_that_came_with_the_weights(tmp_path):
    from keras import layers

    def build():
        return small(first=layers.Normalization())

    trained = build()
    trained.layers[1].adapt(np.random.default_rng(0).normal(120, 60, (50, 32, 32, 3)))
    trained.save_weights(tmp_path / "densenet.weights.h5")

    found = tracing.trace_model(build, weights=tmp_path / "densenet.weights.h5")

    assert np.abs(found.expected).max() < 10
    assert agrees(found.expected, run(found.graphs["inference"], found.values, found.images))


@pytest.mark.parametrize("name", ["densenet.weights.h5", "densenet.h5", "model.keras"])
@pytest.mark.parametrize("layout", ["of Keras 2", "of Keras 3"])
def test_a_weights_file_is_read_by_its_layout_whatever_it_is_called(tmp_path, name, layout):
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    trained = small()
    if layout == "of Keras 2":
        with h5py.File(tmp_path / name, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, trained)
    else:
        trained.save_weights(tmp_path / "own.weights.h5")
        (tmp_path / "own.weights.h5").rename(tmp_path / name)
    model = small()

    assert weights.load(model, name, tmp_path) == {"file": name, "loaded": True}
    assert all(
        np.array_equal(a, b)
        for a, b in zip(model.get_weights(), trained.get_weights(), strict=True)
    )


def test_a_whole_model_saved_by_keras_3_is_read_under_another_ending(tmp_path):
    trained = small()
    trained.save(tmp_path / "own.keras")
    (tmp_path / "own.keras").rename(tmp_path / "densenet.weights.h5")

    assert weights.load(small(), "densenet.weights.h5", tmp_path)["loaded"]


def test_where_no_link_may_be_made_a_weights_file_is_read_all_the_same(tmp_path, monkeypatch):
    """As under Windows, which asks for a privilege."""

    def refuse(*_, **__):
        raise OSError(22, "A required privilege is not held by the client")

    small().save(tmp_path / "densenet.weights.h5.keras")
    (tmp_path / "densenet.weights.h5.keras").rename(tmp_path / "densenet.weights.h5")
    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)

    assert weights.load(small(), "densenet.weights.h5", tmp_path)["loaded"]


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_weights_file_is_told_as_keras_tells_it(tmp_path, content):
    (tmp_path / "densenet.weights.h5").write_bytes(content)

    found = weights.load(small(), "densenet.weights.h5", tmp_path)

    assert not found["loaded"]
    assert found["failure"]["message"]
    assert "/tmp" not in found["failure"]["message"]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", None])
def test_a_probe_feeds_what_the_networks_own_input_asks_for(dtype):
    from keras import layers

    module = types.SimpleNamespace(
        build_densenet=lambda **wanted: small(dtype, layers.Rescaling(1 / 255))
    )
    probe = {
        "id": "n", "function": "build_densenet", "modes": ["inference"],
        "keywords": {"input_shape": [32, 32, 3]},
    }  # fmt: skip

    answer = probes._probe(module, probe, tracing.Channel())

    ops = {node[0]: node for node in answer["graphs"]["inference"]["nodes"]}
    assert ops["Placeholder"][4][0][0] == (dtype or "float32")
    assert not {"uint8", "int32"} & {node[3].get("DstT") for node in ops.values()}


def test_an_image_cast_to_bytes_is_the_image_and_maps_cast_to_bytes_are_not():
    from keras import ops

    def cast(x):
        return ops.cast(ops.cast(x, "uint8"), "float32")

    image = tracing.trace_model(lambda: small(first=cast), modes=("inference",))
    scaled = tracing.trace_model(
        lambda: small(first=cast), lambda images: images / 255, modes=("inference",)
    )

    kinds = [[n.kind for n in found.graphs["inference"].nodes] for found in (image, scaled)]
    assert "foreign" not in kinds[0]
    assert "foreign" in kinds[1]
