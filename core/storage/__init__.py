"""Stores: the rows of the domain, durable."""
