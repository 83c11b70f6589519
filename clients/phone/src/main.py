"""The program: one state and one controller for the process, and a root for each page."""

import os
from pathlib import Path

import certifi

# Python on a phone has no certificates of its own. Before anything makes a TLS context.
os.environ.setdefault("SSL_CERT_FILE", certifi.where())

import flet as ft

from phone.app import App

app = App(Path(__file__).parent / "environments.toml")

if __name__ == "__main__":
    ft.run(app.main)
