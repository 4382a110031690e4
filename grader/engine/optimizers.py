"""A recipe's optimizer as a Keras optimizer, and the weights it decays."""

from __future__ import annotations

from typing import Any

from grader.engine.recipe import Optimizer

_CLASSES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
    "adamax": "Adamax",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "lion": "Lion",
    "lamb": "Lamb",
}
_ADAM_FAMILY = ("beta_1", "beta_2", "epsilon")
_ARGUMENTS = {
    "sgd": ("momentum", "nesterov"),
    "adam": _ADAM_FAMILY,
    "adamw": _ADAM_FAMILY,
    "nadam": _ADAM_FAMILY,
    "adamax": _ADAM_FAMILY,
    "rmsprop": ("rho", "momentum", "epsilon"),
    "adagrad": ("epsilon",),
    "adadelta": ("rho", "epsilon"),
    "lion": ("beta_1", "beta_2"),
    "lamb": _ADAM_FAMILY,
}


def make_optimizer(what: Optimizer, model: Any, precision: str = "float32") -> Any:
    """The Keras optimizer of a recipe, not yet built; its rate is set anew at every step.

    Decay by the gradient ("l2") is not in it: the step adds that.
    """
    import keras

    arguments = {name: getattr(what, name) for name in _ARGUMENTS[what.name]}
    arguments["global_clipnorm"] = what.clip_norm or None
    decoupled = what.weight_decay if what.decay_is_decoupled else None
    arguments["weight_decay"] = decoupled or (0.0 if what.name == "adamw" else None)
    optimizer = getattr(keras.optimizers, _CLASSES[what.name])(
        learning_rate=what.learning_rate, **arguments
    )
    if decoupled:
        kept = {id(v) for v in decayed_variables(what, model)}
        spared = [v for v in model.trainable_variables if id(v) not in kept]
        optimizer.exclude_from_weight_decay(var_list=spared)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def decayed_variables(what: Optimizer, model: Any) -> list[Any]:
    """The trainable variables that weight decay pulls to zero."""
    import keras

    spared = set()
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            if "batch_norm" in what.weight_decay_excludes:
                spared |= {id(v) for v in layer.trainable_variables}
        elif "bias" in what.weight_decay_excludes and getattr(layer, "bias", None) is not None:
            spared.add(id(layer.bias))
    return [v for v in model.trainable_variables if id(v) not in spared]
