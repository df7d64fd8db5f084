"""Keys of people: what their rows are stored under, which only a deployment that has the secret can tell (B8).

A hash of an id alone tells whoever can guess the id whose row it is; that of an e-mail address or a number can be
guessed in seconds.
"""

import hashlib
import hmac
from collections.abc import Sequence

from msgspec import Struct

from shared.domain.ids import KEY_HEX_DIGITS


class Secret(Struct, frozen=True):
    """A secret of the keyed hashes. It shows itself in no message."""

    text: str

    def __repr__(self) -> str:
        return "Secret"

    def key(self, name: str) -> str:
        """The key of `name`: 128 bits of HMAC-SHA-256 in hexadecimal."""
        return hmac.new(self.text.encode(), name.encode(), hashlib.sha256).hexdigest()[:KEY_HEX_DIGITS]


class KeyRing(Struct, frozen=True):
    """The secrets of a deployment: the first writes, all are read. Names are what `key_of` makes of an outside id.

    `plain`: there may be rows of the version that stored them under the name itself. Without any secret the name is
    the key.
    """

    secrets: tuple[Secret, ...] = ()
    plain: bool = False

    def first(self, name: str) -> str:
        """The key under which something new is stored."""
        return self.secrets[0].key(name) if self.secrets else name

    def all(self, name: str) -> tuple[str, ...]:
        """Every key under which something may be stored, the first for what is new."""
        keyed = [secret.key(name) for secret in self.secrets]
        return tuple(dict.fromkeys((*keyed, name) if self.plain or not keyed else keyed))

    def prefixes(self, name: str, prefix: str) -> Sequence[str]:
        """Every beginning of a row's key, `{prefix}|{key}|`, under which rows of this name may be."""
        return [f"{prefix}|{key}|" for key in self.all(name)]
