"""HTML pages of reports: self-contained, by jinja2 from the templates beside this module; what is put in is escaped."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@dataclass(frozen=True)
class Picture:
    """A figure of the report: file name without suffix, PNG bytes, caption, and the section it belongs to."""

    name: str
    png: bytes
    caption: str
    section: str = ""

    @property
    def source(self) -> str:
        """The figure itself as a URL."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"


def page(template: str, **values: Any) -> str:
    """One HTML page without outside references: `template`.html.j2 with `values`, of which none may be missing."""
    return _environment().get_template(f"{template}.html.j2").render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gwsurrogate_ml.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["lowered"] = lowered
    return environment


def lowered(text: str) -> Markup:
    """`text` as HTML, the indices of our parameters and the sun's sign lowered.

    Examples
    --------
    >>> print(lowered("χ_eff < 1 M☉"))
    χ<sub>eff</sub> &lt; 1 M<sub>☉</sub>
    """
    from markupsafe import Markup, escape

    return Markup(re.sub("_(eff|JN)|(☉)", r"<sub>\1\2</sub>", str(escape(text))))
