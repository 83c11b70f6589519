"""An extension of griffe, which reads docstrings for the site: the roles of reStructuredText.

Docstrings here say ``:class:`Actor```, which editors understand; Markdown does not.
"""

import re
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`~?([^`]+)`")


class Roles(griffe.Extension):
    """Show what a role names as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
