"""assignment.toml: what stands in it is read exactly, and every mistake is named with its key."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ValidationError

from grader.assignment import (
    Assignment,
    Contents,
    EvaluationRule,
    aware_time,
    load_assignment,
    zone_named,
)
from grader.checks import CHECKS
from grader.errors import EXIT_USAGE, AssignmentError
from grader.intake.policy import IntakePolicy
from grader.paper import Configuration
from grader.scoring import ACCURACY

SHIPPED = Path(__file__).parents[2] / "assignment"
TEXT = (SHIPPED.parent / "tests" / "example_assignment.toml").read_text(encoding="utf-8")
BERLIN = ZoneInfo("Europe/Berlin")
KNOWN = [*(check.name for check in CHECKS), ACCURACY]


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The shipped file with each `old` replaced once by `new`."""
    text = TEXT
    for old, new in changes:
        assert old in text, f"the shipped file no longer holds {old!r}"
        text = text.replace(old, new, 1)
    file = folder / "assignment.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, *changes: tuple[str, str]) -> str:
    file = changed(folder, *changes)
    with pytest.raises(AssignmentError) as error:
        load_assignment(file)
    assert str(file) in str(error.value)
    return str(error.value)


def test_the_shipped_assignment_is_due_on_september_30_at_23_00_in_kolkata():
    assignment = load_assignment(SHIPPED)

    assert assignment.deadline.due == datetime(2027, 9, 30, 17, 30, tzinfo=UTC)
    assert assignment.deadline.due.isoformat() == "2027-09-30T23:00:00+05:30"


def test_the_shipped_rubric_sums_to_100_points():
    assert load_assignment(SHIPPED).max_score == 100


def test_the_shipped_threshold_is_85_percent():
    assert load_assignment(SHIPPED).evaluation.threshold == 0.85


def test_the_folder_and_the_file_give_the_same_assignment():
    assert load_assignment(SHIPPED) == load_assignment(SHIPPED / "assignment.toml")


def test_the_hash_is_that_of_the_files_bytes():
    content = (SHIPPED / "assignment.toml").read_bytes()

    assert load_assignment(SHIPPED).sha256 == hashlib.sha256(content).hexdigest()


def test_the_sandbox_gets_the_trace_budget_as_its_wall_time(tmp_path):
    file = changed(tmp_path, ("trace_s = 120", "trace_s = 33"))

    assert load_assignment(file).limits.wall_time_s == 33


def test_an_assignment_cannot_be_changed():
    assignment = load_assignment(SHIPPED)

    with pytest.raises(ValidationError):
        assignment.title = "easier"


def test_every_field_of_every_table_is_documented():
    seen, todo = set(), [Assignment]
    while todo:
        model = todo.pop()
        seen.add(model)
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if hasattr(inner, "model_fields") and inner not in seen:
                    todo.append(inner)

    assert len(seen) > 10


def test_a_byte_order_mark_from_notepad_does_no_harm(tmp_path):
    file = tmp_path / "assignment.toml"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())

    assert load_assignment(file).title == "DenseNet on CIFAR-10"


# --- due date -----------------------------------------------------------------------------


def test_a_due_date_without_a_zone_is_refused(tmp_path):
    message = refusal(tmp_path, ('zone = "Asia/Kolkata"\n', ""))

    assert "deadline.zone: missing" in message
    assert "1 mistake\n" in message


def test_an_unknown_zone_is_refused_and_near_ones_are_offered(tmp_path):
    message = refusal(tmp_path, ("Asia/Kolkata", "Asia/Kolkatta"))

    assert "deadline.zone" in message
    assert "'Asia/Kolkatta'" in message
    assert "Did you mean Asia/Kolkata" in message


