"""The verbs of the house: what front-ends may ask for."""

from core.service.core import Core, CreatedKeyPair, Credential, OrderView
from core.service.selfview import SelfView
from core.service.transactor import Change

__all__ = ["Change", "Core", "CreatedKeyPair", "Credential", "OrderView", "SelfView"]
