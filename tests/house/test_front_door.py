"""What a user imports and calls, as it is and what it costs."""

import inspect
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import spark_fs
from spark_fs import aggregate
from spark_fs.api import connection, logins, project
from spark_fs.api.aggregation import Aggregation
from spark_fs.api.batch_scoring import BatchScoringMixin
from spark_fs.api.built_group import BuiltGroup
from spark_fs.api.catalog_object import CatalogObject
from spark_fs.api.column_selection import ColumnSelection
from spark_fs.api.connection import Connection
from spark_fs.api.dataset_api import DatasetApi
from spark_fs.api.external_creation import ExternalGroupCreation
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature import Feature, Filter
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_monitoring import FeatureMonitoringConfig
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_vectors import FeatureVectorsMixin
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.flavour import Flavour
from spark_fs.api.group import Group
from spark_fs.api.group_creation import GroupCreation
from spark_fs.api.group_definition import GroupDefinition
from spark_fs.api.group_store import GroupStore
from spark_fs.api.inference_helpers import InferenceHelpersMixin
from spark_fs.api.model import Model
from spark_fs.api.model_registry import ModelRegistry
from spark_fs.api.monitor_declaration import MonitorDeclaration
from spark_fs.api.monitoring import MonitoringMixin
from spark_fs.api.on_demand_group import OnDemandGroup
from spark_fs.api.profiled_group import ProfiledGroup
from spark_fs.api.project import Project
from spark_fs.api.query import Query
from spark_fs.api.query_contents import QueryContents
from spark_fs.api.selection import Selection
from spark_fs.api.source_store import SourceStore
from spark_fs.api.spine import Spine
from spark_fs.api.table_group import TableGroup
from spark_fs.api.tracked_run import TrackedRun
from spark_fs.api.training_data import TrainingDataMixin
from spark_fs.api.training_datasets import TrainingDatasetsMixin
from spark_fs.api.training_files import TrainingFilesMixin
from spark_fs.api.training_splits import TrainingSplitsMixin
from spark_fs.api.training_upkeep import TrainingUpkeepMixin
from spark_fs.api.transformation_store import TransformationStore
from spark_fs.api.transformations import TransformationFunction
from spark_fs.api.validated_group import ValidatedGroup
from spark_fs.api.vector_transforms import VectorTransformsMixin
from spark_fs.api.view_contents import ViewContentsMixin
from spark_fs.api.view_serving import ServingMixin
from spark_fs.api.view_store import ViewStore
from spark_fs.api.window_functions import WindowFunction
from spark_fs.api.written_group import WrittenGroup
from spark_fs.engine import windows

