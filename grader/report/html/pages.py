"""Pages that need nothing else: no address, no script for students, and a policy that says so.

Every value that a template shows goes through `safe_line` and is escaped: `finalize` sees to the
first and autoescape to the second, so that no template can forget either. The policy in each page
lets the browser use the page's own style sheet (and on the class page its own script) by their
hashes, pictures that lie in the page, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resource
from typing import TYPE_CHECKING, Any

from grader.calls.picture import png_of
from grader.report.text import safe_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

LONGEST = 600
"""Characters of one value on a page."""


def page(template: str, values: Mapping[str, Any], *, script: str = "") -> str:
    """A page from its template.

    Args:
        template: Its file in this folder.
        values: What it shows; every string may be a student's.
        script: The file of its script, in this folder; none by default.
    """
    from markupsafe import Markup

    style, code = text_of("page.css"), text_of(script) if script else ""
    policy = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "img-src": "data:",
        "script-src": _hash(code) if code else "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    own = {
        "policy": Markup("; ".join(f"{name} {value}" for name, value in policy.items())),
        "style": Markup(style),
        "script": Markup(code),
    }
    return _environment().get_template(template).render(**values, **own)


def data_uri(png: bytes) -> Markup:
    """A picture as an address that holds it."""
    from markupsafe import Markup

    return Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}")


def text_of(file: str) -> str:
    """A file beside the templates."""
    return resource(__package__).joinpath(file).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        finalize=_harmless,
        loader=FunctionLoader(text_of),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["points"] = lambda points: f"{points:g}"
    environment.filters["prose"] = _prose
    environment.filters["picture"] = lambda picture: data_uri(png_of(picture))
    return environment


def _prose(text: str) -> Markup:
    """A sentence, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    safe = str(escape(safe_line(text, LONGEST)))
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", safe))


def _harmless(value: Any) -> Any:
    """What a template may show: our own markup as it is, any other text as one harmless line."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return safe_line(value, LONGEST)
