"""What a step is judged by, in the one form that all backends use."""

from __future__ import annotations

from typing import Any


def batch_loss(answer: Any, target: Any, smoothing: float, from_logits: bool) -> Any:
    """Mean cross-entropy of a batch.

    Args:
        answer: (batch, classes), logits or probabilities.
        target: (batch, classes), float32, each row sums to 1.
        smoothing: Share of each label spread over all classes (Szegedy et al. 2016, sec. 7).
        from_logits: What `answer` holds.

    Returns:
        Scalar float32.
    """
    import keras
    from keras import ops

    target = target * (1 - smoothing) + smoothing / target.shape[-1]
    answer = ops.cast(answer, "float32")
    return ops.mean(keras.losses.categorical_crossentropy(target, answer, from_logits=from_logits))


def count_right(answer: Any, labels: Any) -> Any:
    """How many rows of `answer` (batch, classes) are highest at their label; int32 scalar.

    A row with NaN is wrong: NaN compares as highest in argmax.
    """
    from keras import ops

    right = ops.equal(ops.cast(ops.argmax(answer, axis=-1), "int32"), labels)
    finite = ops.all(ops.isfinite(answer), axis=-1)
    return ops.sum(ops.cast(ops.logical_and(right, finite), "int32"))
