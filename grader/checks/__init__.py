"""The checks, as an instructor reads and extends them.

To add one: write a function in this room that takes the evidence and raises `Failure` (its
docstring is the line the student reads), add it to CHECKS, and give it points in
assignment/assignment.toml under [rubric], by its name with hyphens. A check that a function gives
the same network as a reference needs no code: it is a [[networks]] table (networks.py).
"""

from grader.assignment import Assignment
from grader.checks.answers import answer_checks
from grader.checks.architecture import (
    block_structure,
    bottleneck,
    build_model,
    composite_function,
    dense_connectivity,
    foreign_ops,
    head,
    own_weights,
    stem,
    training_behaviour,
    transition_layer,
)
from grader.checks.check import Check, Failure, NothingToJudge, run_checks
from grader.checks.contract import module_contract
from grader.checks.experiments import table_checks
from grader.checks.functions import function_checks
from grader.checks.networks import network_checks
from grader.checks.parameters import (
    build_model_parameters,
    parameter_count_block,
    parameter_count_network,
    parameter_count_transition,
)
from grader.checks.shapes import block_shape, growth, network_shape, transition_shape

CHECKS: tuple[Check, ...] = (
    Check(module_contract, "shape"),
    Check(block_shape, "shape"),
    Check(transition_shape, "shape"),
    Check(network_shape, "shape"),
    Check(growth, "shape"),
    Check(parameter_count_block, "parameters"),
    Check(parameter_count_transition, "parameters"),
    Check(parameter_count_network, "parameters"),
    Check(build_model_parameters, "parameters"),
    Check(composite_function, "architecture"),
    Check(dense_connectivity, "architecture"),
    Check(bottleneck, "architecture"),
    Check(transition_layer, "architecture"),
    Check(stem, "architecture"),
    Check(head, "architecture"),
    Check(block_structure, "architecture"),
    Check(foreign_ops, "architecture"),
    Check(training_behaviour, "architecture"),
    Check(own_weights, "architecture"),
    Check(build_model, "architecture"),
)
"""Order of display, and of evaluation: a check stands behind what it depends on."""


def checks_of(assignment: Assignment) -> tuple[Check, ...]:
    """What the assignment asks for, in the order of the report."""
    densenet = CHECKS if assignment.probes is not None else ()
    return (
        *densenet,
        *network_checks(assignment.networks),
        *function_checks(assignment.functions),
        *answer_checks(assignment),
        *table_checks(assignment.tables, assignment.conclusions),
    )


__all__ = ["CHECKS", "Check", "Failure", "NothingToJudge", "checks_of", "run_checks"]
