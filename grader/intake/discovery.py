"""From what stands on the command line to the list of submissions to grade."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path

from grader.domain import RECIPE
from grader.errors import UsageError
from grader.intake.attempts import SETTINGS, chosen_of, marked_late
from grader.intake.exports import (
    SAKAI_FILES,
    SAKAI_OWN,
    Export,
    export_of,
    voted,
)
from grader.intake.gradescope import METADATA
from grader.intake.items import (
    Item,
    is_everybodys,
    named,
    of_loose_files,
    told_apart,
)
from grader.intake.kinds import is_archive, is_weights
from grader.intake.looking import Looking, children, is_code
from grader.intake.names import (
    BY_NAME,
    SUBMITTED,
    Identity,
    OwnPart,
    Platform,
    are_of_google,
    collected_by_nbgrader,
    own_part,
    plain,
    safe_id,
    title,
    told_by,
)
from grader.intake.owners import in_roster
from grader.intake.policy import DEFAULT, IntakePolicy
from grader.intake.refusal import listed, shown
from grader.intake.roster import Roster
from grader.intake.times import TIMESTAMP

NAMED_FILES = 20
"""How many files that were not graded are named before they are counted."""


@dataclass(frozen=True)
class Discovery:
    """What stands behind the paths of a command line.

    Attributes:
        items: The submissions, each with an id of its own.
        notices: What the instructor should know: how names were read, what was not graded.
        is_class: Whether a folder of submissions was named.
    """

    items: tuple[Item, ...]
    notices: tuple[str, ...] = ()
    is_class: bool = False


def discover(
    paths: Iterable[Path],
    policy: IntakePolicy = DEFAULT,
    zone: tzinfo | None = None,
    platform: Platform | None = None,
    roster: Roster | None = None,
) -> Discovery:
    """Find the submissions behind paths.

    A path is an archive, a loose module or notebook, a folder with densenet.py or densenet.ipynb,
    or a class folder of these. In a class folder a folder is one student's, whatever it holds, so
    that an empty or misnamed one is told so rather than forgotten; archives in it are submissions
    of that student. How names are read is decided once for a class folder, by most of its names.

    Args:
        paths: As given, each must exist.
        policy: Names the module that a submission has.
        zone: Zone of local times in names (the assignment's).
        platform: Whose names they are; None lets the names decide.
        roster: The students; whoever is one of them has the roster's id.

    Returns:
        Each submission once; the given order of paths, names in order below each.

    Raises:
        UsageError: A path does not exist, is a results folder, or nothing was found.
    """
    search = _Search(policy, zone, platform)
    given = tuple(paths)
    search.look_at(given)
    if not search.found:
        names = ", ".join(shown(str(path)) for path in given) or "no path"
        left = f" Not graded: {listed(search.left_out, NAMED_FILES)}." if search.left_out else ""
        raise UsageError(
            f"expected a zip, a folder with {policy.asked}, or a folder of these. "
            f"Received: {names}, with nothing of the kind in it.{left}"
        )
    known, told = in_roster(search.found.values(), roster)
    items, repeated = told_apart(known)
    notices = [*search.notices, *told, *repeated]
    if search.not_chosen:
        others = listed(search.not_chosen, NAMED_FILES)
        notices.append(f"Not graded, as their students chose another version: {others}.")
    if search.left_out:
        notices.append(f"Not graded, as no submission: {listed(search.left_out, NAMED_FILES)}.")
    return Discovery(items, tuple(notices), bool(search.classes))


@dataclass
class _Search:
    """One command's search.

    Attributes:
        found: Place and member of the group → item, in order.
        notices: What to tell the instructor.
        left_out: Files of class folders that belong to no submission.
        not_chosen: Attempts beside the one that their student chose.
        classes: The class folders.
    """

    policy: IntakePolicy
    zone: tzinfo | None
    platform: Platform | None
    found: dict[tuple[Path, int], Item] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    not_chosen: list[str] = field(default_factory=list)
    classes: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.look = Looking(self.policy)
        self.kept_apart = False

    # --- what the command line names ---

    def look_at(self, paths: Sequence[Path]) -> None:
        kinds = {path: self._kind(path) for path in paths}
        folders = [path for path, kind in kinds.items() if kind == "class"]
        # `grade class/*` names the students' folders, and what lies in one must not speak of who.
        if len(paths) > 1 and self._are_students(folders):
            kinds |= dict.fromkeys(folders, "student")
        entries = [path for path, kind in kinds.items() if kind in ("submission", "student")]
        files = [path for path in entries if path.is_file()]
        platform = voted([path.parts for path in entries])
        if platform is None and len(files) == len(entries) > 1:
            platform = "google" if are_of_google([path.name for path in files]) else None
        loose = self._named_together(files, self.platform or platform)
        together = {file for group in loose.values() for _, file in group} - loose.keys()
        self.kept_apart = platform is None and self.look.keeps_attempts(entries)
        if platform is None and self.platform is None and self._are_named_alike(entries):
            platform = "folders"
        for path in paths:
            if path in together:
                continue
            if kinds[path] in ("submission", "student"):
                self._named_entry(path, platform, len(entries), loose.get(path))
            elif kinds[path] == "nbgrader":
                self._nbgrader(path)
            else:
                self._class(path)

    def _named_together(
        self, files: Sequence[Path], platform: Platform | None
    ) -> dict[Path, list[tuple[str, Path]]]:
        """The loose files of each person among those that `class/*` names, by the first of code."""
        if len(files) < 2 or self.platform in ("folders", "files"):
            return {}
        of_lms = platform if platform and _is_of_lms(platform) else None
        found: dict[Path, list[tuple[str, Path]]] = {}
        for folder in dict.fromkeys(file.parent for file in files):
            own = {
                file: own_part((file.name,), of_lms) if of_lms else None
                for file in files
                if file.parent == folder
            }
            found |= self._loose_groups(list(own), own)
        return {code: group for code, group in found.items() if group[1:]}

    def _kind(self, path: Path) -> str:
        """What a named path is: "submission", "student" (their folder), "nbgrader" or "class"."""
        if path.is_file():
            return "submission"
        if not path.is_dir():
            raise UsageError(
                f"{shown(str(path))}: expected a zip or a folder. Received: nothing of that name."
            )
        if self.look.is_results(path):
            raise UsageError(
                f"{shown(str(path))}: expected submissions. Received: a results folder. "
                f"`grade report {shown(str(path))}` shows its grades."
            )
        if self.look.has_module(path):
            return "submission"
        whole = path.resolve()
        if self._is_nbgrader(whole):
            return "nbgrader"
        return "student" if self._is_of_platform(path, whole.name) else "class"

    def _is_of_platform(self, path: Path, name: str) -> bool:
        """Whether a platform made this folder for one student; Canvas and Blackboard make none."""
        if self.platform and not _is_of_lms(self.platform):
            return False
        part = own_part((name,), self.platform)
        if part is None or part.platform not in ("canvas", "blackboard"):
            return part is not None
        return len(self.look.candidates(path)) <= 1

    def _are_students(self, folders: Sequence[Path]) -> bool:
        """Whether most of several folders hold one thing at most, as students' folders do."""
        single = [f for f in folders if len(self.look.candidates(f)) <= 1]
        return len(single) * 2 > len(folders)

    def _are_named_alike(self, entries: Sequence[Path]) -> bool:
        """Whether most of several archives bear a name that says nothing, each in its folder."""
        files = [path for path in entries if path.is_file()]
        counts = Counter(path.name.casefold() for path in files)
        alike = [f for f in files if counts[f.name.casefold()] > 1 or is_everybodys(f.name)]
        return len(files) > 1 and len(alike) * 2 > len(files)

    def _named_entry(
        self,
        path: Path,
        voted: Platform | None,
        count: int,
        together: Sequence[tuple[str, Path]] | None = None,
    ) -> None:
        own = named(path, self.zone, self.platform)
        if self.platform is None and count > 1 and own.identity.platform != voted:
            own = self._as_voted(own, path, voted)
        elif self.platform is None and count == 1 and _is_of_lms(own.identity.platform):
            self.notices.append(_read_as(path, own.identity.platform))
        if together:
            self._loose(together, self._of_code(own.identity, path), own.source)
        elif path.is_dir():
            below = "" if count == 1 else own.source
            self._student(path, own.identity, below, self.kept_apart)
        elif is_code(path.name):
            part = own_part((path.name,), self.platform)
            name = path.name[part.end :] if part else path.name
            self._loose([(name or path.name, path)], self._of_code(own.identity, path), own.source)
        else:
            self._add(own)

    def _as_voted(self, own: Item, path: Path, voted: Platform | None) -> Item:
        """One name among several does not decide by itself how it is read."""
        plainly = not _is_of_lms(own.identity.platform)
        if plainly and voted != "google" and not (voted == "folders" and path.is_file()):
            return own
        part = own_part(path.parts, voted) if voted else None
        return replace(own, identity=told_by(part, self.zone) if part else plain(path, voted))

    # --- a class folder ---

    def _class(self, root: Path) -> None:
        self.classes.append(root)
        found = self.look.class_in(root)
        if not (found.guessed and self.platform == "folders"):
            root = found.place
            self.left_out += found.beside
        if found.guessed and self.platform is None:
            self.notices.append(
                f"{shown(root.name)}: each folder or archive in it is read as one student's. "
                "If it is one student's itself, use --from folders."
            )
        inside = children(root)
        for child in [c for c in inside if c.is_dir() and self.look.is_results(c)]:
            self.notices.append(f"{shown(child.name)} is a results folder and was left out.")
            inside.remove(child)
        candidates = [child for child in inside if self.look.may_be_submitted(child)]
        export = export_of(root, candidates, self.platform, self.zone)
        if export.platform and not _is_of_lms(export.platform):
            export = Export(None, self.zone)
        if export.platform and self.platform is None:
            self.notices.append(_read_as(root, export.platform))
        self._children_of_class(root, inside, len(candidates) == 1, export)
        there = {child.name for child in inside}
        if lost := [name for name in export.known if name not in there]:
            self.notices.append(f"{METADATA} names what is not here: {listed(lost, NAMED_FILES)}.")

    def _children_of_class(
        self, root: Path, inside: Sequence[Path], alone: bool, export: Export
    ) -> None:
        own = {child: export.part(child) for child in inside}
        groups = self._loose_groups(inside, own)
        kept_apart = export.platform is None and self.look.keeps_attempts(inside)
        for child in inside:
            part = own[child]
            identity = export.identity(child)
            if alone and is_everybodys(child.name) and self.platform != "files":
                identity = plain(root.resolve())
            if _is_typed(child, part):
                self._typed(child, identity, part, own)
            elif child.is_dir():
                if part and part.platform == "sakai":
                    self._sakai(child, identity)
                else:
                    self._student(child, identity, child.name, kept_apart)
            elif is_archive(child.name):
                self._add(Item(child, identity, child.name))
            elif child in groups:
                self._loose(groups[child], self._of_code(identity, child), child.name)
            elif not any(child == path for files in groups.values() for _, path in files):
                self._leave_out(child, part, own)

    def _typed(
        self, child: Path, identity: Identity, part: OwnPart | None, own: dict[Path, OwnPart | None]
    ) -> None:
        """Name what stands beside a student's files; who has no files will be told so."""
        same = [c for c, p in own.items() if part and p and p.who == part.who]
        if child != same[0] or not all(_is_typed(c, own[c]) for c in same):
            self.left_out.append(child.name)
        else:
            files = ((child.name, child),) if child.is_file() else ()
            self._add(Item(child, identity, child.name, files))

    def _leave_out(self, file: Path, part: OwnPart | None, own: dict[Path, OwnPart | None]) -> None:
        """Name a file that is graded nowhere; a platform's own lists and notes need no word."""
        if part is not None and file.name[part.end :] == ".txt":  # Blackboard's word on an attempt
            others = [p for c, p in own.items() if p and c != file]
            if any((other.who, other.when) == (part.who, part.when) for other in others):
                return
        if file.name != METADATA:
            self.left_out.append(file.name)

    def _sakai(self, folder: Path, identity: Identity) -> None:
        """What a student attached; the texts beside it are Sakai's own, but for the student's."""
        attached = folder / SAKAI_FILES
        if not attached.is_dir():  # it is named in the site's language
            full = [c for c in children(folder) if c.is_dir() and children(c)]
            attached = full[0] if len(full) == 1 else attached
        texts = [f for f in children(folder) if f.is_file() and f.name not in SAKAI_OWN]
        if not attached.is_dir():
            self._add(Item(folder, identity, folder.name))
            return
        self._folder(attached, identity, f"{folder.name}/{attached.name}")
        self.left_out += [f"{folder.name}/{file.name}" for file in texts if file.stat().st_size]

    def _student(self, folder: Path, identity: Identity, below: str, kept_apart: bool) -> None:
        """A student's folder: each of the attempts in it, where a platform keeps them apart."""
        attempts = self.look.attempts(folder) if kept_apart else []
        alone = len(attempts) == 1 and attempts[0].folder.parent == folder
        if not attempts or (alone and not attempts[0].tells):
            self._folder(folder, identity, below)
            return
        chosen = chosen_of(attempts)
        for attempt in chosen:
            place = attempt.folder.relative_to(folder).as_posix()
            own = attempt.of(identity, self.zone)
            self._folder(attempt.folder, own, f"{below}/{place}".lstrip("/"))
        around = below or folder.name
        others = [each for each in attempts if each not in chosen]
        self.not_chosen += [f"{around}/{each.folder.name}" for each in others]
        known = {SETTINGS, *(attempt.folder.name for attempt in attempts)}
        beside = [c.name for c in children(attempts[0].folder.parent) if c.name not in known]
        self.left_out += [f"{around}/{name}" for name in beside]

    def _folder(self, folder: Path, identity: Identity, below: str) -> None:
        """A submission's folder: the archives in it, or the folder itself."""
        inside = children(folder)
        archives = [item for item in inside if item.is_file() and is_archive(item.name)]
        others = [i for i in inside if i.is_dir() or i.suffix in (".py", ".ipynb")]
        if not archives and len(inside) == 1 and inside[0].is_dir():
            deeper = children(inside[0])
            if deeper and all(item.is_file() and is_archive(item.name) for item in deeper):
                archives, others, below = deeper, [], f"{below}/{inside[0].name}"
        if not archives or others:
            self._add(Item(folder, identity, below or folder.resolve().name))
            return
        for archive in archives:
            own = plain(archive) if self.platform == "files" else marked_late(archive, identity)
            self._add(Item(archive, own, f"{below}/{archive.name}".lstrip("/")))
        beside = [i for i in inside if i.is_file() and i not in archives and i.name != TIMESTAMP]
        self.left_out += [f"{below or folder.name}/{file.name}" for file in beside]

    # --- loose files ---

    def _loose_groups(
        self, inside: Sequence[Path], own: dict[Path, OwnPart | None]
    ) -> dict[Path, list[tuple[str, Path]]]:
        """The loose files of each person, by the first of code.

        Who has neither code nor an archive handed in something all the same: it is told so, rather
        than called missing.
        """
        groups: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
        loose = [c for c in inside if c.is_file() and not is_archive(c.name)]
        for file in loose:
            part = own[file]
            if part and not _is_typed(file, part) and file.name[part.end :] != ".txt":
                name = file.name[part.end :]
                groups.setdefault((part.who, part.when, *part.known_as), []).append((name, file))
        for files in groups.values():  # the newest first: of two of one name it counts
            files.sort(key=lambda each: (-(own[each[1]] or _NO_PART).number, each[0]))
        for code in [c for c in loose if own[c] is None and self.look.is_submitted_code(c.name)]:
            start = code.name.removesuffix(self.policy.module)
            beside = [f for f in loose if start and f.name.startswith(start) and f != code]
            files = [(f.name[len(start) :], f) for f in beside if _belongs(f.name[len(start) :])]
            groups[(code.name, "")] = [(code.name, code), *files]
        coded = {key: [f for f in files if is_code(f[0])] for key, files in groups.items()}
        others = [part for c, part in own.items() if part and c not in loose]
        with_code = {part.who for part in others} | {key[0] for key, code in coded.items() if code}
        return {
            (coded[key] or files)[0][1]: files
            for key, files in groups.items()
            if coded[key] or key[0] not in with_code
        }

    def _loose(self, files: Sequence[tuple[str, Path]], identity: Identity, source: str) -> None:
        item = of_loose_files(files, identity, source, self.policy)
        self._add(item or Item(files[0][1], identity, source, tuple(files)))

    def _of_code(self, identity: Identity, path: Path) -> Identity:
        """tom_densenet.py is tom's."""
        start = path.name.removesuffix(self.policy.module).removesuffix(self.policy.notebook)
        who = start.rstrip(" _-.")
        if identity.platform != "files" or start == path.name or not who:
            return identity
        return replace(identity, student_id=safe_id(who))

    # --- nbgrader ---

    def _is_nbgrader(self, folder: Path) -> bool:
        """Whether it is `submitted`, a student's folder in it, or the course above it."""
        if self.platform not in (None, "nbgrader"):
            return False
        if self.platform == "nbgrader":
            return True
        if folder.parent.name == SUBMITTED:
            return self._holds_assignments(folder)
        if folder.name == SUBMITTED:
            candidates = self.look.candidates(folder)
            return sum(self._holds_assignments(c) for c in candidates) * 2 > len(candidates)
        course = any((folder / name).exists() for name in ("nbgrader_config.py", "gradebook.db"))
        return course and (folder / SUBMITTED).is_dir()

    def _holds_assignments(self, folder: Path) -> bool:
        """Whether it looks as nbgrader's folder of a student: folders and nothing else."""
        inside = children(folder) if folder.is_dir() else []
        return bool(inside) and all(item.is_dir() for item in inside)

    def _nbgrader(self, path: Path) -> None:
        whole = path.resolve()
        if whole.parent.name == SUBMITTED and whole.name != SUBMITTED:
            students, below = [path], ""
        else:
            root = path / SUBMITTED if (path / SUBMITTED).is_dir() else path
            students = [child for child in children(root) if child.is_dir()]
            self.left_out += [child.name for child in children(root) if child.is_file()]
            self.classes.append(root)
            below = "" if root == path else f"{SUBMITTED}/"
        assignment = self._assignment(path, students)
        missing = []
        for student in students:
            name = student.resolve().name
            folder = student / assignment
            if not folder.is_dir():
                missing.append(shown(name))
                continue
            identity = collected_by_nbgrader(name, folder, self.zone)
            self._folder(folder, identity, f"{below}{name}/{assignment}")
        if missing:
            self.notices.append(f"Nothing handed in for {assignment}: {', '.join(missing)}.")

    def _assignment(self, path: Path, students: Sequence[Path]) -> str:
        """The assignment that is asked for: the module's, or the one that holds the module."""
        folders = [f for student in students for f in children(student) if f.is_dir()]
        names = Counter(folder.name for folder in folders)
        stem = self.policy.module.removesuffix(".py").casefold()
        chosen = [name for name in names if name.casefold() == stem]
        if not chosen:
            with_module = Counter(f.name for f in folders if self.look.has_module(f)).most_common(2)
            if len(with_module) == 1 or (with_module and with_module[0][1] > with_module[1][1]):
                chosen = [with_module[0][0]]
        if not chosen and len(names) == 1:
            chosen = list(names)
        if len(chosen) != 1:
            found = ", ".join(shown(name) for name in sorted(names)) or "none"
            raise UsageError(
                f"{shown(str(path))}: expected one assignment below each student. Received: "
                f"{found}. Name the one to grade, as in grade {SUBMITTED}/*/{stem or 'NAME'}."
            )
        if len(names) > 1:
            self.notices.append(
                f"{shown(path.resolve().name)} holds the assignments "
                f"{', '.join(shown(name) for name in sorted(names))}: {chosen[0]} is graded."
            )
        return chosen[0]

    # --- looking ---

    def _add(self, item: Item) -> None:
        # Two names of one file are two submissions, one name given twice is one.
        place = item.path.resolve() if item.path.name in ("", "..") else item.path
        place = place.parent.resolve() / place.name
        everybody = (item.identity, *item.identity.others)
        for number, identity in enumerate(everybody):
            self.found.setdefault(
                (place, number), replace(item, identity=_alone(identity, everybody))
            )


_NO_PART = OwnPart("files", "", 0)


def _is_typed(child: Path, part: OwnPart | None) -> bool:
    """Whether it is what a student typed into Moodle's page, which stands beside the files."""
    if part is None or part.platform != "moodle":
        return False
    return "_assignsubmission_file" not in child.name[: part.end]


def _alone(identity: Identity, everybody: Sequence[Identity]) -> Identity:
    """One member of a group, who knows of the others."""
    names = [each.student_id for each in everybody if each.student_id != identity.student_id]
    if not names:
        return identity
    remark = f"Handed in together with {', '.join(names)}."
    return replace(identity, others=(), remarks=(*identity.remarks, remark))


def _is_of_lms(platform: Platform) -> bool:
    """Whether a platform wrote it into the name."""
    return platform in BY_NAME


def _read_as(path: Path, platform: Platform) -> str:
    name = shown(path.resolve().name)
    return f"{name}: names are read as {title(platform)} writes them (--from {platform})."


def _belongs(name: str) -> bool:
    return name == RECIPE or is_weights(name)
