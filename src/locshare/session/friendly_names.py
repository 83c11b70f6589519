"""Friendly names for sessions without a name: "Amber Falcon". Pure but for the random choice."""

import random
from typing import Final

ADJECTIVES: Final = (
    "Amber", "Autumn", "Bold", "Brave", "Bright", "Calm", "Clever", "Coral", "Cosmic", "Crimson",
    "Daring", "Eager", "Early", "Emerald", "Gentle", "Golden", "Happy", "Hidden", "Indigo", "Ivory",
    "Jolly", "Keen", "Lively", "Lucky", "Lunar", "Mellow", "Merry", "Misty", "Nimble", "Noble",
    "Northern", "Olive", "Patient", "Quick", "Quiet", "Rapid", "Roaming", "Ruby", "Rustic",
    "Scarlet", "Silent", "Silver", "Solar", "Steady", "Summer", "Sunny", "Swift", "Teal",
    "Turquoise", "Violet", "Wandering", "Warm", "Wild", "Windy", "Winter", "Wise",
)  # fmt: skip
ANIMALS: Final = (
    "Albatross", "Badger", "Bear", "Beaver", "Bison", "Bobcat", "Crane", "Curlew", "Deer",
    "Dolphin", "Eagle", "Egret", "Falcon", "Ferret", "Finch", "Fox", "Gecko", "Goose", "Hare",
    "Hawk", "Heron", "Horse", "Ibex", "Jackdaw", "Kestrel", "Kingfisher", "Koala", "Lark", "Lion",
    "Lynx", "Magpie", "Marmot", "Marten", "Moose", "Otter", "Owl", "Panda", "Pelican", "Puffin",
    "Puma", "Raven", "Robin", "Salmon", "Seal", "Sparrow", "Squirrel", "Stork", "Swallow", "Swan",
    "Tern", "Tiger", "Turtle", "Walrus", "Whale", "Wolf", "Wren",
)  # fmt: skip


def friendly_name(dice: random.Random | None = None) -> str:
    """An adjective and an animal. Not unique and not secret: the session's id is both."""
    dice = dice or random.Random()  # noqa: S311 - a name, not a secret
    return f"{dice.choice(ADJECTIVES)} {dice.choice(ANIMALS)}"
