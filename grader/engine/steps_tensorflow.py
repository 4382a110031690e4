"""The compiled training and evaluation steps under TensorFlow.

Many steps run in one call of one compiled function; the images stay on the device as bytes, and
Python is not in the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.engine.augment import Draws, TrainingImages
from grader.engine.checkpoint import Arrays, copy_of
from grader.engine.losses import batch_loss, count_right
from grader.engine.recipe import FULL_SIZE, Recipe
from grader.engine.resolution import networks, smaller

EVALUATION_BATCH = 250


class TensorFlowSteps:
    """State of one run (model, optimizer, moving average) and the steps that change it."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        recipe: Recipe,
        preprocess: Callable[[Any], Any],
        images: TrainingImages,
        *,
        from_logits: bool,
        decayed: list[Any],
    ) -> None:
        import tensorflow as tf

        self.model, self.optimizer, self.recipe = model, optimizer, recipe
        self.preprocess, self.images, self.from_logits = preprocess, images, from_logits
        self.networks = networks(model, recipe)
        self.decayed = {id(variable) for variable in decayed}
        self.averaged = [v for v in model.weights if recipe.ema and "float" in v.dtype]
        self.ema = [tf.Variable(v.value) for v in self.averaged]
        self.taken = tf.Variable(0.0)
        optimizer.build(model.trainable_variables)
        # XLA gains on a GPU; on a CPU its convolutions lost a factor of sixty when measured.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self._many = tf.function(self._many_steps, jit_compile=on_gpu)
        self._measure = tf.function(self._measure_batch, reduce_retracing=True)

    def train(
        self, draws: Draws, rates: npt.NDArray[np.float32], count: int, size: int = FULL_SIZE
    ) -> tuple[float, int]:
        """Run the first `count` steps of `draws` on images of `size` pixels a side.

        Returns:
            The sum of the steps' mean losses, and how many images were right.

        Raises:
            MemoryError: The device's memory is full.
        """
        import tensorflow as tf

        try:
            loss, right = self._many(
                tuple(tf.constant(array) for array in draws),
                tf.constant(rates),
                tf.constant(count),
                size,  # a number of Python's: each size is compiled for itself
            )
            return float(loss), int(right)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError(error.message) from error

    def _many_steps(self, draws: Any, rates: Any, count: Any, size: int) -> Any:
        import tensorflow as tf

        def body(i: Any, loss: Any, right: Any) -> Any:
            step_loss, step_right = self._step(
                Draws(*(array[i] for array in draws)), rates[i], size
            )
            return i + 1, loss + tf.cast(step_loss, tf.float64), right + step_right

        # Double precision holds the sum exactly, so it does not depend on how calls were cut.
        start = (tf.constant(0), tf.constant(0.0, tf.float64), tf.constant(0))
        _, loss, right = tf.while_loop(lambda i, *_: i < count, body, start, parallel_iterations=1)
        return loss, right

    def _step(self, draws: Draws, rate: Any, size: int) -> Any:
        import tensorflow as tf

        network = self.networks[size]
        images, target, labels = self.images.batch(draws)
        with tf.GradientTape() as tape:
            answer = network(smaller(self.preprocess(images), size), training=True)
            loss = batch_loss(answer, target, self.recipe.label_smoothing, self.from_logits)
            total = self.optimizer.scale_loss(loss + sum(network.losses))
        weights = [v.value for v in self.model.trainable_variables]
        self._apply(tape.gradient(total, weights), rate)
        return loss, count_right(answer, labels)

    def _apply(self, gradients: Any, rate: Any) -> None:
        trainable = self.model.trainable_variables
        rules = self.recipe.optimizer
        if rules.weight_decay and not rules.decay_is_decoupled:
            share = self.optimizer.scale_loss(rules.weight_decay)
            gradients = [
                g if g is None or id(v) not in self.decayed else g + share * v.value
                for g, v in zip(gradients, trainable, strict=True)
            ]
        self.optimizer.learning_rate.assign(rate)
        self.optimizer.apply(gradients, trainable)
        if self.ema:
            self._average()

    def _average(self) -> None:
        import tensorflow as tf

        self.taken.assign_add(1.0)
        # A young average follows the weights closely, so that it does not remember the start.
        decay = tf.minimum(self.recipe.ema, self.taken / (self.taken + 10.0))
        for average, variable in zip(self.ema, self.averaged, strict=True):
            average.assign(decay * average + (1 - decay) * variable.value)

    def evaluate(
        self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
    ) -> tuple[float, float]:
        """Accuracy (0..1) and mean cross-entropy of the model as it is."""
        import tensorflow as tf

        right, loss = 0, 0.0
        for start in range(0, len(images), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            found = self._measure(tf.constant(images[part]), tf.constant(labels[part], tf.int32))
            right, loss = right + int(found[0]), loss + float(found[1])
        return right / len(images), loss / len(images)

    def _measure_batch(self, images: Any, labels: Any) -> Any:
        import tensorflow as tf

        answer = self.model(self.preprocess(images), training=False)
        target = tf.one_hot(labels, self.images.classes)
        loss = batch_loss(answer, target, 0.0, self.from_logits)
        return count_right(answer, labels), loss * tf.cast(tf.size(labels), tf.float32)

    def averages(self) -> list[tuple[Any, npt.NDArray[np.float32]]]:
        """The averaged variables with their averages; empty without a moving average."""
        return [(v, copy_of(e)) for v, e in zip(self.averaged, self.ema, strict=True)]

    def state(self) -> dict[str, Arrays]:
        """Everything that changes during training, as plain arrays."""
        return {role: [copy_of(v) for v in members] for role, members in self._roles().items()}

    def restore(self, state: dict[str, Arrays]) -> None:
        """Put back what `state` gave."""
        for role, members in self._roles().items():
            for variable, array in zip(members, state.get(role, []), strict=True):
                variable.assign(array)

    def _roles(self) -> dict[str, list[Any]]:
        return {
            "model": list(self.model.variables),
            "optimizer": list(self.optimizer.variables),
            "ema": [*self.ema, self.taken],
        }