@pytest.mark.parametrize("name", ["", "America", "../../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_zone_name_is_never_used_as_a_path(name):
    with pytest.raises(ValueError, match="expected the name of a time zone"):
        zone_named(name)


@pytest.mark.parametrize(
    "due",
    ['"09-30T23:00:00"', '"Sep 30, 23:00"', '"2027-09-30"', "2027-09-30", "23:00:00", "20270930"],
)
def test_a_due_date_that_is_not_a_full_date_and_time_is_refused(tmp_path, due):
    message = refusal(tmp_path, ('"2027-09-30T23:00:00"', due))

    assert "deadline.due: expected a full date with its year" in message
    assert due.strip('"') in message


@pytest.mark.parametrize("due", ["2027-09-31T23:00:00", "2027-13-01T23:00:00", "2027-09-30T24:01"])
def test_a_due_date_that_is_not_in_the_calendar_is_refused(tmp_path, due):
    message = refusal(tmp_path, ("2027-09-30T23:00:00", due))

    assert "expected a date and time that exist" in message


def test_a_due_date_with_a_fraction_of_a_second_is_refused(tmp_path):
    message = refusal(tmp_path, ("23:00:00", "23:00:00.5"))

    assert "deadline.due: expected a whole second" in message


def test_tomls_own_date_time_is_taken_in_the_zone(tmp_path):
    file = changed(tmp_path, ('"2027-09-30T23:00:00"', "2027-09-30T23:00:00"))

    assert load_assignment(file).deadline.due == load_assignment(SHIPPED).deadline.due


def test_a_local_time_that_the_clocks_skip_is_refused(tmp_path):
    message = refusal(
        tmp_path, ("Asia/Kolkata", "Europe/Berlin"), ("2027-09-30T23:00", "2027-03-28T02:30")
    )

    assert "the clocks skip 2027-03-28 02:30:00" in message


def test_a_local_time_that_the_clocks_show_twice_is_refused_with_both_offsets(tmp_path):
    message = refusal(
        tmp_path, ("Asia/Kolkata", "Europe/Berlin"), ("2027-09-30T23:00", "2027-10-31T02:30")
    )

    assert '"2027-10-31T02:30:00+02:00" or "2027-10-31T02:30:00+01:00"' in message


def test_an_offset_settles_which_of_two_local_times_is_meant():
    first = aware_time("2027-10-31T02:30:00+02:00", BERLIN)
    second = aware_time("2027-10-31T02:30:00+01:00", BERLIN)

    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)
    assert first.isoformat() == "2027-10-31T02:30:00+02:00"


def test_the_edges_of_the_skipped_hour_exist():
    before = aware_time("2027-03-28T01:59:59", BERLIN)
    after = aware_time("2027-03-28T03:00:00", BERLIN)

    assert (after.astimezone(UTC) - before.astimezone(UTC)).total_seconds() == 1


# --- late policy --------------------------------------------------------------------------


def test_an_unknown_late_policy_is_refused_with_the_known_ones(tmp_path):
    message = refusal(tmp_path, ('"per_day"', '"per_week"'))

    assert "deadline.late.policy: expected 'reject', 'per_hour' or 'per_day'" in message
    assert "'per_week'" in message


def test_a_policy_that_deducts_must_say_how_much(tmp_path):
    message = refusal(tmp_path, ("deduction = 10\n", ""))

    assert "deadline.late: expected a deduction" in message


def test_rejecting_and_deducting_exclude_each_other(tmp_path):
    message = refusal(tmp_path, ('"per_day"', '"reject"'))

    assert "deadline.late: expected no deduction and no cap" in message


def test_more_than_100_percent_is_refused(tmp_path):
    message = refusal(tmp_path, ("cap = 50", "cap = 101"))

    assert "deadline.late: expected at most 100 percent" in message


# --- keys and values ----------------------------------------------------------------------


def test_an_unknown_key_is_refused_and_the_near_one_offered(tmp_path):
    message = refusal(tmp_path, ("threshold = 0.85", "treshold = 0.85"))

    assert "evaluation.treshold: unknown key. Did you mean threshold?" in message
    assert "evaluation.threshold: missing" in message


@pytest.mark.parametrize("key", ["sha256", "file", "max_score"])
def test_what_the_loader_adds_cannot_be_written(tmp_path, key):
    message = refusal(tmp_path, ("title =", f'{key} = "x"\ntitle ='))

    assert f"{key}: unknown key" in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("threshold = 0.85", "threshold = 85", "evaluation.threshold: expected a number less"),
        ("threshold = 0.85", "threshold = nan", "evaluation.threshold: expected a finite number"),
        ("threshold = 0.85", 'threshold = "85%"', "evaluation.threshold: expected a valid number"),
        ("points = 18", "points = -1", "rubric.accuracy.points: expected a number greater"),
        ("points = 18", "points = true", "rubric.accuracy.points: expected a valid number"),
        ("points = 18", "points = inf", "rubric.accuracy.points: expected"),
        ("processes = 256", "processes = 2.5", "limits.processes: expected a valid integer"),
        ("depth = 22", "depth = 23", "probes.networks.0: depth: expected 6n + 4"),
        ('name = "cifar10"', 'name = "imagenet"', "data.name: expected cifar10, mnist"),
        ("trace_s = 120", "trace_s = 0", "time_budgets.trace_s: expected a number greater"),
        ("[limits]", "[limits]\nwall_time_s = 9", "limits: expected no wall_time_s here"),
        ('mode = "weights"', 'mode = "trust"', "evaluation.mode: expected"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(tmp_path, old, new, expected):
    assert expected in refusal(tmp_path, (old, new))


def test_retrain_mode_needs_a_training_time(tmp_path):
    message = refusal(tmp_path, ('mode = "weights"', 'mode = "retrain"'), ("retrain_s = 900", ""))

    assert "evaluation: expected retrain_s" in message


def test_all_mistakes_are_reported_at_once(tmp_path):
    message = refusal(tmp_path, ("threshold = 0.85", "threshold = 2"), ('"per_day"', '"never"'))

    assert ": 2 mistakes\n" in message
    assert "evaluation.threshold" in message
    assert "deadline.late.policy" in message


def test_a_rubric_without_points_is_refused(tmp_path):
    rubric = TEXT.index("[rubric]")

    message = refusal(tmp_path, (TEXT[rubric:], "[rubric]\nstem = { points = 0 }\n"))

    assert "expected more than 0 points" in message


# --- rubric and checks --------------------------------------------------------------------


def test_a_rubric_that_names_exactly_the_known_checks_is_accepted():
    names = set(load_assignment(SHIPPED).rubric)

    assert set(load_assignment(SHIPPED, known_checks=names).rubric) == names


def test_a_rubric_that_names_an_unknown_check_is_refused():
    known = set(load_assignment(SHIPPED).rubric) - {"stem"}

    with pytest.raises(AssignmentError, match=r"rubric\.stem: expected the name of a check"):
        load_assignment(SHIPPED, known_checks=known)


def test_a_rubric_that_forgets_a_check_is_refused_with_the_line_to_add():
    known = set(load_assignment(SHIPPED).rubric) | {"stride"}

    with pytest.raises(AssignmentError, match=r"rubric\.stride: missing.*Add stride = \{ points"):
        load_assignment(SHIPPED, known_checks=known)


def test_the_shipped_rubric_and_checks_name_the_same_set():
    known = {check.name for check in CHECKS} | {ACCURACY}

    assert set(load_assignment(SHIPPED).rubric) == known


# --- the file itself ----------------------------------------------------------------------


def test_a_missing_file_is_refused_with_the_option_that_sets_it(tmp_path):
    with pytest.raises(AssignmentError, match=r"no such file.*--assignment"):
        load_assignment(tmp_path / "nowhere")


def test_broken_toml_is_refused_with_its_line(tmp_path):
    message = refusal(tmp_path, ("title = ", "title "))

    assert "not valid TOML" in message
    assert "at line 4" in message


def test_a_key_written_twice_is_refused(tmp_path):
    assert "not valid TOML" in refusal(tmp_path, ("cap = 50", "cap = 50\ncap = 60"))


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path):
    file = tmp_path / "assignment.toml"
    file.write_bytes(b'# one\ntitle = "\xff"\n')

    with pytest.raises(AssignmentError, match=r"line 2: not UTF-8"):
        load_assignment(file)


def test_absurd_nesting_is_refused_and_not_a_crash(tmp_path):
    file = tmp_path / "assignment.toml"
    file.write_text("a = " + "[" * 100_000, encoding="utf-8")

    with pytest.raises(AssignmentError):
        load_assignment(file)


def test_a_mistake_ends_with_the_exit_status_for_usage(tmp_path):
    with pytest.raises(AssignmentError) as error:
        load_assignment(tmp_path)

    assert error.value.exit_status == EXIT_USAGE


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("linear_from = 0.9", "expected linear_from below the threshold of 0.85"),
        ("seeds = 3", "expected borderline with seeds above 1"),
        ("retrain_reference_epochs = 5.0", "and not both"),
    ],
)
def test_a_rule_for_accuracy_that_cannot_be_followed_is_refused(tmp_path, line, text):
    message = refusal(tmp_path, ("threshold = 0.85", f"threshold = 0.85\n{line}"))

    assert text in message


