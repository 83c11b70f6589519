"""The features of every session. To add one, add its line."""

from typing import Final

from locshare.session.features.feature_set import FeatureSet
from locshare.session.features.roster import ROSTER

FEATURES: Final = FeatureSet(
    ROSTER,
)
