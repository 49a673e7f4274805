"""Identifiers. Every one is the integer that the database knows the row by; front-ends spell them their own way."""

from typing import NewType

AccountId = NewType("AccountId", int)
ApplicationId = NewType("ApplicationId", int)
ApiKeyId = NewType("ApiKeyId", int)
RegionId = NewType("RegionId", int)
ZoneId = NewType("ZoneId", int)
ImageId = NewType("ImageId", int)
ProductId = NewType("ProductId", int)
OrderId = NewType("OrderId", int)
InstanceId = NewType("InstanceId", int)
KeyPairId = NewType("KeyPairId", int)
NetworkId = NewType("NetworkId", int)
SubnetId = NewType("SubnetId", int)
SecurityGroupId = NewType("SecurityGroupId", int)
RuleId = NewType("RuleId", int)
AddressId = NewType("AddressId", int)
AssociationId = NewType("AssociationId", int)
UserId = NewType("UserId", int)
SignInId = NewType("SignInId", int)

FIRST_ACCOUNT_ID = 100_000_000_001
"""EC2 clients expect owners of twelve digits, so accounts are counted from here."""
