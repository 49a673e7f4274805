# ruff: noqa: D101  a class for each of the shapes of extensions.py
"""What GigeNET adds to EC2's requests and results, as types: for annotations only, under TYPE_CHECKING."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict

from protocols.ec2 import shapes


class AssignPublicIpAddressRequest(TypedDict, total=False):
    DryRun: bool
    InstanceId: str


class AssignPublicIpAddressResult(TypedDict, total=False):
    PublicIp: str
    InstanceId: str
    Return: bool


class DescribeTagsRequest(shapes.DescribeTagsRequest, total=False):
    Resources: list[str]


class DescribeVmTypesRequest(TypedDict, total=False):
    DryRun: bool
    InstanceTypes: list[str]


class VmType(TypedDict, total=False):
    Name: str
    Cores: int
    Memory: int
    Disk: int


class DescribeVmTypesResult(TypedDict, total=False):
    InstanceTypes: Sequence[VmType]


class RecurringCharge(TypedDict, total=False):
    Amount: float | Decimal
    Frequency: str
    Desc: str


class RunInstancesRequest(shapes.RunInstancesRequest, total=False):
    BillingTerm: int


class UnassignPublicIpAddressRequest(TypedDict, total=False):
    DryRun: bool
    PublicIp: str
