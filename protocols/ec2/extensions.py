"""What GigeNET adds to EC2's actions and parameters, for endpoints of either dialect: an overlay of the model.

See `model.merged` for its form, extension_shapes.py for its types, and gigenet-ec2.md for where it comes from. What
only the answers of GigeNET's dialect have is in dialects.py.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

GRAPHS = tuple(
    f"graph_{what}_{span}"
    for what, span in product(("cpu", "disk", "network"), ("hour", "day", "week", "month", "year"))
)
"""The attributes of a machine that are pictures of what it used."""

EXTENSIONS: Mapping[str, Any] = {
    "ec2": {
        "actions": {
            "AssignPublicIpAddress": ("AssignPublicIpAddressRequest", "AssignPublicIpAddressResult"),
            "DescribeVmTypes": ("DescribeVmTypesRequest", "DescribeVmTypesResult"),
            "UnassignPublicIpAddress": ("UnassignPublicIpAddressRequest", None),
        },
        "shapes": {
            "AssignPublicIpAddressRequest": {
                "members": {"DryRun": "boolean", "InstanceId": "string"},
                "required": ["InstanceId"],
            },
            "AssignPublicIpAddressResult": {
                "members": {
                    "PublicIp": "string publicIp",
                    "InstanceId": "string instanceId",
                    "Return": "boolean return",
                }
            },
            # EC2 answers so, though botocore's model does not know; boto 2 takes an answer without it for a failure.
            "AssociateAddressResult": {"members": {"Return": "boolean return"}},
            "DescribeTagsRequest": {"members": {"Resources": "ResourceIdList ResourceId"}},
            "DescribeVmTypesRequest": {
                "members": {"DryRun": "boolean", "InstanceTypes": "RequestInstanceTypeList InstanceType"}
            },
            "DescribeVmTypesResult": {"members": {"InstanceTypes": "VmTypeList instanceTypeSet"}},
            "InstanceAttribute": {
                "members": {
                    "Hostname": "AttributeValue hostname",
                    "OperatingSystem": "AttributeValue operatingSystem",
                    **dict.fromkeys(GRAPHS, "AttributeValue"),
                }
            },
            "ModifyInstanceAttributeRequest": {
                "members": dict.fromkeys(("Hostname", "OperatingSystem", "Password"), "AttributeValue")
            },
            "RecurringCharge": {"members": {"Desc": "string desc"}},
            "RunInstancesRequest": {"members": {"BillingTerm": "integer"}},
            "UnassignPublicIpAddressRequest": {
                "members": {"DryRun": "boolean", "PublicIp": "string"},
                "required": ["PublicIp"],
            },
            "VmType": {
                "members": {
                    "Name": "string name",
                    "Cores": "integer cores",
                    "Memory": "integer memory",
                    "Disk": "integer disk",
                }
            },
            "VmTypeList": {"list": "VmType", "item": "item"},
        },
    }
}
