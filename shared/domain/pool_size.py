"""How many numbers a pool needs: one for each agent of the largest site at once, and by Erlang-B for the rest (B10)."""

# The share of emergencies that may find no number.
ACCEPTED_BLOCKING = 0.001


def numbers_needed(emergencies_an_hour: float, kept_minutes: float) -> int:
    """The least number of numbers with which so few emergencies find none; each keeps one for so long."""
    erlangs = emergencies_an_hour * kept_minutes / 60.0
    numbers, blocked = 0, 1.0
    while blocked > ACCEPTED_BLOCKING:
        numbers += 1
        blocked = erlangs * blocked / (numbers + erlangs * blocked)
    return numbers
