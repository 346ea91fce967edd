"""Hopsworks' public methods with the order of their arguments, and its properties (hopsworks-api, August 2026)."""

METHODS = {
    "hopsworks.login": (
        "host port project api_key_value api_key_file hostname_verification trust_store_path "
        "cert_folder engine"
    ),
    "hopsworks.logout": "",
    "hopsworks.get_current_project": "",
    "hopsworks.create_project": "name description feature_store_topic namespace",
    "hopsworks.get_secrets_api": "",
    "Project.get_feature_store": "name",
    "Project.get_model_registry": "",
    "Project.get_model_serving": "",
    "Project.get_kafka_api": "",
    "Project.get_opensearch_api": "",
    "Project.get_job_api": "",
    "Project.get_app_api": "",
    "Project.get_jobs_api": "",
    "Project.get_git_api": "",
    "Project.get_dataset_api": "",
    "Project.get_environment_api": "",
    "Project.get_alerts_api": "",
    "Project.get_members_api": "",
    "Project.get_members": "",
    "Project.add_member": "email role",
    "Project.remove_member": "email delete_home_dir",
    "Project.get_search_api": "",
    "Project.get_trino_api": "",
    "Project.get_trino_catalog_api": "",
    "Project.get_superset_api": "",
    "Project.get_alerts": "",
    "Project.get_alert": "alert_id",
    "Project.create_job_alert": "receiver status severity",
    "Project.create_featurestore_alert": "receiver status severity",
    "Project.get_url": "",
    "FeatureStore.get_feature_group": "name version",
    "FeatureStore.get_feature_groups": "name",
    "FeatureStore.get_on_demand_feature_group": "name version",
    "FeatureStore.get_external_feature_group": "name version",
    "FeatureStore.get_on_demand_feature_groups": "name",
    "FeatureStore.get_external_feature_groups": "name",
    "FeatureStore.get_training_dataset": "name version",
    "FeatureStore.get_training_datasets": "name",
    "FeatureStore.get_storage_connector": "name",
    "FeatureStore.get_data_source": "name",
    "FeatureStore.create_data_source": "connector",
    "FeatureStore.share": "target_project",
    "FeatureStore.shared_with": "",
    "FeatureStore.unshare": "target_project",
    "FeatureStore.sql": "query dataframe_type online read_options",
    "FeatureStore.get_online_storage_connector": "",
    "FeatureStore.get_online_data_source": "",
    "FeatureStore.create_feature_group": (
        "name version description online_enabled time_travel_format partition_key primary_key "
        "foreign_key embedding_index hudi_precombine_key features statistics_config "
        "event_time stream expectation_suite parents topic_name notification_topic_name "
        "transformation_functions online_config offline_backfill_every_hr storage_connector "
        "path data_source ttl ttl_enabled online_disk sink_enabled sink_job_conf sink_job "
        "tags partitioned_by online_partition_columns zorder_by clustered_by bucket_index "
        "sort_order"
    ),
    "FeatureStore.get_or_create_feature_group": (
        "name version description online_enabled time_travel_format partition_key primary_key "
        "foreign_key embedding_index hudi_precombine_key features statistics_config "
        "expectation_suite event_time stream parents topic_name notification_topic_name "
        "transformation_functions online_config offline_backfill_every_hr storage_connector "
        "path data_source ttl ttl_enabled online_disk sink_enabled sink_job_conf sink_job "
        "tags partitioned_by online_partition_columns zorder_by clustered_by bucket_index "
        "sort_order"
    ),
    "FeatureStore.create_on_demand_feature_group": (
        "name storage_connector query data_format path options version description "
        "primary_key foreign_key features statistics_config event_time expectation_suite "
        "topic_name notification_topic_name data_source online_enabled ttl ttl_enabled"
    ),
    "FeatureStore.create_external_feature_group": (
        "name storage_connector query data_format path options version description "
        "primary_key foreign_key embedding_index features statistics_config event_time "
        "expectation_suite online_enabled topic_name notification_topic_name online_config "
        "data_source ttl ttl_enabled online_disk"
    ),
    "FeatureStore.get_or_create_spine_group": (
        "name version description primary_key foreign_key event_time features dataframe"
    ),
    "FeatureStore.create_training_dataset": (
        "name version description data_format coalesce storage_connector splits location seed "
        "statistics_config label transformation_functions train_split data_source tags"
    ),
    "FeatureStore.create_transformation_function": "transformation_function version",
    "FeatureStore.get_transformation_function": "name version",
    "FeatureStore.get_transformation_functions": "",
    "FeatureStore.create_feature_view": (
        "name query version description labels inference_helper_columns "
        "training_helper_columns transformation_functions logging_enabled extra_log_columns "
        "tags"
    ),
    "FeatureStore.get_or_create_feature_view": (
        "name query version description labels inference_helper_columns "
        "training_helper_columns transformation_functions logging_enabled extra_log_columns "
        "tags"
    ),
    "FeatureStore.get_feature_view": "name version",
    "FeatureStore.get_feature_views": "name",
    "FeatureStore.create_chart": "title description url job_id",
    "FeatureStore.get_charts": "",
    "FeatureStore.get_chart": "chart_id",
    "FeatureStore.create_dashboard": "name charts",
    "FeatureStore.get_dashboards": "",
    "FeatureStore.get_dashboard": "dashboard_id",
    "FeatureStore.search": "search_term keyword_filter tag_filter offset limit global_search",
    "FeatureStore.search_feature_groups": "search_term keyword_filter tag_filter offset limit global_search",
    "FeatureStore.search_feature_views": "search_term keyword_filter tag_filter offset limit global_search",
    "FeatureStore.search_training_datasets": "search_term keyword_filter tag_filter offset limit global_search",
    "FeatureStore.search_features": "search_term keyword_filter tag_filter offset limit global_search",
    "FeatureStore.get_all_keywords": "",
    "FeatureGroup.visualize_transformations": "mode orient",
    "FeatureGroup.check_deprecated": "",
    "FeatureGroup.delete": "force delete_feature_views",
    "FeatureGroup.select_all": (
        "include_primary_key include_foreign_key include_partition_key include_event_time"
    ),
    "FeatureGroup.select_features": "",
    "FeatureGroup.select": "features",
    "FeatureGroup.select_except": "features",
    "FeatureGroup.filter": "f",
    "FeatureGroup.add_tag": "name value",
    "FeatureGroup.delete_tag": "name",
    "FeatureGroup.get_tag": "name",
    "FeatureGroup.get_tags": "",
    "FeatureGroup.get_tag_metadata": "name",
    "FeatureGroup.get_tags_metadata": "",
    "FeatureGroup.get_keywords": "",
    "FeatureGroup.get_keywords_metadata": "",
    "FeatureGroup.set_keywords": "keywords",
    "FeatureGroup.add_keywords": "keywords",
    "FeatureGroup.delete_keyword": "keyword",
    "FeatureGroup.get_parent_feature_groups": "",
    "FeatureGroup.get_storage_connector_provenance": "",
    "FeatureGroup.get_data_source_provenance": "",
    "FeatureGroup.get_storage_connector": "",
    "FeatureGroup.get_data_source": "",
    "FeatureGroup.get_generated_feature_views": "",
    "FeatureGroup.get_generated_feature_groups": "",
    "FeatureGroup.share": "target_project features",
    "FeatureGroup.shared_with": "",
    "FeatureGroup.unshare": "target_project",
    "FeatureGroup.grant_restricted_access": "user_email features",
    "FeatureGroup.revoke_restricted_access": "user_email",
    "FeatureGroup.get_restricted_access": "",
    "FeatureGroup.get_feature": "name",
    "FeatureGroup.update_statistics_config": "",
    "FeatureGroup.update_description": "description",
    "FeatureGroup.update_topic_name": "topic_name",
    "FeatureGroup.update_notification_topic_name": "notification_topic_name",
    "FeatureGroup.update_deprecated": "deprecate",
    "FeatureGroup.update_features": "features",
    "FeatureGroup.update_feature_description": "feature_name description",
    "FeatureGroup.append_features": "features",
    "FeatureGroup.get_expectation_suite": "ge_type",
    "FeatureGroup.save_expectation_suite": (
        "expectation_suite run_validation validation_ingestion_policy overwrite"
    ),
    "FeatureGroup.delete_expectation_suite": "",
    "FeatureGroup.get_latest_validation_report": "ge_type",
    "FeatureGroup.get_all_validation_reports": "ge_type",
    "FeatureGroup.save_validation_report": "validation_report ingestion_result ge_type",
    "FeatureGroup.get_validation_history": (
        "expectation_id start_validation_time end_validation_time filter_by ge_type"
    ),
    "FeatureGroup.validate": (
        "dataframe expectation_suite save_report validation_options ingestion_result ge_type"
    ),
    "FeatureGroup.get_feature_monitoring_configs": "name feature_name config_id",
    "FeatureGroup.get_feature_monitoring_history": "config_name config_id start_time end_time with_statistics",
    "FeatureGroup.create_scheduled_statistics": (
        "name feature_names description start_date_time end_date_time cron_expression"
    ),
    "FeatureGroup.create_feature_monitoring": "name description start_date_time end_date_time cron_expression",
    "FeatureGroup.get_latest_online_ingestion": "",
    "FeatureGroup.get_online_ingestion": "id",
    "FeatureGroup.get_fg_name": "",
    "FeatureGroup.get_statistics": "computation_time feature_names",
    "FeatureGroup.get_all_statistics": "computation_time feature_names",
    "FeatureGroup.compute_statistics": "wallclock_time",
    "FeatureGroup.get_alerts": "",
    "FeatureGroup.get_alert": "alert_id",
    "FeatureGroup.create_alert": "receiver status severity",
    "FeatureGroup.prepare_spark_location": "",
    "FeatureGroup.get_complex_features": "",
    "FeatureGroup.enable_ttl": "ttl",
    "FeatureGroup.disable_ttl": "",
    "FeatureGroup.read": "wallclock_time online dataframe_type read_options start_time end_time",
    "FeatureGroup.read_changes": "start_wallclock_time end_wallclock_time read_options",
    "FeatureGroup.find_neighbors": "embedding col k filter options",
    "FeatureGroup.show": "n online",
    "FeatureGroup.save": "features write_options validation_options wait n_processes",
    "FeatureGroup.insert": (
        "features overwrite operation storage write_options validation_options wait "
        "transformation_context transform n_processes"
    ),
    "FeatureGroup.multi_part_insert": (
        "features overwrite operation storage write_options validation_options "
        "transformation_context transform n_processes"
    ),
    "FeatureGroup.finalize_multi_part_insert": "",
    "FeatureGroup.insert_stream": (
        "features query_name output_mode await_termination timeout checkpoint_dir "
        "write_options transformation_context transform"
    ),
    "FeatureGroup.commit_details": "wallclock_time limit",
    "FeatureGroup.remove_rows": "delete_df write_options storage",
    "FeatureGroup.commit_delete_record": "delete_df write_options",
    "FeatureGroup.delta_vacuum": "retention_hours",
    "FeatureGroup.optimize": "full strategy columns rewrite_all target_file_size_mb where",
    "FeatureGroup.get_partition_spec": "",
    "FeatureGroup.get_partition_specs": "",
    "FeatureGroup.get_clustering_columns": "",
    "FeatureGroup.get_sort_order": "",
    "FeatureGroup.describe_layout": "",
    "FeatureGroup.update_partition_spec": "add remove",
    "FeatureGroup.update_clustering": "columns",
    "FeatureGroup.disable_clustering": "",
    "FeatureGroup.as_of": "wallclock_time exclude_until",
    "FeatureGroup.get_statistics_by_commit_window": "from_commit_time to_commit_time feature_names",
    "FeatureGroup.execute_odts": "data online transformation_context request_parameters n_processes",
    "ExternalFeatureGroup.save": "",
    "ExternalFeatureGroup.insert": "features write_options validation_options wait",
    "ExternalFeatureGroup.read": "dataframe_type online read_options start_time end_time * force_vended",
    "ExternalFeatureGroup.show": "n online",
    "ExternalFeatureGroup.find_neighbors": "embedding col k filter options",
    "FeatureView.get_last_accessed_training_dataset": "",
    "FeatureView.delete": "force",
    "FeatureView.clean": "feature_store_id feature_view_name feature_view_version force",
    "FeatureView.update": "",
    "FeatureView.init_serving": (
        "training_dataset_version external options init_sql_client init_rest_client "
        "reset_rest_client config_rest_client default_client feature_logger n_processes"
    ),
    "FeatureView.init_batch_scoring": "training_dataset_version n_processes",
    "FeatureView.get_batch_query": "start_time end_time extra_filter lookback",
    "FeatureView.get_feature_vector": (
        "entry passed_features external return_type allow_missing force_rest_client "
        "force_sql_client transform on_demand_features request_parameters "
        "transformation_context logging_data n_processes"
    ),
    "FeatureView.get_feature_vectors": (
        "entry passed_features external return_type allow_missing force_rest_client "
        "force_sql_client transform on_demand_features request_parameters "
        "transformation_context logging_data n_processes"
    ),
    "FeatureView.get_inference_helper": "entry external return_type force_rest_client force_sql_client",
    "FeatureView.get_inference_helpers": "entry external return_type force_sql_client force_rest_client",
    "FeatureView.find_neighbors": "embedding feature k filter external return_type",
    "FeatureView.get_batch_data": (
        "start_time end_time read_options spine primary_key event_time "
        "inference_helper_columns dataframe_type transformed transformation_context "
        "logging_data extra_filter lookback n_processes"
    ),
    "FeatureView.add_tag": "name value",
    "FeatureView.get_tag": "name",
    "FeatureView.get_tags": "",
    "FeatureView.get_tag_metadata": "name",
    "FeatureView.get_tags_metadata": "",
    "FeatureView.get_keywords": "",
    "FeatureView.get_keywords_metadata": "",
    "FeatureView.set_keywords": "keywords",
    "FeatureView.add_keywords": "keywords",
    "FeatureView.delete_keyword": "keyword",
    "FeatureView.get_parent_feature_groups": "",
    "FeatureView.get_newest_model": "training_dataset_version",
    "FeatureView.get_models": "training_dataset_version",
    "FeatureView.get_models_provenance": "training_dataset_version",
    "FeatureView.delete_tag": "name",
    "FeatureView.update_last_accessed_training_dataset": "version",
    "FeatureView.create_training_data": (
        "start_time end_time storage_connector location description extra_filter data_format "
        "coalesce seed statistics_config write_options spine transformation_context "
        "data_source tags lookback"
    ),
    "FeatureView.create_train_test_split": (
        "test_size train_start train_end test_start test_end storage_connector location "
        "description extra_filter data_format coalesce seed statistics_config write_options "
        "spine transformation_context data_source tags lookback"
    ),
    "FeatureView.create_train_validation_test_split": (
        "validation_size test_size train_start train_end validation_start validation_end "
        "test_start test_end storage_connector location description extra_filter data_format "
        "coalesce seed statistics_config write_options spine transformation_context "
        "data_source tags lookback"
    ),
    "FeatureView.recreate_training_dataset": (
        "training_dataset_version statistics_config write_options spine transformation_context"
    ),
    "FeatureView.training_data": (
        "start_time end_time description extra_filter statistics_config read_options spine "
        "primary_key event_time training_helper_columns dataframe_type transformation_context "
        "lookback n_processes tags"
    ),
    "FeatureView.train_test_split": (
        "test_size train_start train_end test_start test_end description extra_filter "
        "statistics_config read_options spine primary_key event_time training_helper_columns "
        "dataframe_type transformation_context lookback n_processes tags"
    ),
    "FeatureView.train_validation_test_split": (
        "validation_size test_size train_start train_end validation_start validation_end "
        "test_start test_end description extra_filter statistics_config read_options spine "
        "primary_key event_time training_helper_columns dataframe_type transformation_context "
        "lookback n_processes tags"
    ),
    "FeatureView.get_training_data": (
        "training_dataset_version read_options primary_key event_time training_helper_columns "
        "dataframe_type transformation_context n_processes"
    ),
    "FeatureView.get_train_test_split": (
        "training_dataset_version read_options primary_key event_time training_helper_columns "
        "dataframe_type transformation_context n_processes"
    ),
    "FeatureView.get_train_validation_test_split": (
        "training_dataset_version read_options primary_key event_time training_helper_columns "
        "dataframe_type transformation_context n_processes"
    ),
    "FeatureView.get_training_datasets": "",
    "FeatureView.get_training_dataset_statistics": "training_dataset_version before_transformation feature_names",
    "FeatureView.add_training_dataset_tag": "training_dataset_version name value",
    "FeatureView.get_training_dataset_tag": "training_dataset_version name",
    "FeatureView.get_training_dataset_tags": "training_dataset_version",
    "FeatureView.get_training_dataset_tag_metadata": "training_dataset_version name",
    "FeatureView.get_training_dataset_tags_metadata": "training_dataset_version",
    "FeatureView.get_training_dataset_keywords": "training_dataset_version",
    "FeatureView.get_training_dataset_keywords_metadata": "training_dataset_version",
    "FeatureView.set_training_dataset_keywords": "training_dataset_version keywords",
    "FeatureView.add_training_dataset_keywords": "training_dataset_version keywords",
    "FeatureView.delete_training_dataset_keyword": "training_dataset_version keyword",
    "FeatureView.delete_training_dataset_tag": "training_dataset_version name",
    "FeatureView.purge_training_data": "training_dataset_version",
    "FeatureView.purge_all_training_data": "",
    "FeatureView.delete_training_dataset": "training_dataset_version",
    "FeatureView.delete_all_training_datasets": "",
    "FeatureView.visualize_transformations": "kind mode orient",
    "FeatureView.get_feature_monitoring_configs": "name feature_name config_id",
    "FeatureView.get_feature_monitoring_history": "config_name config_id start_time end_time with_statistics",
    "FeatureView.create_scheduled_statistics": (
        "name feature_names description start_date_time end_date_time cron_expression"
    ),
    "FeatureView.create_feature_monitoring": "name description start_date_time end_date_time cron_expression",
    "FeatureView.create_model_monitoring": (
        "name model_name model_version description start_date_time end_date_time cron_expression"
    ),
    "FeatureView.get_alerts": "",
    "FeatureView.get_alert": "alert_id",
    "FeatureView.create_alert": "receiver status severity",
    "FeatureView.compute_on_demand_features": (
        "feature_vector request_parameters transformation_context return_type n_processes"
    ),
    "FeatureView.transform": (
        "feature_vector external transformation_context return_type n_processes"
    ),
    "FeatureView.enable_logging": "extra_log_columns",
    "FeatureView.init_feature_logger": "feature_logger",
    "FeatureView.log": (
        "logging_data untransformed_features predictions transformed_features "
        "inference_helper_columns request_parameters event_time serving_keys "
        "extra_logging_features request_id write_options training_dataset_version model "
        "model_name model_version"
    ),
    "FeatureView.get_log_timeline": "wallclock_time limit transformed",
    "FeatureView.read_log": (
        "start_time end_time filter transformed training_dataset_version model model_name "
        "model_version"
    ),
    "FeatureView.pause_logging": "",
    "FeatureView.resume_logging": "",
    "FeatureView.materialize_log": "wait transformed",
    "FeatureView.delete_log": "transformed",
    "FeatureView.create_feature_logger": "",
    "FeatureView.execute_odts": "data online transformation_context request_parameters n_processes",
    "FeatureView.execute_mdts": "data online transformation_context request_parameters n_processes",
    "FeatureView.get_training_dataset_schema": "training_dataset_version",
    "FeatureView.get_feature": "name",
    "Query.check_and_warn_ambiguous_features": "",
    "Query.get_ambiguous_features": "",
    "Query.read": "online dataframe_type read_options start_time end_time",
    "Query.show": "n online",
    "Query.join": "sub_query on left_on right_on join_type prefix",
    "Query.as_of": "wallclock_time exclude_until",
    "Query.pull_changes": "wallclock_start_time wallclock_end_time",
    "Query.filter": "f",
    "Query.limit": "n",
    "Query.to_string": "online arrow_flight",
    "Query.append_feature": "feature",
    "Query.is_time_travel": "",
    "Query.is_cache_feature_group_only": "",
    "Query.get_feature": "feature_name",
    "Feature.is_complex": "",
    "Feature.contains": "other",
    "Feature.isin": "other",
    "Feature.like": "other",
    "TransformationFunction.save": "",
    "TransformationFunction.delete": "",
    "TransformationFunction.alias": "",
    "TransformationFunction.executor": "statistics context online",
    "TransformationFunction.execute": "",
    "ModelRegistry.get_model": "name version",
    "ModelRegistry.get_models": "name",
    "ModelRegistry.get_best_model": "name metric direction",
    "ModelRegistry.hf_download": (
        "hugging_face_model_id hf_token selected_formats selected_variants selected_filenames "
        "timeout poll_interval"
    ),
    "Model.save": ("model_path await_registration keep_original_files upload_configuration"),
    "Model.download": "local_path",
    "Model.delete": "",
    "Model.clear_cache": "project_name model_name version",
    "Model.deploy": (
        "name description artifact_version serving_tool script_file config_file resources "
        "inference_logger inference_batcher scaling_configuration transformer api_protocol "
        "environment env_vars vllm_variant vllm_image_tag tags"
    ),
    "Model.add_tag": "name value",
    "Model.set_tag": "name value",
    "Model.delete_tag": "name",
    "Model.get_tag": "name",
    "Model.get_tags": "",
    "Model.get_url": "",
    "Model.get_feature_view": "init online",
    "Model.get_feature_view_provenance": "",
    "Model.get_training_dataset_provenance": "",
    "Model.get_monitoring_configs": "",
    "Model.create_model_monitoring": "name description start_date_time end_date_time cron_expression",
    "StatisticsConfig": (
        "enabled correlations histograms exact_uniqueness columns kll histogram_bins"
    ),
    "ExpectationSuite": (
        "expectation_suite_name expectations meta id run_validation "
        "validation_ingestion_policy feature_store_id feature_group_id href"
    ),
    "ExpectationSuite.get_expectation": "expectation_id ge_type",
    "ExpectationSuite.add_expectation": "expectation ge_type",
    "ExpectationSuite.replace_expectation": "expectation ge_type",
    "ExpectationSuite.remove_expectation": "expectation_id",
    "GeExpectation": "expectation_type kwargs meta id href",
    "DatasetApi.download": "path local_path overwrite chunk_size",
    "DatasetApi.upload": (
        "local_path upload_path overwrite chunk_size simultaneous_uploads simultaneous_chunks "
        "max_chunk_retries chunk_retry_interval"
    ),
    "DatasetApi.get": "path",
    "DatasetApi.exists": "path",
    "DatasetApi.path_exists": "remote_path",
    "DatasetApi.remove": "path",
    "DatasetApi.rm": "remote_path",
    "DatasetApi.share": "path target_project permission",
    "DatasetApi.unshare": "path target_project",
    "DatasetApi.mkdir": "path",
    "DatasetApi.copy": "source_path destination_path overwrite",
    "DatasetApi.move": "source_path destination_path overwrite",
    "DatasetApi.upload_feature_group": "feature_group path dataframe",
    "DatasetApi.list": "path offset limit",
    "DatasetApi.read_content": "path dataset_type",
    "DatasetApi.chmod": "remote_path permissions",
    "DatasetApi.unzip": "remote_path block timeout",
    "DatasetApi.zip": "remote_path destination_path block timeout",
    "DatasetApi.add": "path name value",
    "DatasetApi.delete": "path name",
    "DatasetApi.get_tags": "path name",
}

