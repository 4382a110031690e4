"""The compiled training and evaluation steps under JAX: pure functions over one tuple of state.

Between two calls the state stays on the device and is given away to the next one; Keras's variables
hear of it when somebody looks. Images are arguments of the compiled functions, never constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grader.engine.augment import Draws, TrainingImages
from grader.engine.checkpoint import Arrays, copy_of
from grader.engine.losses import batch_loss, count_right
from grader.engine.recipe import FULL_SIZE, Recipe
from grader.engine.resolution import networks, smaller

EVALUATION_BATCH = 250
WITHOUT_LOOPS = {"cpu"}
"""Platforms where many steps are many calls: there XLA computes a convolution in a loop at fifty
times its cost."""


class _State(NamedTuple):
    """All that a step changes; lists of arrays in the order of Keras's variables."""

    trainable: list[Any]
    other: list[Any]
    optimizer: list[Any]
    ema: list[Any]
    taken: Any


class JaxSteps:
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
        import jax
        import jax.numpy as jnp

        self.model, self.optimizer, self.recipe = model, optimizer, recipe
        self.preprocess, self.images, self.from_logits = preprocess, images, from_logits
        self.networks = networks(model, recipe)
        chosen = {id(variable) for variable in decayed}
        self.is_decayed = [id(v) in chosen for v in model.trainable_variables]
        kept = {id(v) for v in model.weights}
        every = [*model.trainable_variables, *model.non_trainable_variables]
        self.is_averaged = [
            bool(recipe.ema) and id(v) in kept and "float" in v.dtype for v in every
        ]
        self.averaged = [v for v, chosen in zip(every, self.is_averaged, strict=True) if chosen]
        self.ema = [v.value for v in self.averaged]
        self.taken = jnp.zeros(())
        optimizer.build(model.trainable_variables)
        rate = optimizer.learning_rate
        self.rate_at = [v.path for v in optimizer.variables].index(rate.path)
        self._held: _State | None = None
        self._shown: tuple[Any, Any, Any] = (None, None, None)
        self._loops = jax.devices()[0].platform not in WITHOUT_LOOPS
        self._one = jax.jit(self._step, donate_argnums=0, static_argnums=4)
        self._many = jax.jit(self._many_steps, donate_argnums=0, static_argnums=5)
        self._measure = jax.jit(self._measure_batches)

    def train(
        self, draws: Draws, rates: npt.NDArray[np.float32], count: int, size: int = FULL_SIZE
    ) -> tuple[float, int]:
        """Run the first `count` steps of `draws` on images of `size` pixels a side.

        Returns:
            The sum of the steps' mean losses, and how many images were right.

        Raises:
            MemoryError: The device's memory is full.
        """
        import jax

        try:
            # The arrays are given away to the compiled function, so they must not be Keras's own.
            given = self._held or jax.tree.map(lambda array: array.copy(), self._gather())
            self._held = None
            images = self.images.arrays
            run = self._many if self._loops else self._one_by_one
            state, losses, right = run(given, images, tuple(draws), rates, count, size)
            # Summed in double precision, so that it does not depend on how calls were cut.
            told = float(np.asarray(losses, np.float64)[:count].sum()), int(right)
            self._held = state
            return told
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" in str(error):
                raise MemoryError(str(error)) from error
            raise

    def _many_steps(
        self, state: _State, images: Any, draws: Any, rates: Any, count: Any, size: int
    ) -> Any:
        import jax
        import jax.numpy as jnp

        def body(i: Any, carry: Any) -> Any:
            state, losses, right = carry
            step = Draws(*(array[i] for array in draws))
            state, step_loss, step_right = self._step(state, images, step, rates[i], size)
            return state, losses.at[i].set(step_loss), right + step_right

        draws = tuple(jnp.asarray(array) for array in draws)
        start = (state, jnp.zeros(len(rates)), jnp.zeros((), jnp.int32))
        return jax.lax.fori_loop(0, count, body, start)

    def _one_by_one(
        self, state: _State, images: Any, draws: Any, rates: Any, count: int, size: int
    ) -> Any:
        losses, right = [], []
        for i in range(count):
            step = Draws(*(array[i] for array in draws))
            state, step_loss, step_right = self._one(state, images, step, rates[i], size)
            losses.append(step_loss)
            right.append(step_right)
        return state, losses, sum(int(count) for count in right)

    def _step(self, state: _State, source: Any, draws: Draws, rate: Any, size: int) -> Any:
        import jax

        network = self.networks[size]
        images, target, labels = self.images.over(source).batch(draws)

        def objective(trainable: list[Any]) -> Any:
            answer, other, losses = network.stateless_call(
                trainable,
                state.other,
                smaller(self.preprocess(images), size),
                training=True,
                return_losses=True,
            )
            loss = batch_loss(answer, target, self.recipe.label_smoothing, self.from_logits)
            return self.optimizer.scale_loss(loss + sum(losses)), (answer, other, loss)

        gradients, (answer, other, loss) = jax.grad(objective, has_aux=True)(state.trainable)
        state = state._replace(other=other)
        return self._apply(state, gradients, rate), loss, count_right(answer, labels)

    def _apply(self, state: _State, gradients: list[Any], rate: Any) -> _State:
        rules = self.recipe.optimizer
        if rules.weight_decay and not rules.decay_is_decoupled:
            share = self.optimizer.scale_loss(rules.weight_decay)
            gradients = [
                g + share * v if chosen else g
                for g, v, chosen in zip(gradients, state.trainable, self.is_decayed, strict=True)
            ]
        optimizer = list(state.optimizer)
        optimizer[self.rate_at] = rate
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, state.trainable)
        state = state._replace(trainable=trainable, optimizer=optimizer)
        return self._average(state) if self.averaged else state

    def _average(self, state: _State) -> _State:
        import jax.numpy as jnp

        taken = state.taken + 1.0
        # A young average follows the weights closely, so that it does not remember the start.
        decay = jnp.minimum(self.recipe.ema, taken / (taken + 10.0))
        every = zip([*state.trainable, *state.other], self.is_averaged, strict=True)
        new = [value for value, chosen in every if chosen]
        ema = [decay * e + (1 - decay) * v for e, v in zip(state.ema, new, strict=True)]
        return state._replace(ema=ema, taken=taken)

    def _gather(self) -> _State:
        return _State(
            [v.value for v in self.model.trainable_variables],
            [v.value for v in self.model.non_trainable_variables],
            [v.value for v in self.optimizer.variables],
            list(self.ema),
            self.taken,
        )

    def _settle(self) -> None:
        """Give Keras's variables the state that the last call left on the device."""
        if self._held is None:
            return
        state, self._held = self._held, None
        pairs = (
            (self.model.trainable_variables, state.trainable),
            (self.model.non_trainable_variables, state.other),
            (self.optimizer.variables, state.optimizer),
        )
        for variables, values in pairs:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self.ema, self.taken = list(state.ema), state.taken

    def evaluate(
        self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
    ) -> tuple[float, float]:
        """Accuracy (0..1) and mean cross-entropy of the model as it is."""
        self._settle()
        state = self._gather()
        right, loss = 0, 0.0
        for shown, wanted in self._batches_on_the_device(images, labels):
            counts, losses = self._measure(state.trainable, state.other, shown, wanted)
            right += int(np.asarray(counts).sum())
            loss += float(np.asarray(losses, np.float64).sum())
        return right / len(images), loss / len(images)

    def _batches_on_the_device(self, images: Any, labels: Any) -> Any:
        """Images (batches, batch, H, W, C) with labels, for one call each; the rest comes last.

        They are brought there once and stay.
        """
        import jax.numpy as jnp

        if self._shown[0] is not images or self._shown[1] is not labels:
            whole = len(images) - len(images) % EVALUATION_BATCH
            each = max(whole, 1) if self._loops else EVALUATION_BATCH
            parts = [slice(start, start + each) for start in range(0, whole, each)]
            parts += [slice(whole, None)] if whole < len(images) else []
            self._shown = images, labels, [
                (
                    jnp.asarray(images[part].reshape(-1, size, *images.shape[1:])),
                    jnp.asarray(labels[part].reshape(-1, size).astype(np.int32)),
                )
                for part in parts
                for size in [min(EVALUATION_BATCH, len(images[part]))]
            ]  # fmt: skip
        return self._shown[2]

    def _measure_batches(self, trainable: Any, other: Any, images: Any, labels: Any) -> Any:
        import jax
        from keras import ops

        def one(batch: Any) -> Any:
            shown, wanted = batch
            answer, _ = self.model.stateless_call(
                trainable, other, self.preprocess(shown), training=False
            )
            target = ops.one_hot(wanted, self.images.classes)
            loss = batch_loss(answer, target, 0.0, self.from_logits)
            return count_right(answer, wanted), loss * wanted.shape[0]

        return jax.lax.map(one, (images, labels))

    def averages(self) -> list[tuple[Any, npt.NDArray[np.float32]]]:
        """The averaged variables with their averages; empty without a moving average."""
        self._settle()
        return [(v, copy_of(e)) for v, e in zip(self.averaged, self.ema, strict=True)]

    def state(self) -> dict[str, Arrays]:
        """Everything that changes during training, as plain arrays."""
        self._settle()
        return {
            "model": [copy_of(v) for v in self.model.variables],
            "optimizer": [copy_of(v) for v in self.optimizer.variables],
            "ema": [copy_of(e) for e in (*self.ema, self.taken)],
        }

    def restore(self, state: dict[str, Arrays]) -> None:
        """Put back what `state` gave."""
        import jax.numpy as jnp

        self._held = None
        for role, owner in (("model", self.model), ("optimizer", self.optimizer)):
            for variable, array in zip(owner.variables, state.get(role, []), strict=True):
                variable.assign(array)
        *self.ema, self.taken = [jnp.asarray(array) for array in state["ema"]]