def test_a_borderline_band_and_its_seeds_are_read(tmp_path):
    file = changed(
        tmp_path,
        ("threshold = 0.85", 'threshold = 0.85\nborderline = 0.007\nseeds = 3\ndecide = "best"'),
    )

    rule = load_assignment(file).evaluation

    assert (rule.borderline, rule.seeds, rule.decide) == (0.007, 3, "best")


# --- networks that have a reference -------------------------------------------------------

COURSE = SHIPPED.parent / "tests" / "courses" / "alexnet"
NETWORK = """
[[networks]]
name = "resnet"
function = "resnet.py:build"
same_as = "reference/resnet.py:build"

[rubric]
resnet = { points = 5 }
"""


def course(folder: Path, *changes: tuple[str, str]) -> Path:
    """The course whose assignment is AlexNet, with each `old` replaced once by `new`."""
    text = (COURSE / "assignment.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "assignment.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_network_with_a_reference_is_one_table_and_one_line_of_points(tmp_path):
    file = changed(tmp_path, ("\n[rubric]\n", NETWORK))

    assignment = load_assignment(file, KNOWN)

    (network,) = assignment.networks
    assert (network.name, network.function) == ("resnet", "resnet.py:build")
    assert assignment.rubric["resnet"].points == 5
    assert assignment.probes is not None


def test_beside_a_densenet_a_network_has_a_name_of_its_own(tmp_path):
    table = NETWORK.replace('name = "resnet"', 'name = "stem"')

    with pytest.raises(AssignmentError, match=r"networks\.0\.name: expected a name that no other"):
        load_assignment(changed(tmp_path, ("\n[rubric]\n", table)), KNOWN)


def test_where_no_densenet_is_asked_for_its_names_are_free(tmp_path):
    file = course(tmp_path, ('name = "towers"', 'name = "stem"'), ("towers = {", "stem = {"))

    assert load_assignment(file, KNOWN).networks[0].name == "stem"


def test_networks_of_several_files_need_no_module(tmp_path):
    file = course(
        tmp_path, ('module = "alexnet.py"', ""), ('"alexnet.py:build"', '"5-my net.py:f"')
    )

    assignment = load_assignment(file, KNOWN)

    assert (assignment.module, assignment.files) == ("", ("alexnet.py", "5-my net.py"))


def test_a_function_may_stand_in_any_file_and_be_like_any_of_several_references(tmp_path):
    several = '["a.py:f", { function = "b.py:f", arguments = { stem = 64 }, title = "64 maps" }]'
    changes = (('"alexnet.py:build"', '"build"'), ('"reference/alexnet.py:build"', several))

    network = load_assignment(course(tmp_path, *changes), KNOWN).networks[1]

    assert (network.file, network.function_name) == ("", "build")
    assert [r.function for r in network.same_as] == ["a.py:f", "b.py:f"]
    assert network.same_as[1].arguments == {"stem": 64}


def test_each_call_has_its_own_arguments_beside_the_shared_ones(tmp_path):
    calls = "calls = [{}, { arguments = { classes = 9 }, input_shape = [64, 64, 3] }]"
    text = "arguments = { classes = 7, size = [99, 99] }"

    first, second = load_assignment(course(tmp_path, (text, f"{text}\n{calls}"))).networks[1].asked

    assert (first.text, first.input_shape) == ("classes=7, size=(99, 99)", None)
    assert (second.text, second.input_shape) == ("classes=9, size=(99, 99)", (64, 64, 3))


def test_an_assignment_without_probes_asks_for_no_check_of_a_densenet():
    assignment = load_assignment(COURSE, KNOWN)

    assert set(assignment.rubric) == {"towers", "alexnet"}
    assert assignment.module == "alexnet.py"


def test_lists_among_the_arguments_are_tuples():
    assignment = load_assignment(COURSE)

    assert assignment.networks[1].arguments == {"classes": 7, "size": (99, 99)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"alexnet.py:build"', '"alexnet.txt:build"', "networks.1.function: expected"),
        ('"alexnet.py:build"', '"build()"', "networks.1.function: expected FILE.py:FUNCTION or"),
        ('"alexnet.py:build"', '"models/alexnet.py:build"', "a file at the top of the submission"),
        ('"reference/alexnet.py:build"', '"../alexnet.py:build"', "networks.1.same_as: expected"),
        ('"reference/alexnet.py:build"', '"/etc/a.py:build"', "networks.1.same_as: expected"),
        ('name = "towers"', 'name = "alexnet"', "a name of its own. Received: 'alexnet'"),
        ('name = "towers"', 'name = "accuracy"', "a name of its own. Received: 'accuracy'"),
        ('name = "towers"', 'name = "The Towers"', "networks.0.name: expected"),
        ("[27, 27, 8]", "[27, 27]", "networks.0.input_shape: expected height, width and channels"),
        ("[27, 27, 8]", "[27, 27, 0]", "networks.0.input_shape: expected height, width and"),
        ("input_shape = [27, 27, 8]\n", "", "networks.0: expected input_shape with takes_tensor"),
        ("classes = 7", "classes = 2027-10-14", "networks.1.arguments: expected numbers, texts"),
        ("classes = 7", "classes = inf", "networks.1.arguments: expected numbers, texts"),
        ("classes = 7", "classes = { a = 1 }", "networks.1.arguments: expected numbers, texts"),
        ("classes = 7", '"class-es" = 7', "networks.1.arguments: expected up to 32 arguments"),
        ("takes_tensor = true", 'takes_tensor = "yes"', "networks.0.takes_tensor: expected a"),
        ("same_as =", "same =", "networks.0.same: unknown key."),
        ("towers = { points = 4 }\n", "", "rubric.towers: missing; every check needs its points"),
        ("[rubric]", "[rubric]\nstem = { points = 1 }", "rubric.stem: expected the name of a"),
        ("[rubric]", "[rubric]\naccuracy = { points = 1 }", "rubric.accuracy: expected the name"),
        ('module = "alexnet.py"', 'module = "src/alexnet.py"', "module: expected"),
    ],
)
def test_a_mistake_in_a_network_is_named_with_its_key(tmp_path, old, new, said):
    file = course(tmp_path, (old, new))

    with pytest.raises(AssignmentError) as error:
        load_assignment(file, KNOWN)

    assert str(file) in str(error.value)
    assert said in str(error.value)


