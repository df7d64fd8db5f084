"""What happened in a world, line by line, told with the simulation's own ids."""

from datetime import datetime

from tests.fakes.house import DAWN


class Story:
    """A timeline; a deaf one costs nothing."""

    def __init__(self, *, deaf: bool = True) -> None:
        self.deaf = deaf
        self.lines: list[tuple[datetime, str, str]] = []

    def tell(self, at: datetime, about: str, what: str) -> None:
        """`about` is an agent, a number, a process, or the world."""
        if not self.deaf:
            self.lines.append((at, about, what))

    def told(self, concerning: str | None = None) -> str:
        """The lines about `concerning` and about the world; all of them without it."""
        about_it = [concerning, "world"]
        chosen = [line for line in self.lines if concerning is None or line[1] in about_it or concerning in line[2]]
        return "\n".join(f"{at - DAWN!s:>24}  {about:<14} {what}" for at, about, what in chosen)


class Violation(BaseException):
    """An invariant does not hold. The core survives exceptions that nobody foresaw, and must not survive this one."""

    def __init__(self, invariant: str, detail: str, about: str | None = None) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.about = about