REMOTE_VECTORS = (
    "entry passed_features return_type allow_missing transform request_parameters keys now"
)
# The parameters of every public method, in their order: callers pass them by place.
SIGNATURES = {
    spark_fs.login: (
        "config port project api_key_value api_key_file hostname_verification trust_store_path"
        " cert_folder engine host"
    ),
    connection.connection: "args kwargs",
    logins.get_current_project: "",
    logins.logout: "",
    connection.disable_usage_logging: "",
    Connection.get_feature_store: "name",
    Connection.get_model_registry: "project",
    Connection.get_project: "name",
    Connection.get_projects: "",
    Connection.project_exists: "name",
    Connection.close: "",
    spark_fs.select_features: (
        "query_or_feature_view label k method score task baseline evaluate sample max_null_share"
        " leak seed progress engine"
    ),
    spark_fs.read_parquet: "spark path options",
    Selection.plot: "",
    Selection.to_feature_view: "name version description",
    Project.get_feature_store: "name",
    Project.get_url: "",
    Project.get_dataset_api: "",
    Project.check_name: "name",
    DatasetApi.upload: (
        "local_path upload_path overwrite chunk_size simultaneous_uploads simultaneous_chunks"
        " max_chunk_retries chunk_retry_interval"
    ),
    DatasetApi.download: "path local_path overwrite chunk_size",
    DatasetApi.get: "path",
    DatasetApi.exists: "path",
    DatasetApi.path_exists: "remote_path",
    DatasetApi.list: "path offset limit",
    DatasetApi.mkdir: "path",
    DatasetApi.remove: "path",
    DatasetApi.rm: "remote_path",
    DatasetApi.copy: "source_path destination_path overwrite",
    DatasetApi.move: "source_path destination_path overwrite",
    DatasetApi.zip: "remote_path destination_path block timeout",
    DatasetApi.unzip: "remote_path block timeout",
    GroupCreation.create_feature_group: (
        "name version description online_enabled time_travel_format partition_key primary_key"
        " foreign_key embedding_index hudi_precombine_key features statistics_config event_time"
        " stream expectation_suite parents topic_name notification_topic_name"
        " transformation_functions online_config offline_backfill_every_hr storage_connector path"
        " data_source ttl ttl_enabled online_disk sink_enabled sink_job_conf sink_job tags"
        " partitioned_by online_partition_columns zorder_by clustered_by bucket_index sort_order"
        " keep_corrections aggregation"
    ),
    GroupCreation.get_or_create_feature_group: (
        "name version description online_enabled time_travel_format partition_key primary_key"
        " foreign_key embedding_index hudi_precombine_key features statistics_config"
        " expectation_suite event_time stream parents topic_name notification_topic_name"
        " transformation_functions online_config offline_backfill_every_hr storage_connector path"
        " data_source ttl ttl_enabled online_disk sink_enabled sink_job_conf sink_job tags"
        " partitioned_by online_partition_columns zorder_by clustered_by bucket_index sort_order"
        " keep_corrections aggregation"
    ),
    ExternalGroupCreation.create_external_feature_group: (
        "name storage_connector query data_format path options version description primary_key"
        " foreign_key embedding_index features statistics_config event_time expectation_suite"
        " online_enabled topic_name notification_topic_name online_config data_source ttl"
        " ttl_enabled online_disk parents"
    ),
    ExternalGroupCreation.create_on_demand_feature_group: (
        "name storage_connector query data_format path options version description primary_key"
        " foreign_key features statistics_config event_time expectation_suite topic_name"
        " notification_topic_name data_source online_enabled ttl ttl_enabled"
    ),
    GroupCreation.get_or_create_spine_group: (
        "name version description primary_key foreign_key event_time features dataframe"
    ),
    GroupStore.get_external_feature_group: "name version",
    GroupStore.get_external_feature_groups: "name",
    GroupStore.get_feature_group: "name version",
    GroupStore.get_feature_groups: "name",
    SourceStore.create_storage_connector: "connector",
    SourceStore.get_storage_connector: "name",
    SourceStore.get_storage_connectors: "",
    SourceStore.create_data_source: "connector",
    SourceStore.get_data_source: "name",
    FeatureStore.create_spine: "df primary_key event_time",
    ViewStore.create_feature_view: (
        "name query version description labels inference_helper_columns training_helper_columns"
        " transformation_functions logging_enabled extra_log_columns tags label"
    ),
    ViewStore.get_or_create_feature_view: (
        "name query version description labels inference_helper_columns training_helper_columns"
        " transformation_functions logging_enabled extra_log_columns tags label"
    ),
    TransformationStore.create_transformation_function: "transformation_function version",
    TransformationStore.get_transformation_function: "name version",
    TransformationStore.get_transformation_functions: "",
    OnDemandGroup.execute_odts: (
        "data online transformation_context request_parameters n_processes"
    ),
    TransformationFunction.alias: "names",
    TransformationFunction.attached: "feature",
    TransformationFunction.delete: "",
    TransformationFunction.execute: "values",
    TransformationFunction.executor: "statistics context online",
    TransformationFunction.list_chain: "feature",
    TransformationFunction.run: "values",
    TransformationFunction.save: "",
    FeatureStore.sql: "query dataframe_type online read_options engine",
    FeatureStore.get_runs: "pipeline limit",
    FeatureStore.get_run: "run_id",
    ViewStore.get_feature_view: "name version",
    ViewStore.get_feature_views: "name",
    Group.read: ("wallclock_time online dataframe_type read_options start_time end_time engine"),
    Group.show: "n online engine",
    ColumnSelection.select_all: (
        "include_primary_key include_foreign_key include_partition_key include_event_time"
    ),
    ColumnSelection.select_features: "",
    ColumnSelection.select: "features",
    ColumnSelection.select_except: "features",
    ColumnSelection.filter: "f",
    Group.get_feature: "name",
    Group.update_feature_description: "feature_name description",
    CatalogObject.update_description: "description",
    CatalogObject.add_tag: "name value",
    CatalogObject.get_tag: "name",
    CatalogObject.get_tags: "",
    CatalogObject.delete_tag: "name",
    Group.get_parent_feature_groups: "",
    Group.get_generated_feature_views: "",
    Group.get_generated_feature_groups: "",
    GroupDefinition.get_fg_name: "",
    GroupDefinition.get_complex_features: "",
    GroupDefinition.enable_ttl: "ttl",
    GroupDefinition.disable_ttl: "",
    GroupDefinition.update_features: "features",
    WrittenGroup.insert: (
        "features overwrite operation storage write_options validation_options wait"
        " transformation_context transform n_processes"
    ),
    WrittenGroup.save: "features write_options validation_options wait n_processes",
    WrittenGroup.multi_part_insert: (
        "features overwrite operation storage write_options validation_options"
        " transformation_context transform n_processes"
    ),
    WrittenGroup.finalize_multi_part_insert: "",
    FeatureGroup.backfill: "build start end every restart progress",
    FeatureGroup.run_incremental: "build until every lateness",
    WrittenGroup.delete_records: "delete_df write_options storage",
    ValidatedGroup.save_expectation_suite: (
        "expectation_suite run_validation validation_ingestion_policy overwrite"
    ),
    ValidatedGroup.get_expectation_suite: "ge_type",
    ValidatedGroup.delete_expectation_suite: "",
    ValidatedGroup.validate: (
        "dataframe expectation_suite save_report validation_options ingestion_result ge_type"
    ),
    ValidatedGroup.get_validation_history: (
        "expectation_id start_validation_time end_validation_time filter_by ge_type"
    ),
    ValidatedGroup.get_latest_validation_report: "ge_type",
    ValidatedGroup.get_all_validation_reports: "ge_type",
    ValidatedGroup.save_validation_report: "validation_report ingestion_result ge_type",
    TableGroup.read_quarantine: "dataframe_type",
    TableGroup.as_of: "wallclock_time exclude_until",
    TableGroup.read_changes: (
        "start_wallclock_time end_wallclock_time read_options dataframe_type"
    ),
    TableGroup.commit_details: "wallclock_time limit",
    ProfiledGroup.update_statistics_config: "statistics_config",
    ProfiledGroup.compute_statistics: "wallclock_time engine",
    ProfiledGroup.get_statistics: "computation_time feature_names as_of",
    ProfiledGroup.get_all_statistics: "computation_time feature_names",
    ProfiledGroup.get_statistics_by_commit_window: "from_commit_time to_commit_time feature_names",
    TableGroup.head: "n engine",
    FeatureGroup.report: "path",
    ProfiledGroup.detect_drift: "current reference features thresholds engine",
    ProfiledGroup.get_drift_history: "",
    MonitoringMixin.create_scheduled_statistics: (
        "name feature_names description start_date_time end_date_time cron_expression"
    ),
    MonitoringMixin.create_feature_monitoring: (
        "name description start_date_time end_date_time cron_expression feature_name"
    ),
    MonitoringMixin.create_statistics_monitoring: (
        "name feature_name description start_date_time end_date_time cron_expression"
    ),
    MonitoringMixin.get_feature_monitoring_configs: "name feature_name config_id",
    MonitoringMixin.get_feature_monitoring_history: (
        "config_name config_id start_time end_time with_statistics"
    ),
    MonitoringMixin.run_due_monitors: "now",
    MonitorDeclaration.get_feature_names: "",
    MonitorDeclaration.list_features: "",
    MonitorDeclaration.with_detection_window: "time_offset window_length row_percentage",
    MonitorDeclaration.with_reference_window: "time_offset window_length row_percentage",
    MonitorDeclaration.with_reference_training_dataset: "training_dataset_version",
    MonitorDeclaration.with_reference_value: "value",
    MonitorDeclaration.compare_on: ("metric threshold feature_name strict relative specific_value"),
    MonitorDeclaration.compare_on_distribution: (
        "metric threshold feature_name strict binning_strategy bin_count smoothing_epsilon"
        " custom_bin_edges"
    ),
    FeatureMonitoringConfig.save: "",
    FeatureMonitoringConfig.update: "",
    FeatureMonitoringConfig.delete: "",
    FeatureMonitoringConfig.enable: "",
    FeatureMonitoringConfig.disable: "",
    FeatureMonitoringConfig.run_once: "",
    FeatureMonitoringConfig.get_history: "start_time end_time with_statistics",
    FeatureView.get_training_dataset_statistics: (
        "training_dataset_version before_transformation feature_names"
    ),
    FeatureView.kept_statistics: "",
    FeatureView.report: "version path",
    FeatureView.detect_drift: "current training_dataset_version features thresholds engine",
    FeatureView.get_drift_history: "",
    FeatureGroup.sync_online: "now full progress",
    FeatureGroup.get_freshness: "now",
    FeatureGroup.verify_online: "now limit synced",
    GroupStore.sync_online: "name version now full progress",
    GroupStore.verify_online: "name version now limit synced",
    GroupStore.check_serving: "",
    GroupStore.get_online_servers: "",
    GroupStore.write_online_heartbeat: "",
    TableGroup.append_features: "features",
    TableGroup.optimize: "full strategy columns rewrite_all target_file_size_mb where",
    TableGroup.delta_vacuum: "retention_hours",
    TableGroup.vacuum: "retention_hours force",
    FeatureGroup.delete: "force delete_feature_views",
    ExternalFeatureGroup.delete: "force delete_feature_views",
    ExternalFeatureGroup.save: "",
    ExternalFeatureGroup.get_expectation_suite: "ge_type",
    ExternalFeatureGroup.get_latest_validation_report: "ge_type",
    ExternalFeatureGroup.get_statistics: "_arguments _options",
    ExternalFeatureGroup.get_feature_monitoring_configs: "_arguments _options",
    Query.join: "sub_query on left_on right_on join_type prefix",
    Query.filter: "f",
    Query.limit: "n",
    Query.append_feature: "feature",
    Query.as_of: "wallclock_time exclude_until",
    Query.pull_changes: "wallclock_start_time wallclock_end_time",
    Query.as_known: "",
    Query.read: ("online dataframe_type read_options start_time end_time strategy engine"),
    Query.show: "n online engine",
    Query.to_string: "online arrow_flight",
    Query.explain: "strategy engine",
    QueryContents.plan: "",
    QueryContents.get_feature: "feature_name",
    QueryContents.get_ambiguous_features: "",
    QueryContents.check_and_warn_ambiguous_features: "",
    QueryContents.is_time_travel: "",
    QueryContents.is_cache_feature_group_only: "",
    FeatureView.check: "",
    FeatureView.training_columns: "training_dataset_version",
    FeatureView.get_parent_feature_groups: "",
    FeatureView.get_models: "training_dataset_version",
    FeatureView.get_models_provenance: "training_dataset_version",
    FeatureView.get_newest_model: "training_dataset_version",
    FeatureView.update: "",
    ViewContentsMixin.get_feature: "name",
    ViewContentsMixin.to_dict: "",
    ViewContentsMixin.json: "",
    ViewContentsMixin.get_training_dataset_schema: "training_dataset_version",
    VectorTransformsMixin.transform: (
        "feature_vector external transformation_context return_type n_processes"
    ),
    VectorTransformsMixin.compute_on_demand_features: (
        "feature_vector request_parameters transformation_context return_type n_processes"
    ),
    VectorTransformsMixin.execute_odts: (
        "data online transformation_context request_parameters n_processes"
    ),
    VectorTransformsMixin.execute_mdts: (
        "data online transformation_context request_parameters n_processes"
    ),
    FeatureView.delete: "force",
    TrainingDataMixin.training_data: (
        "start_time end_time description extra_filter statistics_config read_options spine"
        " primary_key event_time training_helper_columns dataframe_type transformation_context"
        " lookback n_processes tags options"
    ),
    TrainingSplitsMixin.train_test_split: (
        "test_size train_start train_end test_start test_end description extra_filter"
        " statistics_config read_options spine primary_key event_time training_helper_columns"
        " dataframe_type transformation_context lookback n_processes tags seed test_ratio options"
    ),
    TrainingSplitsMixin.train_validation_test_split: (
        "validation_size test_size train_start train_end validation_start validation_end"
        " test_start test_end description extra_filter statistics_config read_options spine"
        " primary_key event_time training_helper_columns dataframe_type transformation_context"
        " lookback n_processes tags seed validation_ratio test_ratio options"
    ),
    TrainingFilesMixin.create_training_data: (
        "start_time end_time storage_connector location description extra_filter data_format"
        " coalesce seed statistics_config write_options spine transformation_context data_source"
        " tags lookback options"
    ),
    TrainingFilesMixin.create_train_test_split: (
        "test_size train_start train_end test_start test_end storage_connector location"
        " description extra_filter data_format coalesce seed statistics_config write_options spine"
        " transformation_context data_source tags lookback test_ratio options"
    ),
    TrainingFilesMixin.create_train_validation_test_split: (
        "validation_size test_size train_start train_end validation_start validation_end"
        " test_start test_end storage_connector location description extra_filter data_format"
        " coalesce seed statistics_config write_options spine transformation_context data_source"
        " tags lookback validation_ratio test_ratio options"
    ),
    TrainingDatasetsMixin.get_training_data: (
        "training_dataset_version read_options primary_key event_time training_helper_columns"
        " dataframe_type transformation_context n_processes version options"
    ),
    TrainingDatasetsMixin.get_train_test_split: (
        "training_dataset_version read_options primary_key event_time training_helper_columns"
        " dataframe_type transformation_context n_processes version options"
    ),
    TrainingDatasetsMixin.get_train_validation_test_split: (
        "training_dataset_version read_options primary_key event_time training_helper_columns"
        " dataframe_type transformation_context n_processes version options"
    ),
    TrainingDatasetsMixin.get_training_datasets: "",
    TrainingDatasetsMixin.get_last_accessed_training_dataset: "",
    TrainingDatasetsMixin.update_last_accessed_training_dataset: "version",
    TrainingUpkeepMixin.recreate_training_dataset: (
        "training_dataset_version statistics_config write_options spine transformation_context"
        " version engine"
    ),
    TrainingUpkeepMixin.delete_training_dataset: "training_dataset_version version force",
    TrainingUpkeepMixin.delete_all_training_datasets: "force",
    TrainingUpkeepMixin.purge_training_data: "training_dataset_version",
    TrainingUpkeepMixin.purge_all_training_data: "",
    TrainingUpkeepMixin.add_training_dataset_tag: "training_dataset_version name value",
    TrainingUpkeepMixin.get_training_dataset_tag: "training_dataset_version name",
    TrainingUpkeepMixin.get_training_dataset_tags: "training_dataset_version",
    TrainingUpkeepMixin.delete_training_dataset_tag: "training_dataset_version name",
    BatchScoringMixin.init_batch_scoring: "training_dataset_version n_processes",
    BatchScoringMixin.get_batch_data: (
        "start_time end_time read_options spine primary_key event_time inference_helper_columns"
        " dataframe_type transformed transformation_context logging_data extra_filter lookback"
        " n_processes training_filter options"
    ),
    BatchScoringMixin.get_batch_query: "start_time end_time extra_filter lookback",
    ServingMixin.init_serving: (
        "training_dataset_version external options init_sql_client init_rest_client"
        " reset_rest_client config_rest_client default_client feature_logger n_processes"
        " training_data_version"
    ),
    ServingMixin.init_feature_logger: "feature_logger",
    FeatureVectorsMixin.get_feature_vector: (
        "entry passed_features external return_type allow_missing force_rest_client"
        " force_sql_client transform on_demand_features request_parameters transformation_context"
        " logging_data n_processes keys now max_replica_age"
    ),
    FeatureVectorsMixin.get_feature_vectors: (
        "entry passed_features external return_type allow_missing force_rest_client"
        " force_sql_client transform on_demand_features request_parameters transformation_context"
        " logging_data n_processes keys now max_replica_age"
    ),
    spark_fs.Client.get_feature_view: "name version training_dataset_version",
    spark_fs.Client.close: "",
    spark_fs.AsyncClient.get_feature_view: "name version training_dataset_version",
    spark_fs.AsyncClient.close: "",
    spark_fs.RemoteFeatureView.get_feature_vector: REMOTE_VECTORS,
    spark_fs.RemoteFeatureView.get_feature_vectors: REMOTE_VECTORS,
    spark_fs.AsyncRemoteFeatureView.get_feature_vector: REMOTE_VECTORS,
    spark_fs.AsyncRemoteFeatureView.get_feature_vectors: REMOTE_VECTORS,
    InferenceHelpersMixin.get_inference_helper: (
        "entry external return_type force_rest_client force_sql_client allow_missing now"
    ),
    InferenceHelpersMixin.get_inference_helpers: (
        "entry external return_type force_sql_client force_rest_client allow_missing now"
    ),
    Project.get_model_registry: "",
    Flavour.create_model: (
        "name version metrics description input_example model_schema feature_view"
        " training_dataset_version tags"
    ),
    Model.save: "model_path await_registration keep_original_files upload_configuration",
    Model.download: "local_path",
    Model.delete: "",
    Model.get_feature_view: "init online",
    Model.add_tag: "name value",
    Model.set_tag: "name value",
    Model.get_tag: "name",
    Model.get_tags: "",
    Model.delete_tag: "name",
    ModelRegistry.get_model: "name version",
    ModelRegistry.get_models: "name",
    ModelRegistry.get_best_model: "name metric direction",
    ModelRegistry.track: "experiment params",
    ModelRegistry.save: "model model_path",
    ModelRegistry.download: "model local_path",
    ModelRegistry.get_source: "model",
    ModelRegistry.get_tags: "model",
    ModelRegistry.set_tags: "model tags",
    ModelRegistry.delete: "model",
    ModelRegistry.view_of: "model",
    TrackedRun.log_params: "params",
    TrackedRun.log_metrics: "metrics step",
    TrackedRun.log_file: "path",
    spark_fs.udf: "return_type drop mode",
    Spine.delete: "force",
    Feature.isin: "other",
    Feature.like: "other",
    Feature.is_complex: "",
    Feature.to_dict: "",
    Feature.is_null: "",
    Aggregation.plan: "",
    Aggregation.select_all: "",
    Aggregation.select: "features",
    Aggregation.select_except: "features",
    aggregate.approx_distinct_count: "column over where delay name",
    aggregate.approx_percentile: "column share over where delay name",
    aggregate.count: "column over where delay name",
    aggregate.distinct_count: "column over where delay name",
    aggregate.first: "column over where delay name",
    aggregate.last: "column over where delay name",
    aggregate.last_distinct_n: "column n over where delay name",
    aggregate.last_n: "column n over where delay name",
    aggregate.max: "column over where delay name",
    aggregate.mean: "column over where delay name",
    aggregate.min: "column over where delay name",
    aggregate.percentile: "column share over where delay name",
    aggregate.stddev: "column over where delay name",
    aggregate.sum: "column over where delay name",
    aggregate.time_since_last: "column over where delay name",
    aggregate.top_k: "column k over where delay name",
    aggregate.variance: "column over where delay name",
}
PUBLIC = (
    Project,
    Connection,
    DatasetApi,
    FeatureStore,
    GroupStore,
    SourceStore,
    GroupCreation,
    ExternalGroupCreation,
    TableGroup,
    BuiltGroup,
    ValidatedGroup,
    ProfiledGroup,
    MonitoringMixin,
    MonitorDeclaration,
    FeatureMonitoringConfig,
    WrittenGroup,
    OnDemandGroup,
    TransformationStore,
    TransformationFunction,
    CatalogObject,
    Group,
    GroupDefinition,
    ColumnSelection,
    FeatureGroup,
    ExternalFeatureGroup,
    FeatureView,
    TrainingDataMixin,
    TrainingSplitsMixin,
    TrainingFilesMixin,
    TrainingDatasetsMixin,
    TrainingUpkeepMixin,
    BatchScoringMixin,
    FeatureVectorsMixin,
    InferenceHelpersMixin,
    ServingMixin,
    VectorTransformsMixin,
    spark_fs.Client,
    spark_fs.AsyncClient,
    spark_fs.RemoteFeatureView,
    spark_fs.AsyncRemoteFeatureView,
    ViewContentsMixin,
    ViewStore,
    Query,
    QueryContents,
    Spine,
    Feature,
    Filter,
    Flavour,
    Model,
    ModelRegistry,
    TrackedRun,
    Selection,
    Aggregation,
    WindowFunction,
)
FUNCTIONS = (
    spark_fs.login,
    spark_fs.udf,
    spark_fs.select_features,
    spark_fs.read_parquet,
    connection.connection,
    logins.get_current_project,
    logins.logout,
    connection.disable_usage_logging,
)


