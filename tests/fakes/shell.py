"""`make shell`: the core in memory with two agents, on a clock that you move. Nothing is started, nothing is kept."""

import code
from datetime import timedelta

from shared.domain.agents import Agent
from shared.domain.dials import Dial
from shared.domain.presence import PresenceStatus
from shared.use_cases.end_call import End
from tests.fakes.house import House, numbers

BANNER = """\
Two agents, ana and ben, and four callback numbers. Everything is the product's own code, in memory.

  dial("ana")              ana dials 911; gives what her softphone is told
  end("ana")               she ends the call; end("ana", dropped=True): it breaks off
  call_back(number)        a responder dials that number; answer("ana"): she picks up; hang_up()
  wait(minutes=61)         time passes, the timers run
  look()                   presence, panels, mails, rows
  house                    all of it: house.calling is the front door, house.line.away = True takes the store away
"""


class Play:
    """The words of the shell."""

    def __init__(self) -> None:
        self.house = House(pool=numbers(4))
        self.calls: dict[str, int] = {}
        for name in ("ana", "ben"):
            contacts = (f"{name}s-supervisor@example.com",)
            self.house.add_agent(
                Agent(
                    agent_id=name,
                    name=f"{name.title()} Example",
                    acs_user_ids=(identity(name),),
                    country="US",
                    emergency_contacts=contacts,
                )
            )
            self.house.show(name, PresenceStatus.AVAILABLE)
        self.house.tick()

    def dial(self, name: str, dialled: str = "911") -> object:
        """An agent dials."""
        self.calls[name] = self.calls.get(name, 0) + 1
        return self.house.dial(Dial(call_id=self._call(name), agent_id=name, dialled=dialled))

    def end(self, name: str, *, dropped: bool = False) -> object:
        """The agent's last call ends."""
        return self.house.end(End(call_id=self._call(name), by_agent=not dropped))

    def call_back(self, number: str) -> list[str]:
        """A responder dials a number; gives who rings."""
        self.house.responder_calls(number)
        return self.house.switchboard.ringing()

    def answer(self, name: str) -> list[str]:
        """An agent picks up; gives who talks with the responder."""
        self.house.switchboard.pick_up(identity(name))
        self.house.deliver()
        return self.house.switchboard.talking()

    def hang_up(self) -> None:
        """The responder hangs up."""
        self.house.switchboard.hang_up()
        self.house.deliver()

    def wait(self, minutes: float = 0, seconds: float = 0) -> None:
        """Time passes; the timers run once at its end."""
        self.house.clock.advance(timedelta(minutes=minutes, seconds=seconds))
        self.house.tick()
        self.house.sweep()

    def look(self) -> None:
        """What can be seen."""
        print(f"it is {self.house.clock.now():%H:%M:%S}")
        for name in ("ana", "ben"):
            panel = self.house.panel(name)
            print(f"{name}: {self.house.status(name).value}, panel {panel.mode.value}, number {panel.callback_number}")
        print(f"mails: {self.house.mail.received()}")
        for row in self.house.rows():
            print(f"  {row}")

    def _call(self, name: str) -> str:
        return f"{name}/{self.calls.get(name, 0)}"

    def names(self) -> dict[str, object]:
        """What the shell knows."""
        said = {name: getattr(self, name) for name in ("dial", "end", "call_back", "answer", "hang_up", "wait", "look")}
        return {**said, "house": self.house, "play": self}


def identity(name: str) -> str:
    """An agent's identity at Communication Services."""
    return f"8:acs:example_{name}"


if __name__ == "__main__":
    code.interact(BANNER, local=Play().names(), exitmsg="")
