"""Which class of the api a definition is opened as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.api.external import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.spec.definitions import GroupSpec


def open_group(stores: Stores, spec: GroupSpec) -> Group:
    """The group as its class."""
    return ExternalFeatureGroup(stores, spec) if spec.source else FeatureGroup(stores, spec)
