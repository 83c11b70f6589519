"""What an operator does beside a server: look it over (``doctor``), back its database up, bring it
back, and take it over a major version of PostgreSQL.
"""
