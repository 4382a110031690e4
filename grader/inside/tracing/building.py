"""Keras builds layers with less bookkeeping, and to the same effect.

The reason is cost: a submission is 13 networks of some 500 layers, and once their records are
copied (`copies.py`), building them is most of what is left. Half of that is bookkeeping: each of
some eighty attributes of a layer is shown to two trackers, the signature of one function is worked
out again for every layer, and each argument is asked by protocol whether it is a tensor. Here what
has to be asked once is asked once, and what the answer cannot change is left out.

A shortcut does what Keras itself would have done with that value; all else goes Keras's way, and so
does everything where a program has changed what is left out. They are taken in the versions of
Keras that `kinds.KERAS` names; `GRADER_TRACE=plain` switches them off.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Iterator
from typing import Any

SIMPLE = (type(None), bool, int, float, str, types.FunctionType, types.MethodType)
"""Types of which no value is tracked, nor anything in it."""
UNTRACKED = (*SIMPLE, inspect.Signature)
"""Types of which a layer keeps values, and tracks none."""
COLLECTIONS = {list, dict, set, tuple}
"""Types that Keras looks into, and keeps in one of its own where they can change."""


_kinds: list[type[Any]] = []
"""The class of variables without a handle, where the shortcuts are taken."""
_plain_values: dict[Any, Any] = {}
"""How the calls of the two most frequent initialisers are computed without an op."""


def with_less_bookkeeping() -> None:
    """Take the shortcuts from here on."""
    if _kinds:
        return
    _assign_without_tracking()
    _keep_one_configuration()
    _keep_signatures()
    _keep_names()
    _know_tensors_by_type()
    _make_initialisers_by_name()
    _plain_values.update(_of_ones_and_zeros())
    _kinds.append(_later())


def _assign_without_tracking() -> None:
    """Let a layer keep what is no variable, layer or metric without a look at its trackers."""
    import tensorflow as tf
    from keras.src import backend
    from keras.src.backend.tensorflow.trackable import KerasAutoTrackable
    from keras.src.layers.layer import Layer
    from keras.src.metrics.metric import Metric
    from keras.src.utils.tracking import Tracker
    from tensorflow.python.trackable.data_structures import NoDependency

    given, put, begin = Layer.__setattr__, object.__setattr__, Layer._initialize_tracker
    hook, track, keep = Layer._setattr_hook, Tracker.track, KerasAutoTrackable.__setattr__
    tracked = (
        backend.Variable, Metric, Layer, backend.random.SeedGenerator, NoDependency,
        tf.__internal__.tracking.Trackable, tuple, list, dict, set,
    )  # fmt: skip
    untracked = {**dict.fromkeys(UNTRACKED, True), Tracker: True}
    collection = _collections()

    def assign(self: Any, name: str, value: Any) -> None:
        kind, own = type(value), self.__dict__
        if kind not in untracked:
            keras_own = kind.__module__.startswith("keras.src.")
            untracked[kind] = keras_own and not issubclass(kind, tracked)
        usual = (
            type(self)._setattr_hook is hook
            and Tracker.track is track
            and KerasAutoTrackable.__setattr__ is keep
            and type(self)._initialize_tracker is begin
        )
        if usual and "_tracker" not in own and name != "_tracker":
            begin(self)
        if usual and untracked[kind]:
            if getattr(self, name, self) is not value:
                put(self, name, value)
            return
        kept = collection(own, name, value) if usual and kind in COLLECTIONS else None
        if kept is None:
            given(self, name, value)
        else:
            put(self, name, kept)

    Layer.__setattr__ = assign


def _collections() -> Any:
    """What a layer keeps of a collection in which nothing is tracked; None for any other."""
    from keras.src.utils import tracking

    simple = frozenset(SIMPLE)

    def plain(values: Any) -> bool:
        return all(
            type(v) in simple or (type(v) is tuple and simple.issuperset(map(type, v)))
            for v in values
        )

    def kept(own: dict[str, Any], name: str, value: Any) -> Any:
        kind = type(value)
        if not tracking.is_tracking_enabled():
            return None if own.get("_self_setattr_tracking", True) else value
        if not plain(value.values() if kind is dict else value):
            return None
        if kind is tuple:
            return value
        listed: Any = own.get("_tracked")
        if type(listed) is not tracking.TrackedList:
            return None
        wrapped: Any
        if kind is set:  # the way it is copied decides the order that it is walked in
            wrapped = tracking.TrackedSet(value, own["_tracker"])
        else:
            wrapped = (tracking.TrackedList if kind is list else tracking.TrackedDict)(value)
            wrapped.tracker = own["_tracker"]
        if own.get("_self_setattr_tracking", True):
            list.append(listed, name)
        return wrapped

    return kept


def _keep_one_configuration() -> None:
    """Let a layer of Keras's own that says what it was made with keep no second list of it."""
    from keras.src.ops.operation import Operation
    from keras.src.utils import python_utils

    given, says = Operation.__new__, {}

    def new(kind: Any, *arguments: Any, **keywords: Any) -> Any:
        if kind not in says:
            own = kind.__module__.startswith("keras.src.layers.")
            says[kind] = own and not python_utils.is_default(kind.get_config)
        if not says[kind]:
            return given(kind, *arguments, **keywords)
        made = object.__new__(kind)
        vars(made).update(_lock=True, _auto_config=None)
        return made

    Operation.__new__ = staticmethod(new)


