"""HTML pages of reports: self-contained, by jinja2 from the templates beside this module; what is put in is escaped."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


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

    return Environment(
        loader=PackageLoader("gwsurrogate_ml.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
