"""A [[functions]] table in one line."""

from grader.assignment import FunctionCheck


def table(**fields):
    known = {"name": "f", "function": "m.py:f", "same_as": "reference/m.py:f"}
    return FunctionCheck.model_validate(known | fields)


def argument(name="x", **kind):
    return {"name": name, **kind}
