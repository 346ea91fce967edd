"""Arguments that are taken, and calls that are refused, for code that was written for Hopsworks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotOfferedError


def warn_of_arguments(method: str, arguments: Mapping[str, Any], reason: str) -> None:
    """Warn of arguments that mean nothing here, where a caller gave them.

    Args:
        method: The method that takes them, for the warning.
        arguments: The arguments by name; None, False and empty values were not given.
        reason: A sentence without its stop that says why they mean nothing, and what does.
    """
    given = [name for name, value in arguments.items() if is_given(value)]
    if given:
        warn_user(f"{method}({', '.join(f'{name}=' for name in given)}) changes nothing: {reason}.")


def is_given(value: Any) -> bool:
    """Whether a value is another than None, False, and what is empty."""
    if value is None or value is False:
        return False
    return not (isinstance(value, str | bytes | list | tuple | set | Mapping) and len(value) == 0)


class Refused:
    """A call that Hopsworks has and spark_fs has not: it says what it is for, and what to use here.

    In a class it stands where the method would, and takes any arguments::

        deploy = Refused("serves a model", "load it where it is needed, as spark-fs serve does")

    Args:
        purpose: What it is for there, to stand behind the call.
        remedy: What to use here instead, a clause without its stop.
        call: The call as a user writes it; None in a class, which knows its name.
    """

    def __init__(self, purpose: str, remedy: str, call: str | None = None) -> None:
        self._purpose = purpose
        self._remedy = remedy
        self._call = call

    def __set_name__(self, owner: type, name: str) -> None:
        call = f"{owner.__name__.removesuffix('Refusals')}.{name}"
        if self._call is None:
            self._call = call
        else:  # another name of the same
            setattr(owner, name, Refused(self._purpose, self._remedy, call))

    def __get__(self, instance: Any, owner: type) -> Refused:
        """The call as one of the class that it is asked of, which may have inherited it."""
        name = str(self._call).rpartition(".")[2]
        kind = owner.__name__.removesuffix("Refusals")
        return Refused(self._purpose, self._remedy, f"{kind}.{name}")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """NotOfferedError, whatever it is given."""
        raise NotOfferedError.for_call(self._call or "This", self._purpose, self._remedy)


def refuse_model_serving(call: str) -> Refused:
    """Refuse one of the classes that describe how Hopsworks serves a model, by its name."""
    purpose = "describes how a model is served"
    remedy = "load the model in your own service, with vectors by spark-fs serve"
    return Refused(purpose, remedy, call)