PROPERTIES = {
    "Project": ("id name owner description created project_namespace home_path"),
    "FeatureStore": (
        "id name project_name project_id online_featurestore_name online_enabled "
        "offline_featurestore_name"
    ),
    "FeatureGroup": (
        "statistics_config online_config feature_store_id feature_store id name version "
        "missing_mandatory_tags statistics primary_key embedding_index event_time location "
        "expectation_suite online_enabled storage_connector data_source topic_name "
        "notification_topic_name deprecated subject avro_schema features columns schema "
        "column_names ttl ttl_enabled description time_travel_format partition_key "
        "partitioned_by zorder_by clustered_by bucket_index sort_order "
        "online_partition_columns hudi_precombine_key feature_store_name creator created "
        "stream parents materialization_job transformation_functions "
        "offline_backfill_every_hr sink_enabled sink_job sink_job_conf"
    ),
    "ExternalFeatureGroup": (
        "id description data_format options creator created feature_store_name"
    ),
    "FeatureView": (
        "id featurestore_id feature_store_name name version missing_mandatory_tags labels "
        "inference_helper_columns training_helper_columns description query "
        "transformation_functions model_dependent_transformations on_demand_transformations "
        "request_parameters schema features primary_keys serving_keys logging_enabled "
        "feature_logging"
    ),
    "Query": (
        "left_feature_group_start_time left_feature_group_end_time lookback joins "
        "featuregroups filters features"
    ),
    "Feature": (
        "use_fully_qualified_name original_name column_name name description type online_type "
        "primary foreign partition hudi_precombine_key offline_only default_value "
        "feature_group_id on_demand"
    ),
    "TransformationFunction": (
        "id version hopsworks_udf transformation_type transformation_statistics output_column_names"
    ),
    "ModelRegistry": (
        "project_name project_path project_id shared_registry_project_name model_registry_id "
        "tensorflow sklearn torch python llm"
    ),
    "Model": (
        "missing_mandatory_tags id name version description created creator environment "
        "training_metrics program user input_example framework model_schema project_name "
        "model_registry_id model_path version_path model_files_path "
        "shared_registry_project_name training_dataset_version"
    ),
    "StatisticsConfig": (
        "enabled correlations histograms exact_uniqueness columns kll histogram_bins"
    ),
    "ExpectationSuite": (
        "id expectation_suite_name data_asset_type ge_cloud_id run_validation "
        "validation_ingestion_policy expectations meta"
    ),
    "GeExpectation": ("id expectation_type kwargs meta"),
}
