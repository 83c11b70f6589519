"""An extension of griffe, which reads docstrings for the site: the roles of reStructuredText.

Docstrings here say ``:class:`Actor```, which editors understand; Markdown does not.
"""

import re
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`~?([\w.]+)`")


class Roles(griffe.Extension):
    """Show what a role names as code, linked where the site describes it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(lambda role: _link(obj, role[1]), obj.docstring.value)


def _link(obj: griffe.Object, name: str) -> str:
    first, dot, rest = name.partition(".")
    try:
        path = name if first == "locshare" else obj.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return f"`{name}`"
    # Optional: what is not public has no place on the site, and its name stays plain code.
    return f'<autoref identifier="{path}" optional><code>{name}</code></autoref>'