def _keep_names() -> None:
    """Work out how the name of a class is written in snake case once."""
    from keras.src.utils import naming

    naming.to_snake_case = functools.cache(naming.to_snake_case)


def _keep_signatures() -> None:
    """Work out the signature of each of Keras's own functions once."""
    from keras.src.layers import layer
    from keras.src.ops import operation

    once: Any = types.ModuleType(inspect.__name__)
    once.__dict__.update(vars(inspect))
    once.signature = _kept(inspect.signature, unwraps=True)
    once.getfullargspec = _kept(inspect.getfullargspec, unwraps=False)
    layer.inspect = operation.inspect = once


def _kept(work: Any, unwraps: bool) -> Any:
    """The same work, done once for each plain function of Keras's that is as it was.

    Args:
        work: What is done.
        unwraps: Whether it is done on what a function says that it wraps.
    """
    found: dict[Any, tuple[Any, ...]] = {}

    def kept(function: Any) -> Any:
        inner = getattr(function, "__func__", function)
        if type(inner) is not types.FunctionType:
            return work(function)
        own = inner.__dict__.keys() - {"_is_default"}
        if unwraps and inner is function and own == {"__wrapped__"}:
            return kept(inner.__wrapped__)  # a `build` in the wrapper that each layer has
        if own or not inner.__module__.startswith(("keras.src.", __package__)):
            return work(function)
        place = (inner, inner is function)
        code, defaults, keywords, known = found.get(place, (None, None, None, None))
        if (
            code is not inner.__code__
            or defaults is not inner.__defaults__
            or keywords is not inner.__kwdefaults__
        ):
            known = work(function)
            found[place] = (inner.__code__, inner.__defaults__, inner.__kwdefaults__, known)
        return known

    return kept


def _know_tensors_by_type() -> None:
    """Tell what is a tensor by its type, where that says it."""
    from keras.src import backend
    from keras.src.backend.tensorflow import core
    from keras.src.layers import layer
    from tensorflow.python.framework.ops import EagerTensor, SymbolicTensor

    given, either = core.is_tensor, layer.is_backend_tensor_or_symbolic
    known = {
        **dict.fromkeys((backend.KerasTensor, tuple, list, *SIMPLE), False),
        EagerTensor: True, SymbolicTensor: True,
    }  # fmt: skip

    def is_tensor(value: Any) -> bool:
        kind = type(value)
        if kind not in known and kind.__module__.startswith("keras.src.initializers."):
            known[kind] = False
        return known[kind] if kind in known else bool(given(value))

    def is_either(value: Any, allow_none: bool = False) -> bool:
        kind = type(value)
        if kind is backend.KerasTensor:
            return True
        if kind in known:
            return known[kind] or (value is None and allow_none)
        return bool(either(value, allow_none))

    core.is_tensor = backend.is_tensor = is_tensor
    layer.is_backend_tensor_or_symbolic = is_either


