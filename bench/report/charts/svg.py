"""Turns matplotlib's SVG into one that can be embedded in a light or dark page."""

import re
from xml.etree import ElementTree as ET

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}

LIGHT = {
    "t0": "#0072b2",
    "t1": "#d55e00",
    "t2": "#009e73",
    "t3": "#cc79a7",
    "t4": "#e69f00",
    "t5": "#56b4e9",
    "ink": "#1b2430",
    "muted": "#5a6675",
    "grid": "#dde2e8",
    "paper": "#ffffff",
    "bad": "#b3261e",
}
DARK = {
    "t0": "#4aa8e0",
    "t1": "#ff8a4c",
    "t2": "#2fc796",
    "t3": "#e6a3c6",
    "t4": "#f0b53a",
    "t5": "#a5dcff",
    "ink": "#e8ecf1",
    "muted": "#a0acba",
    "grid": "#323b47",
    "paper": "#171c23",
    "bad": "#ff8a80",
}
"""The same names as LIGHT: ``t0`` and so on are the targets' colours."""

_NAMES = {value: name for name, value in LIGHT.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r"font-family: [^;]*")


def finished(text: str, key: str, alt: str) -> str:
    """One ``svg`` element: its colours are CSS variables with the light ones as a default, its ids
    begin with ``key``, and a screen reader is given ``alt``.
    """
    root = ET.fromstring(text)  # noqa: S314 - written by matplotlib just now
    for parent in root.iter():
        for child in [each for each in parent if each.tag in _DROPPED]:
            parent.remove(child)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    for element in root.iter():
        _rename(element, key, used)
        for attribute, value in element.attrib.items():
            if attribute in ("style", "d", "x", "y", "transform", "points"):
                element.set(attribute, _restyled(value))
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("stroke-linejoin", "round")
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _LINK[1:].partition("}")[0])
    return re.sub(r"\n\s*", "\n", ET.tostring(root, encoding="unicode")).strip() + "\n"


def standalone(svg: str) -> str:
    """A separate file with a background, dark on a dark system."""
    light = ";".join(f"--{name}:{value}" for name, value in LIGHT.items())
    dark = ";".join(f"--{name}:{value}" for name, value in DARK.items())
    style = (
        f"<style>svg{{{light}}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
        '<rect width="100%" height="100%" style="fill:var(--paper)"/>'
    )
    opening, rest = svg.split(">", 1)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', opening)
    size = (
        ""
        if box is None
        else f' width="{float(box[1]) * 1.25:g}" height="{float(box[2]) * 1.25:g}"'
    )
    return f"{opening}{size}>{style}{rest}"


def _rename(element: ET.Element, key: str, used: set[str]) -> None:
    name = element.attrib.get("id")
    if name is not None:
        if name in used:
            element.set("id", f"{key}-{name}")
        else:
            del element.attrib["id"]
    if element.attrib.get(_LINK, "").startswith("#"):
        element.set(_LINK, f"#{key}-{element.attrib[_LINK][1:]}")
    for attribute in ("clip-path", "style"):
        if attribute in element.attrib:
            value = element.attrib[attribute]
            element.set(attribute, value.replace("url(#", f"url(#{key}-"))


def _restyled(value: str) -> str:
    value = _FONT.sub("font-family: system-ui, 'Segoe UI', Helvetica, Arial, sans-serif", value)
    value = _COLOUR.sub(_variable, value)
    return _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", value)


def _variable(found: "re.Match[str]") -> str:
    name = _NAMES.get(found[0])
    return found[0] if name is None else f"var(--{name}, {found[0]})"
