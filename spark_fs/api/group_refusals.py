"""The calls of a feature group that Hopsworks has and spark_fs has not."""

from __future__ import annotations

from typing import NoReturn

from spark_fs.api.tag_refusals import TAGS_REMEDY, TagRefusals
from spark_fs.api.taken import Refused
from spark_fs.errors import NotOfferedError

_SHARING = "who may read is what the store's folder and databases allow"
_SOURCE = "an external group's definition names its source, and data_source says which"
_STREAMS = "it takes batches, so insert what a job of your own reads from the stream"
_ONLINE = "sync_online returns what it wrote, and verify_online what differs"
_LAYOUT = (
    "a group keeps the partition_key of its creation, and optimize() puts its rows in the order of"
    " keys and times"
)


class GroupRefusals(TagRefusals):
    """Each says what it is for there, and what to use here."""

    share = Refused("shares the group with another project", _SHARING)
    shared_with = Refused("lists the projects that see the group", _SHARING)
    unshare = Refused("ends sharing", _SHARING)
    grant_restricted_access = Refused("lets somebody read", _SHARING)
    revoke_restricted_access = Refused("lets somebody read no more", _SHARING)
    get_restricted_access = Refused("lists who may read", _SHARING)
    get_storage_connector = Refused("finds what the group reads by", _SOURCE)
    get_data_source = Refused("finds what the group reads by", _SOURCE)
    get_storage_connector_provenance = Refused("finds what the group reads by", _SOURCE)
    get_data_source_provenance = Refused("finds what the group reads by", _SOURCE)
    prepare_spark_location = Refused("gives Spark access to the group's files", _SOURCE)
    update_topic_name = Refused("sets the Kafka topic", _STREAMS)
    update_notification_topic_name = Refused("sets the Kafka topic of changes", _STREAMS)
    get_latest_online_ingestion = Refused("tells how far the online store is", _ONLINE)
    get_online_ingestion = Refused("tells how far the online store is", _ONLINE)
    get_partition_spec = Refused("tells how files are laid out", _LAYOUT)
    get_partition_specs = Refused("tells how files are laid out", _LAYOUT)
    get_clustering_columns = Refused("tells how files are laid out", _LAYOUT)
    get_sort_order = Refused("tells how files are laid out", _LAYOUT)
    describe_layout = Refused("tells how files are laid out", _LAYOUT)
    update_partition_spec = Refused("changes how files are laid out", _LAYOUT)
    update_clustering = Refused("changes how files are laid out", _LAYOUT)
    disable_clustering = Refused("changes how files are laid out", _LAYOUT)
    update_deprecated = Refused("marks the group as deprecated", TAGS_REMEDY)
    check_deprecated = Refused("warns where the group is deprecated", TAGS_REMEDY)

    @property
    def avro_schema(self) -> NoReturn:
        """NotOfferedError: no topic has messages of it."""
        raise NotOfferedError.for_call("avro_schema", "is the schema of Kafka messages", _STREAMS)

    @property
    def subject(self) -> NoReturn:
        """NotOfferedError: no topic has messages of it."""
        raise NotOfferedError.for_call("subject", "names the schema of Kafka messages", _STREAMS)

    visualize_transformations = Refused(
        "draws its transformations", "the group's page does: report()"
    )
