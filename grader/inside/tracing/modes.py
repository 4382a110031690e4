"""Modes that were written: what Keras's functional models would override."""

from __future__ import annotations

from typing import Any


def keep_written_modes() -> None:
    """Let a layer that was called with `training=...` keep it inside a functional model.

    Keras overrides such an argument with the model's own mode (functional.operation_fn), so that
    a normalisation that is hard-wired to one mode would look like any other in a trace.
    """
    from keras.src.models import functional

    given = functional.operation_fn

    def operation_fn(operation: Any, **context: Any) -> Any:
        inject = given(operation, **context)

        def call(*arguments: Any, **keywords: Any) -> Any:
            if keywords.get("training") is not None:
                return operation(*arguments, **keywords)
            return inject(*arguments, **keywords)

        return call

    functional.operation_fn = operation_fn
    _forget_default_modes()


def _forget_default_modes() -> None:
    """Keep apart a mode that was written and one that is only the default of a layer's `call`.

    Keras stores `training=False` with every layer whose `call` has that default (Dropout, and many
    a layer of one's own); for such a layer the model's mode holds.
    """
    from keras.src.layers import layer

    given = getattr(layer.Layer, "_resolve_and_populate_arg", None)
    if given is None:
        return

    def resolve(self: Any, name: str, call_spec: Any, context: Any, keywords: Any) -> None:
        written = name in call_spec.user_arguments_dict or context.get_value(name) is not None
        given(self, name, call_spec, context, keywords)
        if not written:
            keywords.pop(name, None)

    layer.Layer._resolve_and_populate_arg = resolve
