"""The table [[answers]]: a question of a paper whose answer can be checked, and the key to it.

A student's answers are data in answers.toml: `name = answer`. They are read and never executed.
The course's own answers stand in a file of the same form beside the reference solution, so a
student's machine does not have them.
"""

from __future__ import annotations

import math
import random
import re
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from grader.assignment.formula import FormulaError, parse_formula
from grader.assignment.mistakes import mistake, near_to, short
from grader.assignment.tables.base import NonEmpty, OwnCheck

ANSWERS_FILE = "answers.toml"
"""Where students answer, at the top of the submission."""
KEY_FILE = f"reference/{ANSWERS_FILE}"
"""The course's own answers, beside assignment.toml."""
OR = "|"
"""Between the words of the key that are as good as each other."""
LETTERS = "abcdefghij"
DRAWS = 12
"""Points at which two formulas are compared."""

Answer = float | str | tuple[float | str, ...]
Numbers = tuple[Annotated[float, Field(strict=False)], Annotated[float, Field(strict=False)]]


class Question(OwnCheck):
    """One question, as a check."""

    table = "answers"
    kind: Literal["number", "choice", "list", "formula"]
    """number; choice: one of `choices`, by its letter; list: numbers or words; formula: over
    `variables`."""
    question: NonEmpty
    """What is asked, in a sentence."""
    where: NonEmpty
    """Where in the paper the answer stands, such as "section 3.1"; told with a wrong answer."""
    group: NonEmpty = "questions"
    """The heading of the report under which it stands."""
    choices: Annotated[tuple[NonEmpty, ...], Field(strict=False)] = ()
    """With kind = "choice": what can be chosen; the first is a, the second b."""
    variables: dict[str, Annotated[Numbers, Field(strict=False)]] = Field(default_factory=dict)
    """With kind = "formula": name → smallest and largest value. Both formulas are computed at
    values drawn between them."""
    integers: bool = True
    """Whether the values drawn for a formula are whole numbers."""
    tolerance: float = Field(default=0.0, ge=0)
    """How far off a number may be."""
    relative: float = Field(default=0.0, ge=0, lt=1)
    """How far off a number may be, as a share of the right one: 0.05 accepts 5 % more or less."""
    ordered: bool = True
    """With kind = "list": whether the order counts."""

    @field_validator("choices")
    @classmethod
    def _choices_have_letters(cls, written: tuple[str, ...]) -> tuple[str, ...]:
        if len(written) > len(LETTERS):
            raise mistake(f"expected at most {len(LETTERS)} choices. Received: {len(written)}")
        return written

    @field_validator("variables")
    @classmethod
    def _ranges_hold_numbers(cls, written: dict[str, Numbers]) -> dict[str, Numbers]:
        for name, (low, high) in written.items():
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or low > high:
                raise mistake(
                    f"expected NAME = [smallest, largest]. Received: {name} = {[low, high]}"
                )
        return written

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        for kind, key, example in (
            ("choice", "choices", 'choices = ["a filter", "a layer"]'),
            ("formula", "variables", "variables = { n = [5, 64] }"),
        ):
            has = bool(getattr(self, key))
            if has != (self.kind == kind):
                advice = f"Add {example}." if not has else "Take it out."
                raise mistake(f'{key}: belongs to kind = "{kind}"', advice)
        if self.kind == "choice" and len(self.choices) < 2:
            raise mistake("expected at least 2 choices", "Add one.")
        return self

    @property
    def expected(self) -> str:
        """What an answer has to be, in words that begin with an article."""
        match self.kind:
            case "number":
                return "a number"
            case "choice":
                return f"one of the letters {', '.join(LETTERS[: len(self.choices)])}"
            case "list":
                return 'a list such as ["first", "second"] or [1, 2]'
        return f"a formula in {', '.join(self.variables)}, in quotes"

    @property
    def example(self) -> str:
        """How an answer is written."""
        values = {
            "number": "12.5",
            "choice": '"a"',
            "list": '["first", "second"]',
            "formula": f'"{" + ".join(self.variables)}"',
        }
        return f"{self.name} = {values[self.kind]}"

    def read(self, written: Any) -> Answer:
        """An answer as it is compared.

        Args:
            written: A value of a TOML file.

        Raises:
            ValueError: It is of another kind; says what was expected and received.
        """
        value = self._read(written)
        if value is None:
            raise ValueError(f"expected {self.expected}. Received: {short(written)}")
        return value

    def _read(self, written: Any) -> Answer | None:
        match self.kind:
            case "number":
                return _number(written)
            case "choice":
                return self._letter(written)
            case "list":
                return _items(written)
        if isinstance(written, int | float) and not isinstance(written, bool):
            written = str(written)
        if not isinstance(written, str):
            return None
        self._formula(written)
        return written

    def _letter(self, written: Any) -> str | None:
        if not isinstance(written, str):
            return None
        plain = _plain(written)
        by_letter = dict(zip(LETTERS, self.choices, strict=False))
        if plain.strip("()") in by_letter:
            return plain.strip("()")
        return next((a for a, text in by_letter.items() if _plain(text) == plain), None)

    def _formula(self, written: str) -> Any:
        try:
            return parse_formula(written, self.variables)
        except FormulaError as error:
            raise ValueError(
                f"expected {self.expected}. Received: {short(written)}; {error}"
            ) from error

    def drawn(self) -> list[dict[str, float]]:
        """The values at which two formulas are compared: always the same."""
        draw = random.Random(self.name)
        between = draw.randint if self.integers else draw.uniform
        return [
            {
                name: float(between(*((int(low), int(high)) if self.integers else (low, high))))
                for name, (low, high) in self.variables.items()
            }
            for _ in range(DRAWS)
        ]

    def why_wrong(self, mine: Answer, key: Answer) -> str | None:
        """Why an answer is not the course's, without telling that one; None where it is.

        Args:
            mine: The student's, from `read`.
            key: The course's.
        """
        if self.kind == "formula":
            return self._why_other_values(str(mine), str(key))
        if self.kind == "list":
            return self._why_other_items(mine, key)
        return None if self._same(mine, key) else "it is not right"

    def _same(self, mine: Any, key: Any) -> bool:
        if isinstance(key, str) or isinstance(mine, str):
            return _plain(str(mine)) in [_plain(word) for word in str(key).split(OR)]
        room = max(self.tolerance, self.relative * abs(key), 1e-9 * abs(key))
        return bool(abs(mine - key) <= room)

    def _why_other_items(self, mine: Any, key: Any) -> str | None:
        if len(mine) != len(key):
            return f"it has {len(mine)} entries, which is not the right number of them"
        if self.ordered:
            return None if all(map(self._same, mine, key)) else "it is not right"
        left = list(key)
        for item in mine:
            found = next((i for i, each in enumerate(left) if self._same(item, each)), None)
            if found is None:
                return "it is not right"
            del left[found]
        return None

    def _why_other_values(self, mine: str, key: str) -> str | None:
        own, right = self._formula(mine), self._formula(key)
        for values in self.drawn():
            try:
                got = own(values)
            except FormulaError as error:
                return f"at {_at(values)} {error}"
            if not self._same(got, right(values)):
                return f"at {_at(values)} it gives {got:g}, which is not right"
        return None


