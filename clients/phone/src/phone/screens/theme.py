"""The design language: the colours of the web client (web/src/views/tokens.css), as a theme."""

import re
from typing import Final

import flet as ft

_LIGHT: Final = ft.ColorScheme(
    primary="#0B6E5F", on_primary="#FFFFFF",
    primary_container="#DEF0EB", on_primary_container="#07503F",
    secondary_container="#DEF0EB", on_secondary_container="#07503F",
    tertiary_container="#FFF1CF", on_tertiary_container="#573F00",
    error="#B3261E", on_error="#FFFFFF", error_container="#FBE9E7", on_error_container="#7A1712",
    surface="#FFFFFF", on_surface="#17211E", on_surface_variant="#55625E",
    surface_container_low="#F3F1EB", surface_container="#F5F4F0", surface_container_high="#EDEBE4",
    outline="#8A938F", outline_variant="#E2DFD6", surface_tint="#FFFFFF",
    inverse_surface="#17211E", on_inverse_surface="#FFFFFF",
)  # fmt: skip
_DARK: Final = ft.ColorScheme(
    primary="#63D2BA", on_primary="#04231C",
    primary_container="#17382F", on_primary_container="#A5EDDB",
    secondary_container="#17382F", on_secondary_container="#A5EDDB",
    tertiary_container="#3A2F12", on_tertiary_container="#FFE0A0",
    error="#FF9A8F", on_error="#3A0804", error_container="#3B1D1A", on_error_container="#FFB4AB",
    surface="#161E22", on_surface="#E9F0EE", on_surface_variant="#A3B2AE",
    surface_container_low="#0E1417", surface_container="#202A2F", surface_container_high="#2B373D",
    outline="#72827E", outline_variant="#2A363B", surface_tint="#161E22",
    inverse_surface="#E9F0EE", on_inverse_surface="#161E22",
)  # fmt: skip
LIGHT: Final = ft.Theme(color_scheme=_LIGHT)
DARK: Final = ft.Theme(color_scheme=_DARK)
GROUND: Final = {False: "#EBE7DD", True: "#0E1417"}
GRID: Final = {False: "#D9D4C7", True: "#1C262B"}
RADIUS: Final = 16
SHADOW: Final = ft.BoxShadow(
    blur_radius=18, color=ft.Colors.with_opacity(0.16, "#141E1B"), offset=ft.Offset(0, 4)
)


def safe_color(color: str) -> str:
    """``color`` if it is ``#RRGGBB``, else grey: what comes from others is never trusted."""
    return color if re.fullmatch(r"#[0-9A-Fa-f]{6}", color) else "#808080"


def ink_on(color: str) -> str:
    """Black or white, whichever is easier to read on ``color``."""

    def channel(at: int) -> float:
        value = int(safe_color(color)[at : at + 2], 16) / 255
        return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)

    light = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    # The contrast with white, 1.05 / (light + 0.05), against that with black.
    return "#FFFFFF" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000000"


def initials(name: str) -> str:
    """Of the first and the last word; one character where a word has no such thing."""
    words = [word for word in name.split() if any(each.isalnum() for each in word)]
    first = [next(each for each in word if each.isalnum()) for word in words]
    if not first:
        return name.strip()[:1] or "?"
    if len(first) > 1 and all(each.isascii() or each.upper() != each.lower() for each in first):
        return (first[0] + first[-1]).upper()
    return first[0].upper()


def shortened(name: str, most: int = 18) -> str:
    """``name`` short enough for the map."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
