"""A group of the usual size, for ten minutes."""

from bench.scenarios.scenario import Scenario, Size, steady

SCENARIO = Scenario(
    name="baseline",
    about="50 people in a session, an update each every 2 s, for 10 minutes",
    sizes=(Size(50, 600),),
    short_sizes=(Size(50, 5),),
    make=steady,
)
