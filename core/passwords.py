"""Root passwords that the house makes up."""

import secrets

# Without those that are mistaken for one another when read off a screen.
_CHARACTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 20


def new_password() -> str:
    """Return a fresh password of about 116 bits, letters and digits only."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
