"""Named sources of external groups, under the name of Hopsworks' module."""

from spark_fs.api.database_connector import JdbcConnector, SqlConnector
from spark_fs.api.folder_connector import HopsFSConnector, S3Connector
from spark_fs.api.storage_connector import StorageConnector
from spark_fs.api.taken import Refused

__all__ = [
    "AdlsConnector",
    "BigQueryConnector",
    "GcsConnector",
    "HopsFSConnector",
    "JdbcConnector",
    "KafkaConnector",
    "MongoDBConnector",
    "OpenSearchConnector",
    "RedshiftConnector",
    "RestConnector",
    "S3Connector",
    "SapHanaConnector",
    "SnowflakeConnector",
    "SqlConnector",
    "StorageConnector",
    "UnityCatalogConnector",
]

_BY_JDBC = "use JdbcConnector with its JDBC driver, or read it and insert its rows"
_BY_FILES = "read the files by your Spark and insert their rows"
_BY_JOB = "read it by a job of your own and insert its rows"

AdlsConnector = Refused("reads Azure's storage", _BY_FILES, "AdlsConnector")
BigQueryConnector = Refused("reads BigQuery", _BY_JDBC, "BigQueryConnector")
GcsConnector = Refused("reads Google's storage", _BY_FILES, "GcsConnector")
KafkaConnector = Refused("reads Kafka topics", _BY_JOB, "KafkaConnector")
MongoDBConnector = Refused("reads MongoDB", _BY_JOB, "MongoDBConnector")
OpenSearchConnector = Refused("reads OpenSearch", _BY_JOB, "OpenSearchConnector")
RedshiftConnector = Refused("reads Redshift", _BY_JDBC, "RedshiftConnector")
RestConnector = Refused("reads a REST service", _BY_JOB, "RestConnector")
SapHanaConnector = Refused("reads SAP HANA", _BY_JDBC, "SapHanaConnector")
SnowflakeConnector = Refused("reads Snowflake", _BY_JDBC, "SnowflakeConnector")
UnityCatalogConnector = Refused("reads a Unity Catalog", _BY_FILES, "UnityCatalogConnector")
