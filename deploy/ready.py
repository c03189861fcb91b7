"""Asks the service beside it whether it is ready; says why not, and ends with 1 then. For HEALTHCHECK in the image."""

import json
import os
import sys
import urllib.error
import urllib.request

ADDRESS = f"http://127.0.0.1:{os.environ.get('SERVE_PORT') or '8080'}/readyz"


def reasons() -> list[str]:
    """Why it is not ready, a line each."""
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(ADDRESS, timeout=8):
            return []
    except urllib.error.HTTPError as answer:
        with answer:
            return list(json.load(answer)["reasons"])
    except OSError as error:
        return [f"{ADDRESS} does not answer: {error}"]


if __name__ == "__main__":
    why = reasons()
    sys.stdout.writelines(f"{line}\n" for line in why)
    sys.exit(bool(why))
