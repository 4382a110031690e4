"""Which of the members make the submission: the folder that counts, its module, its weights."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.domain import RECIPE, WEIGHTS
from grader.intake.kinds import Fate, clutter, dropped_because, fate, is_weights, shadows
from grader.intake.members import Member
from grader.intake.policy import IntakePolicy
from grader.intake.refusal import bad_archive, listed, missing_file, shown, size, too_large

HANDIN = "Put {} at the top of the zip, or into its one top folder, and repack."
BESIDE = "Give the command in the folder with {}; `grade init` makes one."


@dataclass(frozen=True)
class Layout:
    """The members that count, their paths below the top folder.

    Attributes:
        files: What is written, in order of path; without the notebook.
        notebook: The notebook to convert, None where the module is there.
        weights: Path of the one weights file.
        recipe: Path of recipe.toml.
        remarks: What was left out or repaired.
    """

    files: tuple[Member, ...]
    notebook: Member | None
    weights: str | None
    recipe: str | None
    remarks: tuple[str, ...]


def lay_out(members: Sequence[Member], policy: IntakePolicy) -> Layout:
    """Decide for every member what becomes of it.

    Args:
        members: All of them, names checked.
        policy: Bounds on files and sizes.

    Returns:
        The layout.

    Raises:
        SubmissionRejected: Links, nested archives, no module, several weights files, too
            many or too large files.
    """
    remarks = _clutter_remarks(members)
    real = [member for member in members if not clutter(member.parts) and member.parts]
    _refuse_special(real, policy)
    files = _below_top([member for member in real if not member.is_folder], policy)
    by_fate = {kind: [m for m in files if fate(m.parts) is kind] for kind in Fate}
    _refuse_nested(by_fate[Fate.NESTED])
    notebook = _notebook(files, policy)
    kept = by_fate[Fate.KEPT]
    kept, package = _without_hiding_package(kept, policy)
    weights, others = _weights(kept, policy)
    kept = sorted((m for m in kept if m not in others), key=lambda m: m.parts)
    _refuse_sizes(kept, notebook, policy)
    remarks += package + _left_out(by_fate, notebook, others, policy) + _noticed(kept, weights)
    recipe = next((m.path for m in kept if m.parts == (RECIPE,)), None)
    return Layout(tuple(kept), notebook, weights, recipe, tuple(remarks))


# --- refusals -----------------------------------------------------------------------------


def _refuse_special(members: Sequence[Member], policy: IntakePolicy) -> None:
    for member in members:
        if member.special:
            raise bad_archive(
                f"{shown(member.path)}: {member.special}, expected an ordinary file.",
                f"Replace it by the file itself{policy.and_repack}.",
            )


def _refuse_nested(nested: Sequence[Member]) -> None:
    if nested:
        raise bad_archive(
            f"an archive inside the submission: {listed([m.path for m in nested])}.",
            "Unpack it and put the files themselves into the zip.",
        )


def _refuse_sizes(kept: Sequence[Member], notebook: Member | None, policy: IntakePolicy) -> None:
    if len(kept) > policy.files:
        raise too_large(
            f"{len(kept)} files, expected at most {policy.files}.",
            f"Hand in {policy.asked}, the modules it imports, recipe.toml and one weights file.",
        )
    for member in kept:
        weights = is_weights(member.parts[-1])
        _refuse_size(member, policy.weights_bytes if weights else policy.file_bytes)
    if notebook:
        _refuse_size(notebook, policy.notebook_bytes)
    total = sum(member.size_bytes for member in kept)
    if total > policy.total_bytes:
        raise too_large(
            f"the files hold {size(total)}, expected at most {size(policy.total_bytes)}.",
            "Leave data sets and checkpoints out; only one weights file is needed.",
        )


def _refuse_size(member: Member, limit: int) -> None:
    if member.size_bytes > limit:
        raise too_large(
            f"{shown(member.path)}: {size(member.size_bytes)}, expected at most {size(limit)}.",
            _how_to_shrink(member.parts[-1]),
        )


def _how_to_shrink(name: str) -> str:
    if is_weights(name):
        return "Save the weights alone, with model.save_weights(), or train a smaller network."
    if name.casefold().endswith(".ipynb"):
        return "Clear the notebook's outputs."
    return "Leave data out of the file."


# --- the folder that counts ---------------------------------------------------------------


def _below_top(files: list[Member], policy: IntakePolicy) -> list[Member]:
    """Take one top folder off where there is one and the module is in it."""
    handin = (BESIDE if policy.own_folder else HANDIN).format(policy.asked)
    if not files:
        raise missing_file(f"there is no file in the {policy.whole} that could be graded.", handin)
    if any(len(m.parts) == 1 and policy.is_module(m.parts[0]) for m in files):
        return files
    counting = [m for m in files if fate(m.parts) in (Fate.KEPT, Fate.NOTEBOOK, Fate.DROPPED)]
    tops = {member.parts[0] for member in counting if len(member.parts) > 1}
    if len(tops) == 1 and all(len(member.parts) > 1 for member in counting):
        top = tops.pop()
        below = [
            replace(m, parts=m.parts[1:]) if m.parts[0] == top and len(m.parts) > 1 else m
            for m in files
        ]
        if any(len(m.parts) == 1 and policy.is_module(m.parts[0]) for m in below):
            return below
        if not policy.module:  # a folder of a repository is as good as its top
            return _below_top(below, policy)
    _refuse_nested([member for member in files if fate(member.parts) is Fate.NESTED])
    raise missing_file(_where_it_may_be(files, policy), _how_to_name_it(files, policy) or handin)


def _where_it_may_be(files: Sequence[Member], policy: IntakePolicy) -> str:
    """The most helpful sentence there is about a module that is not where it belongs."""
    name = policy.asked
    exact = [m.path for m in files if policy.is_module(m.parts[-1])]
    if exact:
        return f"{name}: expected at the top. Received: {listed(exact)}."
    similar = [m.path for m in files if _is_similar(m.parts[-1], name)]
    if similar:
        return f"{name}: expected under exactly this name. Received: {listed(similar)}."
    code = [m.path for m in files if m.parts[-1].casefold().endswith((".py", ".ipynb"))]
    if code:
        return f"{name}: not in the {policy.whole}. Its code files are {listed(code)}."
    names = listed([m.path for m in files])
    return f"{name}: not in the {policy.whole}, nor any other Python file. It holds {names}."


def _how_to_name_it(files: Sequence[Member], policy: IntakePolicy) -> str:
    """Advice for one file whose name is nearly right; empty for none and several."""
    named = any(policy.is_module(member.parts[-1]) for member in files)
    similar = [m for m in files if _is_similar(m.parts[-1], policy.asked)]
    if named or len(similar) != 1 or not policy.own_folder:
        return ""
    book = similar[0].parts[-1].casefold().endswith(".ipynb")
    return f"Rename it to {policy.notebook if book else policy.asked}."


def _is_similar(name: str, module: str) -> bool:
    """Such as densenet (1).py, DenseNet.py, densenet.py.txt, densenet_final.ipynb."""
    plain = re.sub(r"[^a-z]", "", name.casefold())
    if not re.search(r"py|ipynb|txt", plain) or name.casefold().startswith("test_"):
        return False
    stem = re.sub(r"(py|ipynb|txt)+$", "", plain)
    wanted = re.sub(r"[^a-z]", "", module.removesuffix(".py").casefold())
    return bool(wanted) and (
        stem.startswith(wanted) or bool(difflib.get_close_matches(stem, [wanted], 1, 0.8))
    )


def _notebook(files: Sequence[Member], policy: IntakePolicy) -> Member | None:
    at_top = {member.parts: member for member in files}
    if not policy.module:
        books = [m for m in files if len(m.parts) == 1 and m.parts[0].endswith(".ipynb")]
        alone = len(books) == 1 and not any(m.path.endswith(".py") for m in files)
        return books[0] if alone else None
    return None if (policy.module,) in at_top else at_top.get((policy.notebook,))


def _without_hiding_package(
    kept: list[Member], policy: IntakePolicy
) -> tuple[list[Member], list[str]]:
    """`import densenet` would take a folder densenet/ with __init__.py before densenet.py."""
    stem = policy.module.removesuffix(".py")
    if not stem or not any(m.parts == (stem, "__init__.py") for m in kept):
        return kept, []
    return (
        [m for m in kept if m.parts[0] != stem],
        [f"The folder {stem}/ was left out: it hides {policy.module} from `import {stem}`."],
    )


# --- weights ------------------------------------------------------------------------------


def _weights(kept: Sequence[Member], policy: IntakePolicy) -> tuple[str | None, list[Member]]:
    """The one weights file by the documented rule, and those that lost.

    densenet.weights.h5 at the top wins; else the only one at the top; else the only one of this
    name, or of any.
    """
    found = [member for member in kept if is_weights(member.parts[-1])]
    at_top = [member for member in found if len(member.parts) == 1]
    for choice in (_of_the_name(at_top), at_top, _of_the_name(found), found):
        if len(choice) == 1:
            return choice[0].path, [member for member in found if member is not choice[0]]
        if choice:
            break
    if found:
        raise bad_archive(
            f"several weights files: {listed([m.path for m in found])}.",
            f"Keep one, or name the one that counts {WEIGHTS}{policy.and_repack}.",
        )
    return None, []


def _of_the_name(members: Sequence[Member]) -> list[Member]:
    return [member for member in members if member.parts[-1] == WEIGHTS]


# --- remarks ------------------------------------------------------------------------------


def _clutter_remarks(members: Sequence[Member]) -> list[str]:
    kinds = Counter(kind for member in members if (kind := clutter(member.parts)) is not None)
    if not kinds:
        return []
    counted = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    return [f"Ignored, they are not part of the work: {counted}."]


def _left_out(
    by_fate: dict[Fate, list[Member]],
    notebook: Member | None,
    weights: list[Member],
    policy: IntakePolicy,
) -> list[str]:
    module, own = policy.module, policy.notebook
    remarks = []
    reasons: dict[str, list[str]] = {}
    for member in by_fate[Fate.DROPPED]:
        reasons.setdefault(str(dropped_because(member.parts)), []).append(member.path)
    remarks += [f"Left out, {why}: {listed(paths)}." for why, paths in reasons.items()]
    if weights:
        remarks.append(f"Left out, another weights file counts: {listed(_paths(weights))}.")
    books = [m for m in by_fate[Fate.NOTEBOOK] if m is not notebook]
    if own and any(m.parts == (own,) for m in books):
        remarks.append(f"Both {module} and {own} were handed in; {module} counts.")
    books = [m for m in books if m.parts != (own,)]
    if books:
        only = own or "a notebook without Python files beside it"
        remarks.append(f"Left out, only {only} is read: {listed(_paths(books))}.")
    if by_fate[Fate.IGNORED]:
        remarks.append(f"Ignored, of no use here: {listed(_paths(by_fate[Fate.IGNORED]))}.")
    return remarks


def _paths(members: Sequence[Member]) -> list[str]:
    return [member.path for member in members]


def _noticed(kept: Sequence[Member], weights: str | None) -> list[str]:
    remarks = []
    renamed = _paths([m for m in kept if m.renamed])
    if renamed:
        remarks.append(f"Names that were repaired: {listed(renamed)}.")
    hidden = sorted({name for m in kept if (name := shadows(m.parts))})
    if hidden:
        remarks.append(
            f"Modules with the name of a known one: {listed(hidden)}. The known one is imported; "
            "rename yours."
        )
    if weights and not weights.casefold().endswith((".weights.h5", ".keras")):
        remarks.append(
            f"{shown(weights)} was taken as the weights file; expected *.weights.h5 or *.keras."
        )
    return remarks
