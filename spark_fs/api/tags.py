"""Tags: values by name, kept with a group, a view or a training dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spark_fs.errors import NotFoundError, SettingsError

_FIELDS = {"name", "value"}  # of one tag that is given as a dict, as Hopsworks has it


def parse_tags(tags: Any) -> dict[str, Any]:
    """The tags of an argument, by name.

    Args:
        tags: None; a dict of values by name; or in Hopsworks' forms: a dict with the keys "name"
            and "value", an object with these attributes, or a list of such.

    Raises:
        InvalidNameError: A name is not in lower snake case.
        SettingsError: It has none of these forms, or JSON cannot hold a value.
    """
    parsed: dict[str, Any] = {}
    for tag in _list_tags(tags):
        parsed.update(_parse_tag(tag))
    for name, value in parsed.items():
        check_tag(name, value)
    return parsed


def _list_tags(tags: Any) -> Iterable[Any]:
    if tags is None:
        return ()
    return tags if isinstance(tags, list | tuple) else (tags,)


def _parse_tag(tag: Any) -> Mapping[str, Any]:
    """One tag, or several in one dict, by name."""
    if isinstance(tag, Mapping):
        return _name_tag(tag["name"], tag["value"]) if tag.keys() >= _FIELDS else tag
    if hasattr(tag, "name") and hasattr(tag, "value"):
        return _name_tag(tag.name, tag.value)
    raise SettingsError(
        f"{tag!r} is not a tag: give tags={{'owner': 'fraud team'}}, or a list of dicts with the"
        " keys 'name' and 'value'."
    )


def _name_tag(name: Any, value: Any) -> dict[str, Any]:
    check_tag(name, value)
    return {name: value}


def check_tag(name: str, value: Any) -> None:
    """Check the name and the value of a tag.

    Args:
        name: The name.
        value: The value.

    Raises:
        InvalidNameError: The name is not in lower snake case.
        SettingsError: JSON cannot hold the value.
    """
    import json

    from spark_fs.spec.names import check_name

    check_name("Tag", name)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"Tag {name!r} has the value {value!r}, which JSON cannot hold ({error}): give strings,"
            " numbers, lists or dicts."
        ) from None


def remove_tag(tags: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The tags without one of them.

    Args:
        tags: The tags.
        name: That which goes.

    Raises:
        NotFoundError: It is absent; the error has the nearest names.
    """
    if name not in tags:
        raise NotFoundError.for_name("Tag", name, tags, "Delete one that was added.")
    return {tag: value for tag, value in tags.items() if tag != name}
