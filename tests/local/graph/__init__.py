"""A local stand-in for Microsoft Graph, over TLS: `sendMail` and presence, as strict as the documents.

    with LocalGraph.start() as graph:
        graph.url, graph.ca_file, graph.key        # for the app's settings, and for whoever signs tokens
        graph.mail.accepted                        # what was accepted
        graph.presence.merged(user_id)             # what everybody sees of a user

It imports nothing of the product, and a test says so.
"""

from tests.local.graph.mail import AcceptedMail, Mailboxes
from tests.local.graph.presence import Presences
from tests.local.graph.server import Fault, LocalGraph

__all__ = ["AcceptedMail", "Fault", "LocalGraph", "Mailboxes", "Presences"]
