"""``locshare doctor``: thin probes that gather facts, and pure judgements of them.

A judgement is a list of :class:`~locshare.maintenance.doctor.findings.Finding`: what was found, how
bad it is, and what to do. A probe raises nothing that an operator can cause; whatever else it
raises is itself a finding (:mod:`locshare.maintenance.doctor.examination`).
"""
