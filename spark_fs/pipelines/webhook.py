"""Send JSON to a webhook: timed out as a whole, tried again where that may help."""

import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError

from spark_fs.redact import redact_secrets

_FIRST_PAUSE = 0.5  # seconds before the first retry; it doubles
_RETRYABLE_CODES = (408, 425, 429)  # beside those from 500 up


class DeliveryError(Exception):
    """Why an alert did not arrive, without the URL.

    may_pass: whether to try it again.
    """

    def __init__(self, reason: str, may_pass: bool = True) -> None:
        super().__init__(redact_secrets(reason))
        self.may_pass = may_pass


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what is sent may not go to whom nobody named."""

    def redirect_request(self, *_: Any) -> None:
        """No request."""
        return


def send_json(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, retries: int
) -> None:
    """POST a body, again where that may help; it takes (retries + 1) x timeout and the pauses.

    Args:
        url: of the receiver, http or https.
        body: JSON.
        headers: sent beside those of its type.
        timeout: seconds for one attempt, however slowly the receiver answers.
        retries: after the first attempt.

    Raises:
        DeliveryError: no attempt was answered with a code from 200 to 299.
    """
    all_headers = {"Content-Type": "application/json", "User-Agent": "spark_fs", **headers}
    request = urllib.request.Request(url, body, all_headers, method="POST")  # noqa: S310 # it was checked
    pause = _FIRST_PAUSE
    for attempt in range(retries + 1):
        try:
            _send_within(request, timeout)
            return
        except DeliveryError as error:
            if not error.may_pass or attempt == retries:
                raise
        time.sleep(pause)
        pause *= 2


def _send_within(request: urllib.request.Request, timeout: float) -> None:
    """One attempt, in a thread: a socket's own timeout begins anew with each byte."""
    outcomes: SimpleQueue[DeliveryError | None] = SimpleQueue()

    def send() -> None:
        outcomes.put(_find_fault(request, timeout))

    Thread(target=send, daemon=True, name="alert").start()
    try:
        fault = outcomes.get(timeout=timeout)
    except Empty:
        raise DeliveryError(f"no answer within {timeout:g} s") from None
    if fault is not None:
        raise fault


def _find_fault(request: urllib.request.Request, timeout: float) -> DeliveryError | None:
    """Send it; why that did not work, None where it did."""
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=timeout):
            return None
    except HTTPError as error:
        error.close()
        code = error.code
        may_pass = code >= 500 or code in _RETRYABLE_CODES
        return DeliveryError(f"it answered with code {code}", may_pass)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return DeliveryError(str(reason) or type(reason).__name__)
