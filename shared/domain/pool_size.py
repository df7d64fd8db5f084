"""How many numbers a pool needs: one for each agent of the largest site at once, and by Erlang-B for the rest (B10)."""

ACCEPTED_BLOCKING = 0.001


def blocking(numbers: int, erlangs: float) -> float:
    """The share of emergencies that would find no number, by Erlang's loss formula, for this offered load."""
    blocked = 1.0
    for lines in range(1, numbers + 1):
        blocked = erlangs * blocked / (lines + erlangs * blocked)
    return blocked


def numbers_needed(emergencies_an_hour: float, kept_minutes: float, accepted: float = ACCEPTED_BLOCKING) -> int:
    """The least number of numbers with which so few emergencies find none; each keeps one for so long."""
    erlangs = emergencies_an_hour * kept_minutes / 60.0
    numbers, blocked = 0, 1.0
    while blocked > accepted:
        numbers += 1
        blocked = erlangs * blocked / (numbers + erlangs * blocked)
    return numbers
