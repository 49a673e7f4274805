"""What the operator can do something about."""


class Trouble(Exception):
    """Something that keeps a command from being done; the text, one line, says what and what to do."""
