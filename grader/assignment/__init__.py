"""assignment.toml as one frozen record: due date, late policy, rubric, probes, limits, data.

A mistake in the file is an `AssignmentError` that names the file, the key, the value and what to
do. Nothing is guessed: unknown keys, times without a zone and local times that a change of the
clocks makes impossible or ambiguous are refused.
"""

from grader.assignment.loading import load_assignment
from grader.assignment.tables import (
    ACCURACY,
    Argument,
    Assignment,
    BlockProbe,
    Call,
    Contents,
    DataSource,
    EvaluationRule,
    FunctionCheck,
    LatePolicy,
    NetworkCheck,
    NetworkProbe,
    Probes,
    Question,
    Reference,
    RubricLine,
    TransitionProbe,
)
from grader.assignment.times import aware_time, zone_named

__all__ = [
    "ACCURACY",
    "Argument",
    "Assignment",
    "BlockProbe",
    "Call",
    "Contents",
    "DataSource",
    "EvaluationRule",
    "FunctionCheck",
    "LatePolicy",
    "NetworkCheck",
    "NetworkProbe",
    "Probes",
    "Question",
    "Reference",
    "RubricLine",
    "TransitionProbe",
    "aware_time",
    "load_assignment",
    "zone_named",
]
