"""A mistake in a TOML file in words: key, what was expected, what was received, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError


def mistake(message: str, advice: str = "") -> PydanticCustomError:
    """A validation error whose text is already for a person."""
    return PydanticCustomError("mistake", "{message}", {"message": message, "advice": advice})


def short(value: object) -> str:
    """A value that was received, cut to a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def near_to(name: str, known: Collection[str]) -> str:
    """A question after the known name that is most like this one; nothing where none is."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def explain(detail: ErrorDetails, whole: type[BaseModel]) -> str:
    """One mistake in a line: key, what was expected, what was received, what to do."""
    location = tuple(part for part in detail["loc"] if part != "[key]")
    key = ".".join(str(part) for part in location) or "file"
    if detail["type"] == "mistake":
        context = detail.get("ctx", {})
        return f"{key}: {'. '.join(filter(None, (context['message'], context['advice'])))}"
    help_text = _field_help(location, whole)
    if detail["type"] == "missing":
        return f"{key}: missing. Add it. {help_text}".rstrip()
    if detail["type"] == "extra_forbidden":
        known = _known_keys(location[:-1], whole)
        near = near_to(str(location[-1]), known) or f" Known here: {', '.join(known)}."
        return f"{key}: unknown key.{near}"
    expected = detail["msg"].replace("Input should be", "expected", 1)
    expected = re.sub("^expected (greater|less)", r"expected a number \1", expected)
    return f"{key}: {expected}. Received: {short(detail['input'])}. {help_text}".rstrip()


def _model_at(location: tuple[int | str, ...], whole: type[BaseModel]) -> type[BaseModel] | None:
    """The record that stands at a place of the file, None where there is none."""
    model: type[BaseModel] | None = whole
    for part in location:
        if model is None or isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:  # a name inside the rubric
            continue
        model = _record_in(field.annotation)
    return model


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """The record inside `Record`, `tuple[Record, ...]` or `dict[str, Record]`."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _known_keys(location: tuple[int | str, ...], whole: type[BaseModel]) -> list[str]:
    model = _model_at(location, whole)
    return [] if model is None else list(model.model_fields)


def _field_help(location: tuple[int | str, ...], whole: type[BaseModel]) -> str:
    """The docstring of the field at a place, which says what belongs there."""
    model = _model_at(location[:-1], whole)
    field = None if model is None else model.model_fields.get(str(location[-1]))
    return "" if field is None or field.description is None else " ".join(field.description.split())
