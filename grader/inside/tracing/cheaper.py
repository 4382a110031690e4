"""Cheaper traces: one op for a normalisation, variables without values, nothing compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from . import building


def write_normalisation_as_one_op() -> None:
    """Let Keras's own BatchNormalization trace as one op where it stands for some thirty.

    A network of the paper is half batch norm, and tracing is most of what a submission costs. The
    class itself only, with all its parts, on float32 maps, channels last: whatever else calls
    itself a normalisation is written op by op. Eagerly Keras's own code runs, so the sample that
    the other side holds its reading against does not rest on this. The op moves its variance by the
    sample's, n / (n - 1) times the batch's: a moving average all the same.
    """
    import tensorflow as tf
    from keras import ops
    from keras.src.layers.normalization.batch_normalization import BatchNormalization

    given = BatchNormalization.call
    parts = (BatchNormalization._moments, ops.batch_normalization, ops.cast)

    def call(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        plain = (
            type(self) is BatchNormalization
            and mask is None
            and self.scale
            and self.center
            and not getattr(self, "renorm", False)
            and self.axis in (-1, 3)
            and isinstance(training, bool | None)
            and not tf.executing_eagerly()
            and isinstance(inputs, tf.Tensor)
            and inputs.shape.rank == 4
            and inputs.dtype == tf.float32
            and all(isinstance(v.value, tf.Variable) for v in self.variables)
            and all(v.dtype == "float32" for v in self.variables)
            and parts == (BatchNormalization._moments, ops.batch_normalization, ops.cast)
            and not vars(self).keys() & {"call", "_moments"}
        )
        if not plain:
            return given(self, inputs, training, mask)
        updated = bool(training and self.trainable)
        mean, variance = self.moving_mean.value, self.moving_variance.value
        normalised = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=mean,
            variance=variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=updated,
        )
        if updated:
            tf.raw_ops.AssignVariableOp(resource=mean.handle, value=normalised.batch_mean)
            tf.raw_ops.AssignVariableOp(resource=variance.handle, value=normalised.batch_variance)
        return normalised.y

    BatchNormalization.call = call


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Leave Keras's variables without values: a graph needs shapes alone.

    Drawing and copying initial values is a fifth of a trace. Reading such a variable gives no
    numbers; one that a student keeps for `build_model()` gets its value from `give_values`.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow.core import Variable
    from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

    kind = building.later_variable() or UninitializedVariable
    given = Variable._initialize_with_initializer

    def initialise(self: Any, initializer: Any) -> None:
        self.left_out = initializer
        self._initialize(
            kind(
                trainable=self.trainable,
                shape=self._shape,
                dtype=tf.as_dtype(self._dtype),
                name=self.name,
            )
        )

    Variable._initialize_with_initializer = initialise
    try:
        yield
    finally:
        Variable._initialize_with_initializer = given


def give_values(model: Any) -> None:
    """Draw the initial values that `without_values` left out."""
    for variable in getattr(model, "variables", None) or []:
        initializer = getattr(variable, "left_out", None)
        if initializer is not None:
            variable.assign(initializer(tuple(variable.shape), dtype=variable.dtype))
            variable.left_out = None


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Run a `tf.function` of the student's as plain Python while a network is built or traced.

    Keras builds on symbolic tensors, before there are variables: a function traced then has their
    initial values for good in place of them, and is used again for every later tensor.
    """
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
