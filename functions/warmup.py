"""What an added instance does before traffic comes to it: the host calls this one when it scales out."""

import azure.functions as func

# `azure.functions` names it in its `__all__` and does not have it.
from azure.functions.warmup import WarmUpContext

from functions.problems import prepared
from functions.this_app import composed

blueprint = func.Blueprint()


@blueprint.warm_up_trigger(arg_name="context")
@prepared
def warmup(context: WarmUpContext) -> None:  # noqa: ARG001 - it says nothing
    """Pay for imports and clients, for the first connection to the table and for its token, so that no caller does."""
    app = composed()
    app.warm_up.finish()
    app.calling.check_health()