def test_all_names_what_the_package_offers() -> None:
    assert len(set(spark_fs.__all__)) == len(spark_fs.__all__)
    assert all(getattr(spark_fs, name) is not None for name in spark_fs.__all__)
    tools = {"TYPE_CHECKING", "Any", "import_module"}
    modules = {name for name, value in vars(spark_fs).items() if inspect.ismodule(value)}
    public = {name for name in vars(spark_fs) if not name.startswith("_")}
    assert public - tools - (modules - {"aggregate", "errors"}) == set(spark_fs.__all__)
    assert set(spark_fs.__all__) <= set(dir(spark_fs))
    with pytest.raises(AttributeError, match="module 'spark_fs' has no attribute 'roling'"):
        _ = spark_fs.roling


def test_a_name_of_the_front_door_is_the_one_of_its_module() -> None:
    """Under the paths that users' projects of earlier releases have, too."""
    assert spark_fs.FeatureGroup is FeatureGroup
    assert spark_fs.FeatureStore is FeatureStore is project.FeatureStore
    assert spark_fs.FeatureView is FeatureView
    assert spark_fs.rolling is windows.rolling
    assert spark_fs.Events is windows.Events


@pytest.mark.parametrize("method", SIGNATURES, ids=lambda m: m.__qualname__)
def test_parameters_keep_their_order(method: object) -> None:
    parameters = [name for name in inspect.signature(method).parameters if name != "self"]
    assert " ".join(parameters) == SIGNATURES[method]


