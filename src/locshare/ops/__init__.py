"""For the operator of a running server: the control socket and what is offered over it."""
