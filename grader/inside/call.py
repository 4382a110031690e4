"""Call the functions of a submission on given inputs, and describe what they give.

Runs inside the sandbox, beside student code, and judges nothing: it knows no expected result. The
stage `call` needs no TensorFlow, so it takes a fraction of a second; where an assignment asks for
networks too, the stage `trace` does the same calls in its own run.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import values
from .tracing import failures, student
from .tracing.patience import Patience

FOLDER = "calls"
"""Below the working folder: the files of each call, in a folder of its own."""
_seconds = time.process_time
"""Kept before student code runs, which may put another clock in its place."""


def warm() -> None:
    """Import what most calls need, where it is installed."""
    import contextlib

    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)


def run(request: dict[str, Any], tree: Path, channel: Any) -> None:
    """Answer one request.

    Args:
        request: {"module": "images", "calls": [...], "call_s": seconds or null}.
        tree: The rewritten submission.
        channel: Takes `send_json(name, object)` and `send_binary(name, bytes)`.
    """
    patience = Patience(request.get("call_s"))
    module, told = student.load(request["module"], tree, patience)
    described = {"functions": student.signatures(module), "others": student.others(module)}
    channel.send_json("module", {**told, **described})
    answer(request["calls"], tree, channel, patience, {request["module"]: (module, told)})


def answer(
    calls: list[dict[str, Any]],
    tree: Path,
    channel: Any,
    patience: Patience,
    modules: dict[str | None, tuple[Any, dict[str, Any]]],
) -> None:
    """Make all calls, and send each answer as soon as it is there.

    Args:
        calls: {"id", "module", "function", "arguments", "names", "after"}; "names" where they are
            passed by name, "after" where it matters what becomes of them.
        tree: The rewritten submission.
        channel: Where the answers go.
        patience: Ends a call that does not come back.
        modules: Name → what `student.load` gave. The others that are called are added to it.
    """
    late: dict[str, Any] = {}
    for call in calls:
        name, place = call["module"], f"{call['module']}:{call['function']}"
        if name not in modules:
            modules[name] = student.load(name, tree, patience)
        module, told = modules[name]
        # Who did not come back once is not waited for again: the other functions get their turn.
        given = late.get(place)
        if told["failure"] is not None:
            given = {**told, "imported": False}
        given = given or failures.attempt(tree, patience.watch(_call), tree, module, call)
        if patience.ran_out:
            late[place], patience.ran_out = given, False
        channel.send_json("call:" + call["id"], given)


def _call(tree: Path, module: Any, call: dict[str, Any]) -> dict[str, Any]:
    function = getattr(module, call["function"], None)
    if not callable(function):
        return {"found": False, "result": {"kind": "none"}}
    folder = os.path.join(FOLDER, call["id"])
    os.makedirs(os.path.join(tree, folder), exist_ok=True)
    arguments = [values.arrived(record, folder) for record in call["arguments"]]
    random.seed(0)
    np.random.seed(0)
    started = _seconds()
    try:
        result = _called(function, arguments, call["names"])
    except Exception as error:
        raised = [kind.__name__[:80] for kind in type(error).__mro__[:20]]
        return {"raised": raised, "failure": failures.failure(error, tree)}
    spent = _seconds() - started
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    return {
        "result": values.leaving(result),
        "seconds": spent,
        "shares": isinstance(result, np.ndarray)
        and any(np.may_share_memory(result, a) for a in arrays),
        "after": [values.leaving(a) for a in arguments] if call["after"] else None,
        "files": _files(call, arguments),
    }


def _called(function: Any, arguments: list[Any], names: list[str] | None) -> Any:
    if names is None:
        return function(*arguments)
    return function(**dict(zip(names, arguments, strict=True)))


def _files(call: dict[str, Any], arguments: list[Any]) -> dict[str, Any]:
    """What lies in the files that were to be written, by the argument's number."""
    kinds = [record["kind"] for record in call["arguments"]]
    return {
        str(i): values.written(arguments[i]) for i, kind in enumerate(kinds) if kind == "new_file"
    }