def _make_initialisers_by_name() -> None:
    """Make an initialiser from its name without writing a configuration and reading it again."""
    from keras.src import initializers
    from keras.src.backend.common import global_state
    from keras.src.saving import object_registration

    given, classes = initializers.get, dict(initializers.ALL_OBJECTS_DICT)

    def get(identifier: Any) -> Any:
        made = classes.get(identifier) if type(identifier) is str else None
        own = object_registration.GLOBAL_CUSTOM_OBJECTS or global_state.get_global_attribute(
            "custom_objects_scope_dict"
        )
        usual = made is not None and made is initializers.ALL_OBJECTS_DICT.get(identifier)
        return made() if usual and inspect.isclass(made) and not own else given(identifier)

    initializers.get = get


def _later() -> type[Any]:
    """Make a class of variables that TensorFlow hears of when something is asked of them.

    A handle costs ten times what the rest of a variable does, and of a network that is copied
    nobody asks for one. They all have one name, and TensorFlow's runtime is not told their shape:
    each new name and shape is a kernel of its own to make, to assign and to read. Python's side,
    from which graphs take shapes, is told.
    """
    import tensorflow as tf
    from tensorflow.python.ops.handle_data_util import create_handle_data
    from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

    class Later(UninitializedVariable):  # type: ignore[misc]
        def __init__(self, *, first: Any = None, **given: Any) -> None:
            self.__dict__.update(
                _later=(first, {**given, "name": "variable"}),
                _shape=tf.TensorShape(given["shape"]),
                _dtype=given["dtype"],
                _trainable=given["trainable"],
            )

        def __getattr__(self, name: str) -> Any:
            if "_later" not in self.__dict__:
                raise AttributeError(name)
            first, given = self.__dict__.pop("_later")
            shape, dtype = given["shape"], given["dtype"]
            super().__init__(**{**given, "shape": None})
            self._shape = tf.TensorShape(shape)
            self.handle._handle_data = create_handle_data(self._shape, dtype)
            if first is not None:
                with tf.init_scope():
                    tf.raw_ops.AssignVariableOp(resource=self.handle, value=first())
            return getattr(self, name)

    return Later


def has_handle(variable: Any) -> bool:
    """Whether TensorFlow has heard of a variable."""
    return "_later" not in getattr(variable, "__dict__", ())


def later_variable() -> type[Any] | None:
    """The class of variables without a handle; None where no shortcut is taken."""
    return _kinds[0] if _kinds else None


@contextlib.contextmanager
def values_when_asked() -> Iterator[None]:
    """Draw the first value of a variable when something is asked of it.

    It is the value that it would have had: Keras's own initialisers draw by a seed of their own.
    """
    import tensorflow as tf
    from keras.src.backend.tensorflow.core import Variable

    given, kind = Variable._initialize_with_initializer, later_variable()

    def initialise(self: Any, initializer: Any) -> None:
        if kind is None or not _repeats(initializer):
            given(self, initializer)
            return
        shape, dtype = self._shape, self._dtype
        self._initialize(
            kind(
                first=lambda: _first(initializer, shape, dtype),
                trainable=self.trainable,
                shape=shape,
                dtype=tf.as_dtype(dtype),
            )
        )

    Variable._initialize_with_initializer = initialise
    try:
        yield
    finally:
        Variable._initialize_with_initializer = given


def _repeats(initializer: Any) -> bool:
    """Whether an initialiser gives the same whenever it is asked."""
    own = type(initializer).__module__.startswith("keras.src.initializers.")
    return own and type(getattr(initializer, "seed", 0)) is int


def _of_ones_and_zeros() -> dict[Any, Any]:
    import keras
    import numpy as np

    return {keras.initializers.Zeros.__call__: np.zeros, keras.initializers.Ones.__call__: np.ones}


def _first(initializer: Any, shape: Any, dtype: str) -> Any:
    """The first value of a variable."""
    plain = _plain_values.get(type(initializer).__call__)
    if plain is None or dtype != "float32":
        return initializer(shape, dtype=dtype)
    return plain(shape, dtype)
