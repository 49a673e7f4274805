"""Drivers: what makes machines out of rows."""
