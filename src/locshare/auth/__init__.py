"""Tokens and the secret that signs them."""
