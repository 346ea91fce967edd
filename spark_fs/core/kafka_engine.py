"""The settings of Hopsworks' Kafka: here they are refused."""

from spark_fs.api.taken import Refused

__all__ = ["get_kafka_config"]

get_kafka_config = Refused(
    "gives the settings of its Kafka",
    "it takes batches, so read the topic by a job of your own and insert its rows",
    "kafka_engine.get_kafka_config",
)
