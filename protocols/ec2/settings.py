"""What the operator decides about this front-end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ec2Settings:
    """The path that the one endpoint answers on."""

    path: str = "/"
