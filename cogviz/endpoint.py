"""A language model behind an OpenAI-compatible URL: ask, wait, ask again."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from time import sleep
from typing import TypeVar

T = TypeVar("T")

FINAL = frozenset((400, 401, 403, 404, 405, 413, 422))
"""HTTP statuses that asking again does not change."""


class EndpointError(RuntimeError):
    """Raised where an endpoint gives no usable answer; the message says what came back."""


class Unreachable(EndpointError):
    """The endpoint does not answer, or refuses."""


class Nonsense(EndpointError):
    """The endpoint answers, but not what was asked."""


def ask(
    messages: Sequence[Mapping[str, str]],
    read: Callable[[str], T],
    *,
    url: str,
    model: str,
    timeout: float = 60.0,
    tries: int = 3,
    wait: float = 0.5,
    **options: object,
) -> T:
    """Ask a model for the next message of a chat; the key is read from $OPENAI_API_KEY.

    Args:
        read: the message's text -> what is wanted; raises ValueError, KeyError, TypeError or AttributeError where it is not there.
        url: ".../v1". timeout: seconds for one try.
        wait: seconds before the second try, twice as many before each further one.
        options: further fields of the request (temperature, ...).

    Raises:
        Unreachable: no answer within `tries`, or a refusal.
        Nonsense: answers came, and `read` could make nothing of the last one.
    """
    body = json.dumps({"model": model, "messages": list(messages), **options}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    problem: EndpointError = Unreachable(f"{model} at {url} was not asked")
    for attempt in range(tries):
        if attempt:
            sleep(wait * 2 ** (attempt - 1))
        try:
            request = urllib.request.Request(f"{url.rstrip('/')}/chat/completions", body, headers)
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return read(json.load(reply)["choices"][0]["message"]["content"])
        except urllib.error.HTTPError as error:
            problem = Unreachable(f"{model} at {url} answers {error.code} {error.reason}")
            if error.code in FINAL:
                break
        except (OSError, http.client.HTTPException) as error:
            problem = Unreachable(f"{model} at {url} does not answer ({type(error).__name__}: {error})")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            problem = Nonsense(f"{model} at {url} answers nothing usable ({type(error).__name__}: {error})")
    raise type(problem)(f"{problem}, {attempt + 1} tries")
