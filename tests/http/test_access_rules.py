"""The prefix of a public URL is removed from a request's path."""

from typing import Any

import pytest

from locshare.http.access import AccessRules
from locshare.http.origins import Origins

RULES = AccessRules(Origins((), lambda: ""), prefix="/the map/a")


@pytest.mark.parametrize(
    ("raw", "path", "stripped_raw", "stripped"),
    [
        (b"/the%20map/a/join/x%2Fy", "/the map/a/join/x/y", b"/join/x%2Fy", "/join/x/y"),
        (b"/the%20map/%61/", "/the map/a/", b"/", "/"),
        (b"/join/x", "/join/x", b"/join/x", "/join/x"),
        (b"/the%20map/a%2Fb", "/the map/a/b", b"/the%20map/a%2Fb", "/the map/a/b"),
        (b"/the%20map/ab", "/the map/ab", b"/the%20map/ab", "/the map/ab"),
    ],
)
def test_the_prefix_is_removed_from_the_path_and_the_raw_path(
    raw: bytes, path: str, stripped_raw: bytes, stripped: str
) -> None:
    scope: dict[str, Any] = {"raw_path": raw, "path": path}
    RULES.strip(scope)
    assert (scope["raw_path"], scope["path"]) == (stripped_raw, stripped)
