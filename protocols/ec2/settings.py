"""What the operator decides about this front-end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ec2Settings:
    """One endpoint: where it answers, how it speaks, and for which region it takes requests.

    Of several on a path, one with a `host` answers under that name and under REGION.host, and one without under every
    other name; a lone one answers under every name. Requests that name no region of ours go to `region` (empty: the
    first), or are refused if the endpoint `is_strict`. Customers are told to ssh to `ssh_host` where a machine has no
    address of its own. Browsers that ask for nothing are led to `home`, if that is not empty.
    """

    path: str = "/"
    host: str = ""
    dialect: str = "aws"
    region: str = ""
    is_strict: bool = False
    ssh_host: str = "127.0.0.1"
    home: str = ""
