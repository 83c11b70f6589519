"""What the conformance suite needs beside the runtime's own test kits."""

from locshare.actors import Ref
from locshare.supervisor import DynamicSupervisorRef, SupervisorRef

#: How often a test is repeated with Trio's scheduler unseeded, where the order could matter.
REPEATS = range(20)


def static(ref: Ref | None) -> SupervisorRef:
    """``ref``, for the type checker."""
    assert isinstance(ref, SupervisorRef)
    return ref


def dynamic(ref: Ref | None) -> DynamicSupervisorRef:
    """``ref``, for the type checker."""
    assert isinstance(ref, DynamicSupervisorRef)
    return ref
