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

BLOCK, TRANSITION, NETWORK, MODEL = "dense_block", "transition", "build_densenet", "build_model"

CHECKS: tuple[Check, ...] = (
    Check(module_contract, "shape"),
    Check(block_shape, "shape", asks=(BLOCK,)),
    Check(transition_shape, "shape", asks=(TRANSITION,)),
    Check(network_shape, "shape", asks=(NETWORK,)),
    Check(growth, "shape", asks=(BLOCK, NETWORK)),
    Check(parameter_count_block, "parameters", asks=(BLOCK,)),
    Check(parameter_count_transition, "parameters", asks=(TRANSITION,)),
    Check(parameter_count_network, "parameters", asks=(NETWORK,)),
    Check(build_model_parameters, "parameters", asks=(MODEL,)),
    Check(composite_function, "architecture", asks=(BLOCK, NETWORK)),
    Check(dense_connectivity, "architecture", asks=(BLOCK, NETWORK)),
    Check(bottleneck, "architecture", asks=(BLOCK, NETWORK)),
    Check(transition_layer, "architecture", asks=(TRANSITION, NETWORK)),
    Check(stem, "architecture", asks=(NETWORK,)),
    Check(head, "architecture", asks=(NETWORK,)),
    Check(block_structure, "architecture", asks=(BLOCK, NETWORK)),
    Check(foreign_ops, "architecture", asks=(BLOCK, TRANSITION, NETWORK)),
    Check(training_behaviour, "architecture", asks=(BLOCK, TRANSITION, NETWORK)),
    Check(own_weights, "architecture", asks=(BLOCK, TRANSITION, NETWORK)),
    # What the other functions show is told of them, and not of build_model() once more.
    Check(build_model, "architecture", asks=(BLOCK, TRANSITION, NETWORK, MODEL)),
)
"""Order of display, and of evaluation: a check stands behind what it depends on."""


def checks_of(assignment: Assignment) -> tuple[Check, ...]:
    """What the assignment asks for, in the order of the report."""
    densenet = CHECKS if assignment.probes is not None else ()
    others = (
        *network_checks(assignment.networks),
        *function_checks(assignment.functions),
        *answer_checks(assignment),
        *table_checks(assignment.tables, assignment.conclusions),
    )
    return tuple(check for check in (*densenet, *others) if check.name in assignment.rubric)


def asked_functions(assignment: Assignment) -> frozenset[str]:
    """Functions of the contract that the assignment's checks need an answer of."""
    return frozenset(function for check in checks_of(assignment) for function in check.asks)


__all__ = [
    "CHECKS",
    "MODEL",
    "Check",
    "Failure",
    "NothingToJudge",
    "asked_functions",
    "checks_of",
    "run_checks",
]
