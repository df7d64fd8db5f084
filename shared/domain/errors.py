"""The one tree of errors. The class decides what happens; the message never holds personal data.

EmergencyCallingError
├── Malformed          400; an event is acknowledged and counted
├── NotAnEmergency     422
├── Faulty             422: it can be read and must not be kept; `members` say why
├── NotSignedIn        401
├── NotAllowed         403
├── NotFound           404
├── Unavailable        503 with Retry-After; an event is raised and redelivered
│   ├── Unreadable     a stored row that cannot be decoded: for whoever needs it, the store is away
│   ├── Rationed       the sender's quota: what is owed waits for its turn
│   ├── LineFull       whoever sends it has had their share of the line: in number, or (TooFast) in time
│   └── TooManyUnlisted  a bound on unlisted agents: for one more, the store is away
├── Refused            a service said no for good: a retry cannot help
│   └── RecipientsRefused  it named the addresses that it will not take
├── AgentBusy          409: a drill must touch neither an emergency nor a number that rests
└── Conflict           somebody else moved first: read again, decide again
    ├── CallIdTaken    the call id is known already: as this call, as another's, or as ended
    └── TooManyRows    one transaction cannot hold it: decide for something smaller
"""


class EmergencyCallingError(Exception):
    """Something that this product foresees went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class Malformed(EmergencyCallingError):
    """A field does not hold what it must."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class NotAnEmergency(EmergencyCallingError):
    """The number dialled is not an emergency number of any country in use."""


class Faulty(EmergencyCallingError):
    """What was sent can be read, and must not be kept."""

    def __init__(self, message: str | None = None, **members: object) -> None:
        super().__init__(message)
        # Not `str(self)` where there is a message: that would lose the template of `Words`.
        self.says = message or str(self)
        self.members = members


class NotSignedIn(EmergencyCallingError):
    """Sign in first."""


class NotAllowed(EmergencyCallingError):
    """Not yours to do."""


class NotFound(EmergencyCallingError):
    """There is no such thing."""


# Where a service says nothing of when to try again.
USUAL_WAIT_S = 2.0


class Unavailable(EmergencyCallingError):
    """A dependency did not answer in time.

    `reason`: the log's word for what somebody must mend (a setting, a sender, a right, a quota); "" where it is nobody.
    `undone`: the last request was not carried out for certain: it never left, or the service answered that it will not.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_s: float = USUAL_WAIT_S,
        reason: str = "",
        undone: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason
        self.undone = undone


class LineFull(Unavailable):
    """So many requests of one principal wait already that another one does not."""


class TooFast(LineFull):
    """A principal keeps no pace: nothing is done for what comes beyond it until it comes again."""


class TooManyUnlisted(Unavailable):
    """So many unlisted agents have an emergency that another one gets the answer of an outage."""


class Rationed(Unavailable):
    """The sender may send no more for now."""


class Unreadable(Unavailable):
    """A stored row cannot be decoded."""

    def __init__(self, kind: str) -> None:
        super().__init__("A stored row cannot be read.")
        self.kind = kind


class Refused(EmergencyCallingError):
    """A service refused, and would refuse again."""

    def __init__(self, message: str | None = None, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class RecipientsRefused(Refused):
    """The service will not take some of the recipients."""

    def __init__(self, addresses: frozenset[str]) -> None:
        super().__init__()
        self.addresses = addresses


class Conflict(EmergencyCallingError):
    """Somebody else changed what this decision was based on."""


class CallIdTaken(Conflict):
    """A call of this id is known already."""


class AgentBusy(EmergencyCallingError):
    """The agent has an emergency, or had one whose number still rests."""


class TooManyRows(Conflict):
    """The transition touches more rows than one transaction takes; nothing was written."""
