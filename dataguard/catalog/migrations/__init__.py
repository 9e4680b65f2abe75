"""Alembic's migrations of the catalog, run by `dataguard catalog upgrade` alone."""
