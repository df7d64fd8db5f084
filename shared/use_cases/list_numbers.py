"""An administrator looks at the pool of callback numbers."""

from shared.deadlines import Clock, Deadline
from shared.domain.deployment import Deployment
from shared.domain.pool_numbers import PoolNumber, pool_numbers
from shared.ports import NumberPool


def list_numbers(*, numbers: NumberPool, clock: Clock, deployment: Deployment, deadline: Deadline) -> list[PoolNumber]:
    """Every number of the pool, and what it is doing. Raises `Unavailable`."""
    kept = numbers.all_leases(deadline)
    return pool_numbers(kept, deployment.callback_numbers, deployment.rules, clock.now())
