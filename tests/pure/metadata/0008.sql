BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
CREATE TABLE backfills (
	group_name VARCHAR(63) NOT NULL, 
	group_version INTEGER NOT NULL, 
	start_at VARCHAR(32) NOT NULL, 
	end_at VARCHAR(32) NOT NULL, 
	done_until VARCHAR(32) NOT NULL, 
	PRIMARY KEY (group_name, group_version, start_at, end_at)
);
INSERT INTO "backfills" VALUES('hours',1,'2024-01-01T00:00:00+00:00','2024-01-05T00:00:00+00:00','2024-01-03T00:00:00+00:00');
CREATE TABLE comparisons (
	id INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	compared_at DATETIME NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "comparisons" VALUES(1,'group','payments',1,'2026-11-27 16:47:20.360349','{"reference": "rows of [2024-01-06T00:00:00+00:00, 2024-01-10T00:00:00+00:00)", "current": "rows of [2024-01-01T00:00:00+00:00, 2024-01-06T00:00:00+00:00)", "rows": [4, 5], "thresholds": {"psi": 0.2, "null_share": 0.05}, "features": [["card", {"null_share": 0.0, "psi": 0.04054651081081642, "jensen_shannon": 0.08543510262458807, "chi_squared": 0.09000000000000008, "chi_squared_p_value": 0.7641771556220945}, []], ["amount", {"null_share": 0.0, "psi": 6.90540806517888, "jensen_shannon": 0.740806952380577, "kolmogorov_smirnov": 1.0, "wasserstein": 4.5, "mean_shift": -4.024922359499621}, ["psi"]], ["fraud", {"null_share": 0.0, "psi": 0.04054651081081642, "jensen_shannon": 0.08543510262458807, "kolmogorov_smirnov": 0.09999999999999998, "wasserstein": 0.09999999999999998, "mean_shift": -0.19999999999999996}, []]]}');
CREATE TABLE feature_groups (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, revision INTEGER DEFAULT '0' NOT NULL, has_table INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_groups" VALUES('payments',1,'{"name": "payments", "version": 1, "description": "What was paid", "primary_key": ["id"], "partition_key": ["month"], "event_time": "paid_at", "online_enabled": false, "features": [{"name": "id", "type": "bigint", "description": "", "online_type": ""}, {"name": "card", "type": "string", "description": "", "online_type": ""}, {"name": "paid_at", "type": "timestamp", "description": "", "online_type": ""}, {"name": "amount", "type": "double", "description": "", "online_type": ""}, {"name": "fraud", "type": "bigint", "description": "", "online_type": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": {"name": "sane", "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}]}, "built_from": null, "keep_corrections": false, "statistics_config": null}','2026-11-27 16:46:07.299283',0,0);
INSERT INTO "feature_groups" VALUES('cards',1,'{"name": "cards", "version": 1, "description": "", "primary_key": ["card"], "partition_key": [], "event_time": "known_at", "online_enabled": true, "features": [{"name": "card", "type": "string", "description": "", "online_type": ""}, {"name": "known_at", "type": "timestamp", "description": "", "online_type": ""}, {"name": "limit_", "type": "bigint", "description": "", "online_type": ""}, {"name": "kind", "type": "string", "description": "", "online_type": ""}], "ttl_seconds": 2592000, "vouched": false, "parents": [], "tags": {"owner": "risk"}, "source": null, "expectation_suite": null, "built_from": null, "keep_corrections": false, "statistics_config": null}','2026-11-27 16:46:57.386926',0,0);
INSERT INTO "feature_groups" VALUES('hours',1,'{"name": "hours", "version": 1, "description": "", "primary_key": ["k"], "partition_key": [], "event_time": "t", "online_enabled": false, "features": [{"name": "k", "type": "bigint", "description": "", "online_type": ""}, {"name": "t", "type": "timestamp", "description": "", "online_type": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": null, "built_from": "2024-01-01T00:00:00+00:00", "keep_corrections": false, "statistics_config": null}','2026-11-27 16:47:20.379398',0,0);
CREATE TABLE feature_views (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, revision INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_views" VALUES('fraud',1,'{"name": "fraud", "version": 1, "query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "labels": ["fraud"], "description": "", "transformations": [{"function": {"name": "standard_scaler", "version": 1, "mode": "builtin", "arguments": ["feature"], "returns": [], "drop": [], "source": "", "names": {}}, "features": ["amount"], "outputs": []}, {"function": {"name": "one_hot_encoder", "version": 1, "mode": "builtin", "arguments": ["feature"], "returns": [], "drop": [], "source": "", "names": {}}, "features": ["kind"], "outputs": []}], "training_helpers": [], "inference_helpers": [], "tags": {}}','2026-11-27 16:47:00.223358',0);
CREATE TABLE models (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	training_dataset_version INTEGER, 
	PRIMARY KEY (name, version)
);
INSERT INTO "models" VALUES('fraud',1,'fraud',1,1);
CREATE TABLE monitor_results (
	id INTEGER NOT NULL, 
	monitor_id INTEGER NOT NULL, 
	monitored_at DATETIME NOT NULL, 
	result JSON NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE monitors (
	id INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	monitor VARCHAR(63) NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "monitors" VALUES(1,'group','payments',1,'amounts','{"name": "amounts", "description": "The mean of a week", "feature_monitoring_type": "STATISTICS_COMPARISON", "detection_window_config": {"window_config_type": "ROLLING_TIME", "time_offset": "1w", "window_length": null, "training_dataset_version": null, "row_percentage": 1.0, "id": 2}, "reference_window_config": null, "feature_statistics_configs": [{"feature_name": "amount", "statistics_comparison_configs": [{"metric": "MEAN", "threshold": 0.1, "relative": true, "strict": false, "specific_value": 25.0, "id": 4, "distribution_metric": null, "binning_strategy": null, "bin_count": 10, "smoothing_epsilon": 1e-06, "custom_bin_edges": null}], "id": 3}], "job_schedule": {"cron_expression": "0 0 12 ? * MON *", "start_date_time": "2026-12-01T05:54:47.403521+00:00", "end_date_time": null, "enabled": true, "id": 1}}','2026-12-01 05:54:55.330249');
CREATE TABLE pipeline_locks (
	pipeline VARCHAR(63) NOT NULL, 
	run_id VARCHAR(32) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	beats INTEGER NOT NULL, 
	PRIMARY KEY (pipeline)
);
INSERT INTO "pipeline_locks" VALUES('hourly','00ff00ff00ff00ff00ff00ff00ff00ff','a-host',4711,0);
CREATE TABLE runs (
	id VARCHAR(32) NOT NULL, 
	pipeline VARCHAR(63) NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	until VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	steps JSON NOT NULL, 
	error TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES('0123456789abcdef0123456789abcdef','hourly','2024-01-05 03:00:00.000000','2024-01-05 03:02:00.000000','2024-01-05T03:00:00+00:00','finished','[{"name": "backfill", "state": "finished", "started_at": "2024-01-05T03:00:00+00:00", "seconds": 1.5, "counts": {"inserted": 4}, "lines": ["hours_1: 4 inserted"], "error": null, "retryable": false}]',NULL);
INSERT INTO "runs" VALUES('fedcba9876543210fedcba9876543210','hourly','2024-01-05 04:00:00.000000','2024-01-05 04:01:00.000000','2024-01-05T04:00:00+00:00','failed','[{"name": "sync", "state": "failed", "started_at": "2024-01-05T03:00:00+00:00", "seconds": 0.5, "counts": {}, "lines": [], "error": "OnlineStoreError: away", "retryable": true}]','OnlineStoreError: away');
INSERT INTO "runs" VALUES('00ff00ff00ff00ff00ff00ff00ff00ff','hourly','2024-01-05 05:00:00.000000',NULL,'2024-01-05T05:00:00+00:00','running','[]',NULL);
CREATE TABLE storage_connectors (
	name VARCHAR(63) NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE training_datasets (
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, revision INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (view_name, view_version, version)
);
INSERT INTO "training_datasets" VALUES('fraud',1,1,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {"train": [null, "2024-01-07T00:00:00+00:00"], "test": ["2024-01-07T00:00:00+00:00", null]}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "", "random": null, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": null, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 2.5, "stddev": 1.707825127659933}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 6, "test": 4}, "state": "finished"}','2026-11-27 16:47:00.244587',0);
INSERT INTO "training_datasets" VALUES('fraud',1,2,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "whole", "random": null, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": {"location": "/srv/store/warehouse/training_datasets/fraud_1/2-7a24b5e14b234195b25f19e1de219df6", "format": "parquet", "coalesce": false, "options": {}, "parts": false}, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 4.5, "stddev": 2.8722813232690143}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 10}, "state": "finished"}','2026-11-27 16:47:08.510258',0);
INSERT INTO "training_datasets" VALUES('fraud',1,3,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "", "random": {"seed": 7, "shares": [["test", 0.3]]}, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": {"location": "/srv/store/warehouse/training_datasets/fraud_1/3-1f2919feca8d4daca99a180b877e7c33", "format": "csv", "coalesce": false, "options": {}, "parts": true}, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 4.0, "stddev": 3.116774889895918}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 7, "test": 3}, "state": "finished"}','2026-11-27 16:47:09.558131',0);
CREATE TABLE transformation_functions (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, revision INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "transformation_functions" VALUES('doubled',1,'{"name": "doubled", "version": 1, "mode": "python", "arguments": ["x"], "returns": ["double"], "drop": [], "source": "def doubled(x):\n    return x * 2.0", "names": {}}','2026-11-27 16:47:13.901189',0);
INSERT INTO "transformation_functions" VALUES('doubled',2,'{"name": "doubled", "version": 2, "mode": "python", "arguments": ["x"], "returns": ["double"], "drop": [], "source": "def doubled(x):\n    return x * 2.0", "names": {}}','2026-11-27 16:47:13.911105',0);
CREATE TABLE validations (
	id INTEGER NOT NULL, 
	group_name VARCHAR(63) NOT NULL, 
	group_version INTEGER NOT NULL, 
	validated_at DATETIME NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "validations" VALUES(1,'payments',1,'2026-11-27 16:46:57.161451','{"suite": "sane", "success": true, "results": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}, "success": true, "checked": 10, "failed": 0, "examples": []}], "rows": 10, "ingestion": "inserted", "set_aside": 0}');
CREATE INDEX ix_models_view_name ON models (view_name);
CREATE INDEX ix_comparisons_name ON comparisons (name);
CREATE INDEX ix_runs_pipeline ON runs (pipeline);
CREATE INDEX ix_validations_newest ON validations (group_name, group_version, id);
CREATE UNIQUE INDEX ix_monitors_owner ON monitors (kind, name, version, monitor);
CREATE INDEX ix_monitor_results_newest ON monitor_results (monitor_id, id);
COMMIT;
