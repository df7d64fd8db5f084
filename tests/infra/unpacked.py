"""Serves one package as Azure would: run as `python -I -S`, with nothing on the path but the package and the runtime.

Arguments: the unpacked package, a folder with the runtime library and the local host's module that drives it, and a
file of JSON `[{method, function, headers, body}]`. It prints JSON: the indexed functions, the answers, and the modules
of the package that had to be compiled.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    package, library, requests_file = map(Path, sys.argv[1:])
    sys.path[:0] = [str(package), str(package / ".python_packages" / "lib" / "site-packages"), str(library)]
    said = sys.stdout
    # What the app logs must not mix with the answer.
    sys.stdout = sys.stderr
    answers = asyncio.run(served(package, json.loads(requests_file.read_text("utf-8"))))
    print(json.dumps(answers | {"compiled": compiled(package)}), file=said, flush=True)


async def served(package: Path, requests: list[dict[str, Any]]) -> dict[str, Any]:
    from tests.local.host import runtime

    app = await runtime.indexed(package)
    answers = []
    for asked in requests:
        request = runtime.HttpRequest(
            asked["method"],
            f"https://localhost/api/{asked['function']}",
            asked["headers"],
            {},
            {},
            asked["body"].encode(),
        )
        answer = await app.invoke_http(app.functions[asked["function"]], request)
        assert answer is not None
        answers.append({"status": answer.status, "body": answer.body.decode()})
    triggers = {name: [each.kind, each.trigger.get("route")] for name, each in app.functions.items()}
    return {"functions": triggers, "answers": answers}


def compiled(package: Path) -> list[str]:
    """Modules of the package whose byte code was not there."""
    loaded = [
        module for module in sys.modules.values() if str(getattr(module, "__file__", "") or "").startswith(str(package))
    ]
    return sorted(
        module.__name__
        for module in loaded
        if str(module.__file__).endswith(".py") and not Path(getattr(module, "__cached__", "") or "missing").is_file()
    )


if __name__ == "__main__":
    main()
