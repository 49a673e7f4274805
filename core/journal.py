"""One log line per change of a machine's state."""

from typing import Any

from core.instances import Instance


def log_change(log: Any, before: Instance | None, after: Instance, *, request_id: str = "") -> None:
    """Log that a machine went from one state to another; nothing where the state is the same."""
    was = before.state if before is not None else None
    if was is after.state:
        return
    log.info(
        "instance %s",
        after.state.value,
        instance_id=after.id,
        order_id=after.order_id,
        account_id=after.account_id,
        was=was and was.value,
        cause=after.cause and after.cause.value,
        detail=after.detail or None,
        request_id=request_id or None,
    )
