"""The options in the URL of a store in MySQL or MariaDB."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from spark_fs.errors import NotFoundError, SettingsError

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


def _parse_boolean(text: str) -> bool:
    return _BOOLEANS[text.lower()]


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "connect_timeout": int,
    "read_timeout": int,
    "pool_size": int,
    "ssl_ca": str,
    "ssl_cert": str,
    "ssl_key": str,
    "ssl_verify_cert": _parse_boolean,
    "ssl_verify_identity": _parse_boolean,
}


def parse_url_options(option_string: str) -> dict[str, Any]:
    """The options by name; NotFoundError for an unknown one, SettingsError for a wrong value."""
    options = {}
    for name, text in parse_qsl(option_string, keep_blank_values=True):
        if name not in _PARSERS:
            raise NotFoundError.for_name(
                "Option of online_url", name, _PARSERS, "Leave it out, or correct it."
            )
        try:
            options[name] = _PARSERS[name](text)
        except ValueError:
            raise SettingsError(
                f"Option {name}={text!r} of online_url is not a number: give one, such as"
                f" {name}=10."
            ) from None
        except KeyError:
            raise SettingsError(
                f"Option {name}={text!r} of online_url is neither true nor false: give one of"
                " these."
            ) from None
    return options
