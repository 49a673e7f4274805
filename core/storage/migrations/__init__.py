"""The schema, as numbered steps forward; each file runs once, in one transaction."""
