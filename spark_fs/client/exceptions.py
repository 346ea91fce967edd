"""The errors of Hopsworks' client, each the root of ours, so that what catches one goes on.

``spark_fs.errors`` has the errors that are raised, one for each kind of mistake.
"""

from spark_fs.errors import SparkFSError, ValidationError

RestAPIError = SparkFSError
FeatureStoreException = SparkFSError
DataValidationException = ValidationError
TransformationFunctionException = SparkFSError
VectorDatabaseException = SparkFSError
ExternalClientError = SparkFSError
InternalClientError = SparkFSError
HopsworksSSLClientError = SparkFSError
DatasetException = SparkFSError
ProjectException = SparkFSError
ModelRegistryException = SparkFSError
ModelServingException = SparkFSError
JobException = SparkFSError
JobExecutionException = SparkFSError
GitException = SparkFSError
EnvironmentException = SparkFSError
KafkaException = SparkFSError
OpenSearchException = SparkFSError
DataSourceException = SparkFSError
