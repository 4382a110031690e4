"""Layers of Keras's own are traced once; all others like them are copies of that record.

The reason is cost: a submission is 13 networks of some 500 layers, nearly all of eight classes of
Keras's, and to trace each of them was more than half of what reading a submission costs. So the
first layer of a kind is traced, alone, at sizes that no network has (its marks). Each other one is
that record with its own sizes and variables in place of the marks. What a layer computes is
written down nowhere here: it is what Keras traces, with every attribute of the layer's own.

A network is copied whole or traced whole. It is traced wherever anything is out of the ordinary: a
class that is not in `kinds.CLASSES` or has been changed, an attribute that is not known there,
another type than float32, a nested model, another version than KERAS. `GRADER_TRACE=plain` switches
it all off.
In each submission a hidden network is both copied and traced, in each mode in which a kind of its
layers was not compared before: where they differ, the other side asks once more, for plain traces.

Nothing here is a wall: student code can change this process as it likes, with this file or
without. The sample of the trained network is what its record is held against.
"""

from __future__ import annotations

from typing import Any

from .constants import Constants
from .kinds import Call, Kept, Unlike, policy
from .sheets import Example, Sheet
from .variables import Variables

_kept: list[Kept] = []


def begin(*, plain: bool = False, compared: dict[str, list[str]] | None = None) -> None:
    """Keep what the classes are now; from here on networks are copied, if not `plain`.

    Args:
        plain: Whether all is traced.
        compared: Name of a network → the modes in which it is traced as well.
    """
    _kept[:] = [Kept(plain=plain, compared=compared or {})]


def end() -> None:
    """Trace every network whole from here on."""
    _kept.clear()


def examples() -> int:
    """How many kinds of layer there are examples of."""
    return sum(len(kept.examples) for kept in _kept)


def compared(name: str) -> list[str]:
    """The modes in which the network of this name is to be traced as well as copied."""
    return _kept[0].compared.get(name, []) if _kept else []


def copier(model: Any, shape: list[int]) -> Copier | None:
    """What writes the records of a network from copies; None where it has to be traced."""
    if not (_kept and _kept[0].on and _kept[0].unchanged()):
        return None
    try:
        return Copier(model, shape, _kept[0])
    except Exception:  # Unlike, or whatever a changed object gives in place of what is expected
        return None


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records are equal up to the names of their ops."""
    plain = [
        {**record, "nodes": [[op, *rest] for op, _, *rest in record["nodes"]]}
        for record in (one, other)
    ]
    return plain[0] == plain[1]


class Copier:
    """Writes the records of one functional network.

    Args:
        model: The network.
        shape: Of its images, the batch first.
        kept: What its layers are held against.

    Raises:
        Unlike: It cannot be copied.
    """

    def __init__(self, model: Any, shape: list[int], kept: Kept) -> None:
        self._kept = kept
        self._model = model
        self._shape = shape
        self._check(model, shape)
        self._calls = [
            Call(node, kept, shape[0])
            for depth in sorted(model._nodes_by_depth, reverse=True)
            for node in model._nodes_by_depth[depth]
            if not node.is_input
        ]

    def _check(self, model: Any, shape: list[int]) -> None:
        own = vars(model)
        replaced = {name for name, value in own.items() if callable(value)}
        usual = (
            type(model) is self._kept.functional.Functional
            and replaced <= {"build", "quantize"}
            and len(model._inputs) == len(model._outputs) == 1
            and list(model._inputs[0].shape[1:]) == shape[1:]
            and model._inputs[0].dtype == "float32"
            and policy(own["_dtype_policy"]) == ("float32",) * 3
            and own["activity_regularizer"] is own["_remat_mode"] is None
        )
        if not usual:
            raise Unlike

    def is_new(self, training: bool) -> bool:
        """Whether a kind of its layers has not been compared in this mode; from here on it has."""
        places = {_place(call, training) for call in self._calls}
        new = {place for place in places - self._kept.proved if not self._is_as_proved(place)}
        self._kept.proved |= places
        return bool(new)

    def _is_as_proved(self, place: tuple[Any, bool | None]) -> bool:
        """Whether a kind has the same record in the other mode, in which it was compared."""
        kind, mode = place
        other, examples = (kind, not mode), self._kept.examples
        return other in self._kept.proved and examples[place].is_like(examples[other])

    def record(
        self, training: bool, entry: Any, variables: Variables, constants: Constants
    ) -> dict[str, Any] | None:
        """The record of one mode; None where the network has to be traced after all.

        Args:
            training: The mode.
            entry: The graph of `preprocess`; None where the network eats the images themselves.
            variables: The network's.
            constants: The network's.
        """
        try:
            examples = [_example(call, self._kept, training) for call in self._calls]
            sheet = Sheet(self._shape, variables, constants)
            eaten = sheet.begin_with(entry, self._shape)
            at = {id(self._model._inputs[0]): eaten}
            for call, example in zip(self._calls, examples, strict=True):
                at[call.output] = sheet.copy(call, example, [at[i] for i in call.inputs])
            return sheet.record(at[id(self._model._outputs[0])], eaten)
        except Exception:
            return None


def _place(call: Call, training: bool) -> tuple[Any, bool | None]:
    """What an example is kept under: the kind of a layer, and the mode where it has one."""
    return call.kind, training if vars(call.layer)["_call_has_training_arg"] else None


def _example(call: Call, kept: Kept, training: bool) -> Example:
    """The record of a layer of this kind, traced where there is none yet."""
    place = _place(call, training)
    if place not in kept.examples:
        kept.examples[place] = None  # should it fail, it is not tried again
        kept.examples[place] = Example(call, kept, training)
    found: Example | None = kept.examples[place]
    if found is None:
        raise Unlike
    return found