def test_every_public_method_is_in_the_table() -> None:
    methods = {
        member
        for public_class in PUBLIC
        for name, member in vars(public_class).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    functions = {getattr(aggregate, name) for name in aggregate.__all__} | set(FUNCTIONS)
    assert methods == set(SIGNATURES) - functions
    assert functions <= set(SIGNATURES)


def in_a_new_process(code: str, *arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_import_and_login_load_neither_spark_nor_pandas(tmp_path: Path) -> None:
    code = """
import sys, spark_fs
spark_fs.login({"home": sys.argv[1]}).get_feature_store()
print(sorted({"pyspark", "pandas", "pyarrow", "numpy", "sqlalchemy", "mysql"} & set(sys.modules)))
"""
    assert in_a_new_process(code, str(tmp_path)) == "[]\n"


def test_a_vector_is_served_without_spark(fs: FeatureStore, tmp_path: Path) -> None:
    group = fs.create_feature_group(
        "clicks", primary_key=["user"], event_time="at", online_enabled=True
    )
    group.insert(
        pd.DataFrame(
            {"user": [1, 1], "at": pd.to_datetime(["2024-01-01", "2024-01-02"]), "n": [3, 4]}
        )
    )
    fs.create_feature_view("clicks", group.select_features())
    group.sync_online()
    code = """
import sys, spark_fs
view = spark_fs.login({"home": sys.argv[1]}).get_feature_store().get_feature_view("clicks", 1)
view.init_serving()
print(view.get_feature_vector({"user": 1}), sorted({"pyspark", "delta", "pandas", "pyarrow"} & set(sys.modules)))
"""
    assert in_a_new_process(code, str(tmp_path)) == "[4] []\n"


def test_looking_at_a_store_starts_no_jvm(fs: FeatureStore, tmp_path: Path) -> None:
    group = fs.create_feature_group("clicks", primary_key=["user"])
    group.insert(pd.DataFrame({"user": [1], "n": [3]}))
    fs.create_feature_group("ages", primary_key=["user"]).insert(
        pd.DataFrame({"user": [1], "tags": [["a"]]})
    )
    code = """
import sys, spark_fs
from pyspark import SparkContext
fs = spark_fs.login({"home": sys.argv[1]}).get_feature_store()
group = fs.get_feature_group("clicks", 1)
print(group.schema, len(group.commit_details()), group.watermark, group.select_all().plan().schema)
query = group.select_all().join(fs.get_feature_group("ages", 1).select_all())
query.explain()
print(query.to_string())
print(SparkContext._gateway)
"""
    first, *lines, last = in_a_new_process(code, str(tmp_path)).splitlines()
    assert first == "{'user': 'bigint', 'n': 'bigint'} 1 None {'user': 'bigint', 'n': 'bigint'}"
    assert "broadcast: every task reads the joined groups itself" in "\n".join(lines)
    assert lines[-1] == ') AS "ages" ON TRUE'
    assert last == "None"


def test_an_active_session_is_used_as_it_is(spark: object, fs: FeatureStore) -> None:
    assert fs._stores.spark is spark


@pytest.mark.slow
def test_a_type_checker_knows_which_frame_comes_back(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
from typing import Any, assert_type
import numpy.typing as npt
import pandas as pd
from pyspark.sql import DataFrame
import spark_fs

def look(fs: spark_fs.FeatureStore, group: spark_fs.FeatureGroup, kind: str) -> None:
    query = group.select_all()
    assert_type(query.read("pandas"), pd.DataFrame)
    assert_type(query.read(strategy="sql", dataframe_type="pandas"), pd.DataFrame)
    assert_type(group.read(wallclock_time=3, dataframe_type="spark"), DataFrame)
    assert_type(group.read("pandas", online=True), pd.DataFrame)
    assert_type(group.read_changes(1), DataFrame)
    assert_type(group.read_changes(1, dataframe_type="pandas"), pd.DataFrame)
    assert_type(group.read_changes(1, 2, "pandas"), pd.DataFrame)
    assert_type(group.read_quarantine(), DataFrame)
    assert_type(group.read_quarantine("pandas"), pd.DataFrame)
    assert_type(group.head(), pd.DataFrame)
    assert_type(fs.sql("SELECT 1", dataframe_type="spark"), DataFrame)
    assert_type(fs.sql("SELECT 1", dataframe_type="pandas"), pd.DataFrame)
    assert_type(group.select(["a"]).filter(group["a"] > 1), spark_fs.Query)
    assert_type(fs.get_feature_views(), list[spark_fs.FeatureView])
    assert_type(group.commit_details()[0], spark_fs.Commit)

def train(view: spark_fs.FeatureView, kind: str) -> None:
    assert_type(view.training_data(), tuple[pd.DataFrame, pd.DataFrame])
    assert_type(view.training_data(dataframe_type="spark"), tuple[DataFrame, DataFrame])
    assert_type(view.training_data(dataframe_type=kind), tuple[Any, Any])
    x_train, x_test, y_train, y_test = view.train_test_split(0.2, seed=1)
    assert_type(y_test, pd.DataFrame)
    x_train, *_ = view.get_train_test_split(1)
    assert_type(x_train, pd.DataFrame)
    x, y = view.get_training_data(version=1, dataframe_type="spark", primary_key=True)
    assert_type(y, DataFrame)
    x_train, x_val, *_ = view.train_validation_test_split(0.2, 0.1)
    assert_type(x_val, pd.DataFrame)

def score(view: spark_fs.FeatureView, kind: str) -> None:
    assert_type(view.get_batch_data("2024-01-01"), pd.DataFrame)
    assert_type(view.batch_data(dataframe_type="spark"), DataFrame)
    assert_type(view.get_batch_data(dataframe_type=kind), Any)
    assert_type(view.get_feature_vector({"a": 1}), list[Any])
    assert_type(view.get_feature_vector({"a": 1}, return_type="pandas"), pd.DataFrame)
    assert_type(view.get_feature_vectors([{"a": 1}]), list[list[Any]])
    assert_type(view.get_feature_vectors([], return_type="numpy"), npt.NDArray[Any])
    assert_type(view.get_inference_helper({"a": 1}), pd.DataFrame)
    assert_type(view.get_inference_helper({"a": 1}, return_type="dict"), dict[str, Any])
"""
    )
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
