"""A test stage: import the student's module and send what its `answer()` gives."""

from __future__ import annotations

import importlib


def run(request, tree, channel):
    student = importlib.import_module("student")
    channel.send_json("answer", student.answer(**request))
