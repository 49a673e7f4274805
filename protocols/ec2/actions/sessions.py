"""STS: who is calling, and temporary credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.sessions import DEFAULT_SECONDS
from protocols.ec2 import ids
from protocols.ec2.registry import Call, Family

if TYPE_CHECKING:
    from protocols.ec2 import shapes

family = Family()


@family.action("GetCallerIdentity")
async def get_caller_identity(call: Call, _: shapes.GetCallerIdentityRequest) -> shapes.GetCallerIdentityResponse:
    """Tell the caller's account. There are no users below accounts, so every caller is its account's root."""
    account = ids.owner_id(call.caller.account_id)
    return {"UserId": account, "Account": account, "Arn": f"arn:aws:iam::{account}:root"}


@family.action("GetSessionToken", reads=("DurationSeconds",))
async def get_session_token(call: Call, request: shapes.GetSessionTokenRequest) -> shapes.GetSessionTokenResponse:
    """Open a session that acts as the caller."""
    session = call.core.open_session(call.caller, request.get("DurationSeconds", DEFAULT_SECONDS))
    return {
        "Credentials": {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": session.secret_key,
            "SessionToken": session.token,
            "Expiration": session.expires_at,
        }
    }