def read_key(file: Path, questions: tuple[Question, ...]) -> dict[str, Answer] | None:
    """The course's own answers.

    Args:
        file: Where they stand.
        questions: What is asked.

    Returns:
        Question → answer; None where the file is not on this machine.

    Raises:
        ValueError: It is not TOML, lacks an answer, or has one of another kind.
    """
    if not file.is_file():
        return None
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{KEY_FILE}: cannot be read: {error}") from error
    names = [question.name for question in questions]
    for name in written:
        if name not in names:
            raise ValueError(f"{KEY_FILE}: {name}: no such question.{near_to(name, names)}")
    found = {}
    for question in questions:
        if question.name not in written:
            raise ValueError(f"{KEY_FILE}: {question.name}: missing. Add {question.example}.")
        try:
            found[question.name] = question.read(written[question.name])
            if question.kind == "formula":
                _has_values(question, str(found[question.name]))
        except ValueError as error:
            raise ValueError(f"{KEY_FILE}: {question.name}: {error}") from error
    return found


def _has_values(question: Question, key: str) -> None:
    formula = parse_formula(key, question.variables)
    for values in question.drawn():
        formula(values)


def sheet(questions: tuple[Question, ...]) -> str:
    """answers.toml as it is handed out: each question as a comment, its answer left open."""
    lines = ["# Your answers. They are read as data: nothing in this file is run.", ""]
    for question in questions:
        lines += [f"# {line}" for line in _wrapped(question.question)]
        lines += [
            f"#   {letter}: {text}" for letter, text in zip(LETTERS, question.choices, strict=False)
        ]
        lines += [f"# Expected: {question.expected}.", f'{question.name} = ""', ""]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 90)


def _number(written: Any) -> float | None:
    if isinstance(written, bool):
        return None
    if isinstance(written, int | float):
        return _finite(written)
    if not isinstance(written, str):
        return None
    try:
        return parse_formula(written)({})
    except FormulaError:
        return None


def _finite(written: float) -> float | None:
    try:
        value = float(written)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _items(written: Any) -> tuple[float | str, ...] | None:
    if not isinstance(written, list) or not written:
        return None
    items = [_item(item) for item in written]
    return None if any(item is None for item in items) else tuple(items)  # type: ignore[arg-type]


def _item(written: Any) -> float | str | None:
    """A number, also one in quotes, or a word."""
    if not isinstance(written, str):
        return _number(written)
    try:
        return _finite(float(written))
    except ValueError:
        return written


def _plain(text: str) -> str:
    """A word as it is compared: case, hyphens and spaces say nothing."""
    return re.sub(r"[\s_\-‐-―]+", " ", text).strip().rstrip(".").casefold()


def _at(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())
