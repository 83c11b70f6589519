"""Backups of the database in a format of this program, and what is done with them.

Not ``pg_dump``: it has to be at least as new as the server, and is not where the server is
somebody else's. A backup here is rows and the version of the tables that they were in, so that it
can be brought into any PostgreSQL, embedded or not, and by any later version of this program.
"""
