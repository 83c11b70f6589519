"""What is not asked of the comparators."""

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """The comparators keep the parts of the contract that tests/contract asks of every server."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and callspec.params.get("target", "locshare") != "locshare":
        item.add_marker(pytest.mark.outside_contract)
