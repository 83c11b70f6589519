"""More and more people: latency and processor time against load.

Up to what one Python process can play without being the slower side; :mod:`bench.capacity` goes on
from there, with a generator in C.
"""

from bench.scenarios.scenario import Scenario, Size, steady

SCENARIO = Scenario(
    name="ladder",
    about="100, 500, 1,000 and 2,000 people in sessions of 50, a minute each, one after another",
    sizes=(Size(100, 60), Size(500, 60), Size(1_000, 60), Size(2_000, 60)),
    short_sizes=(Size(500, 3), Size(1_000, 3), Size(2_000, 3)),
    make=steady,
)