def test_an_assignment_that_asks_for_nothing_is_refused(tmp_path):
    text = (COURSE / "assignment.toml").read_text(encoding="utf-8")
    start, end = text.index("[[networks]]"), text.index("[rubric]")
    file = tmp_path / "assignment.toml"
    file.write_text(text[:start] + text[end:], encoding="utf-8")

    with pytest.raises(AssignmentError, match=r"expected \[probes\].*: nothing is asked for"):
        load_assignment(file)


def test_the_module_of_a_densenet_has_its_name(tmp_path):
    message = refusal(tmp_path, ('title = "', 'module = "net.py"\ntitle = "'))

    assert "module: expected 'densenet.py' with [probes]" in message


def _keys(model, table=""):
    """Table and key of every value that a file may hold, through all records below `model`."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        records = [k for kind in kinds for k in (kind, *get_args(kind)) if _is_record(k)]
        if not records:
            yield table, name
        for record in records:
            yield from _keys(record, name)


def _is_record(what):
    return isinstance(what, type) and issubclass(what, BaseModel)


@pytest.mark.parametrize("table", ["evaluation", "time_budgets", "deadline", "late"])
def test_every_key_of_a_table_is_shown_in_the_shipped_file_with_what_it_does(table):
    text = (SHIPPED / "assignment.toml").read_text(encoding="utf-8")
    start = text.index(f"{table}]")
    section = text[start : text.index("\n[", start)]

    for name in [key for where, key in _keys(Contents) if where == table]:
        assert re.search(rf"^(# )?{name} = ", section, re.MULTILINE), f"{table}.{name} is not shown"


def test_the_keys_that_are_shown_commented_out_can_be_taken_as_they_stand(tmp_path):
    text = (SHIPPED / "assignment.toml").read_text(encoding="utf-8")
    start, end = text.index("[evaluation]"), text.index("[time_budgets]")
    section = re.sub(r"^# (\w+ = )", r"\1", text[start:end], flags=re.MULTILINE)
    section = section.replace("retrain_s = 900 ", "# ", 1)  # its alternative stands in its place
    file = tmp_path / "assignment.toml"
    file.write_text(text[:start] + section + text[end:], encoding="utf-8")

    rule = load_assignment(file).evaluation

    assert (rule.retrain_s, rule.retrain_reference_epochs) == (None, 10)
    assert (rule.borderline, rule.seeds, rule.decide) == (0.007, 3, "mean")
    assert (rule.linear_from, rule.deterministic) == (0.75, True)
    assert rule.retrain_memory_bytes == EvaluationRule.model_fields["retrain_memory_bytes"].default


def test_the_weights_of_the_papers_largest_network_pass_every_limit_on_their_way():
    largest = Configuration(190, 40, compression=0.5, bottleneck=True)
    size = 4 * largest.count().total

    assert 100 * 2**20 > size > 90 * 2**20
    assert size < IntakePolicy().weights_bytes
    assert size < IntakePolicy().archive_bytes
    # Out of the sandbox come the weights and, beside them, far smaller frames.
    assert size < 0.5 * load_assignment(SHIPPED).limits.output_bytes


# --- functions that have a reference ------------------------------------------------------

IMAGES = SHIPPED.parent / "tests" / "courses" / "images" / "assignment.toml"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"images.py:crop"', '"crop"', "functions.0.function: expected FILE.py:FUNCTION"),
        ('"images.py:crop"', '"a/images.py:crop"', "a file at the top of the submission"),
        ('"reference/images.py:crop"', '"../images.py:crop"', "functions.0.same_as: expected"),
        ('"reference/images.py:rounded_up"', '"up"', "functions.1.slips.0.like: expected"),
        ('says = "it', 'say = "it', "functions.1.slips.0.say: unknown key."),
        ('box_in = "image"', 'box_in = "picture"', "box_in: expected the name of an image"),
        ('box_in = "image"', 'box = "image"', "functions.0.arguments.1.box: unknown key."),
        ('box_in = "image"', 'integer = "n"', "expected one of sizes (there are none)"),
        ('box_in = "image"', 'box_in = "image", integer = [1, 2]', "expected one of image, array"),
        ('name = "box", box_in = "image"', 'name = "box"', "expected one of image, array"),
        ('name = "box", box_in', 'name = "image", box_in', "arguments: expected different names"),
        ('name = "box", box_in', 'name = "a box", box_in', "expected the name of an argument"),
        ("integer = [3, 99]", "integer = [99, 3]", "expected [least, most]. Received: [99, 3]"),
        ("height = 12", "height = 0", "expected a size from 1 to 1024. Received: 0"),
        ("height = 12", "height = [4, 5000]", "expected a size from 1 to 1024"),
        ("channels = 1", "channels = 2", "functions.2.arguments.0.image.channels: expected"),
        ("[2, 5], 3", "", "functions.3.arguments.1.array.shape"),
        ('"float32"', '"float16"', "functions.3.arguments.1.array.dtype: expected"),
        ('"out.npy"', '"../out.npy"', "functions.3.arguments.0.new_file: expected the name of a"),
        ("calls = [[7], [8]]", "calls = [[7, 8]]", "calls: expected 1 values, one for each"),
        ("calls = [[7], [8]]", "calls = [[inf], [8]]", "calls: expected a finite number"),
        ("calls = [[7], [8]]", "calls = [[2027-01-01]]", "calls: expected numbers, texts"),
        ("public = 1\ndrawn = 0", "public = 0\ndrawn = 0", "nothing is called"),
        ("may_raise = true", "tolerance = -1", "functions.4.tolerance: expected"),
        ("may_raise = true", "sizes = { n = [0, 2] }", "expected NAME = [least, most]"),
        ('name = "save"', 'name = "crop"', "functions.0.name: expected a name of its own"),
    ],
)
def test_a_mistake_in_a_function_is_named_with_its_key(tmp_path, old, new, said):
    text = IMAGES.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "assignment.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(AssignmentError) as error:
        load_assignment(file, KNOWN)

    assert said in str(error.value)
