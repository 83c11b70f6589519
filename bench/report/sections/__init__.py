"""The parts of the report, each made from the results alone."""
