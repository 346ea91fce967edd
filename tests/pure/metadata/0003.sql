BEGIN TRANSACTION;
CREATE TABLE backfills (
	group_name VARCHAR(63) NOT NULL, 
	group_version INTEGER NOT NULL, 
	start_at VARCHAR(32) NOT NULL, 
	end_at VARCHAR(32) NOT NULL, 
	done_until VARCHAR(32) NOT NULL, 
	PRIMARY KEY (group_name, group_version, start_at, end_at)
);
INSERT INTO "backfills" VALUES('hours',1,'2024-01-01T00:00:00+00:00','2024-01-05T00:00:00+00:00','2024-01-03T00:00:00+00:00');
CREATE TABLE feature_groups (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_groups" VALUES('payments',1,'{"name": "payments", "version": 1, "description": "What was paid", "primary_key": ["id"], "partition_key": ["month"], "event_time": "paid_at", "online_enabled": false, "features": [{"name": "id", "type": "bigint", "description": "", "online_type": ""}, {"name": "card", "type": "string", "description": "", "online_type": ""}, {"name": "paid_at", "type": "timestamp", "description": "", "online_type": ""}, {"name": "amount", "type": "double", "description": "", "online_type": ""}, {"name": "fraud", "type": "bigint", "description": "", "online_type": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": {"name": "sane", "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}]}, "built_from": null, "keep_corrections": false}','2026-11-27 16:49:14.969204');
INSERT INTO "feature_groups" VALUES('cards',1,'{"name": "cards", "version": 1, "description": "", "primary_key": ["card"], "partition_key": [], "event_time": "known_at", "online_enabled": true, "features": [{"name": "card", "type": "string", "description": "", "online_type": ""}, {"name": "known_at", "type": "timestamp", "description": "", "online_type": ""}, {"name": "limit_", "type": "bigint", "description": "", "online_type": ""}, {"name": "kind", "type": "string", "description": "", "online_type": ""}], "ttl_seconds": 2592000, "vouched": false, "parents": [], "tags": {"owner": "risk"}, "source": null, "expectation_suite": null, "built_from": null, "keep_corrections": false}','2026-11-27 16:49:58.023855');
INSERT INTO "feature_groups" VALUES('hours',1,'{"name": "hours", "version": 1, "description": "", "primary_key": ["k"], "partition_key": [], "event_time": "t", "online_enabled": false, "features": [{"name": "k", "type": "bigint", "description": "", "online_type": ""}, {"name": "t", "type": "timestamp", "description": "", "online_type": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": null, "built_from": "2024-01-01T00:00:00+00:00", "keep_corrections": false}','2026-11-27 16:50:23.133878');
CREATE TABLE feature_views (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_views" VALUES('fraud',1,'{"name": "fraud", "version": 1, "query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "labels": ["fraud"], "description": "", "transformations": [{"function": {"name": "standard_scaler", "version": 1, "mode": "builtin", "arguments": ["feature"], "returns": [], "drop": [], "source": "", "names": {}}, "features": ["amount"], "outputs": []}, {"function": {"name": "one_hot_encoder", "version": 1, "mode": "builtin", "arguments": ["feature"], "returns": [], "drop": [], "source": "", "names": {}}, "features": ["kind"], "outputs": []}], "training_helpers": [], "inference_helpers": [], "tags": {}}','2026-11-27 16:50:00.294012');
CREATE TABLE models (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	training_dataset_version INTEGER, 
	PRIMARY KEY (name, version)
);
INSERT INTO "models" VALUES('fraud',1,'fraud',1,1);
CREATE TABLE training_datasets (
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (view_name, view_version, version)
);
INSERT INTO "training_datasets" VALUES('fraud',1,1,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {"train": [null, "2024-01-07T00:00:00+00:00"], "test": ["2024-01-07T00:00:00+00:00", null]}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "", "random": null, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": null, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 2.5, "stddev": 1.707825127659933}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 6, "test": 4}, "state": "finished"}','2026-11-27 16:50:00.344754');
INSERT INTO "training_datasets" VALUES('fraud',1,2,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "whole", "random": null, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": {"location": "/srv/store/warehouse/training_datasets/fraud_1/2-4ca5497ac84a469eb0f68095aaf2ea23", "format": "parquet", "coalesce": false, "options": {}, "parts": false}, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 4.5, "stddev": 2.8722813232690143}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 10}, "state": "finished"}','2026-11-27 16:50:09.499979');
INSERT INTO "training_datasets" VALUES('fraud',1,3,'{"query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "splits": {}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "", "random": {"seed": 7, "shares": [["test", 0.3]]}, "extra_filter": null, "max_feature_age": null, "null_labels": "keep", "spine": null, "files": {"location": "/srv/store/warehouse/training_datasets/fraud_1/3-479d9c67828945a6839ba3c70be01dd8", "format": "csv", "coalesce": false, "options": {}, "parts": true}, "transformations": [{"function": "standard_scaler", "features": ["amount"], "state": {"mean": 4.0, "stddev": 3.116774889895918}}, {"function": "one_hot_encoder", "features": ["kind"], "state": {"categories": ["x", "y"]}}], "statistics_config": null, "rows": {"train": 7, "test": 3}, "state": "finished"}','2026-11-27 16:50:11.403551');
CREATE TABLE transformation_functions (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "transformation_functions" VALUES('doubled',1,'{"name": "doubled", "version": 1, "mode": "python", "arguments": ["x"], "returns": ["double"], "drop": [], "source": "def doubled(x):\n    return x * 2.0", "names": {}}','2026-11-27 16:50:19.480973');
INSERT INTO "transformation_functions" VALUES('doubled',2,'{"name": "doubled", "version": 2, "mode": "python", "arguments": ["x"], "returns": ["double"], "drop": [], "source": "def doubled(x):\n    return x * 2.0", "names": {}}','2026-11-27 16:50:19.506560');
CREATE TABLE validations (
	id INTEGER NOT NULL, 
	group_name VARCHAR(63) NOT NULL, 
	group_version INTEGER NOT NULL, 
	validated_at DATETIME NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "validations" VALUES(1,'payments',1,'2026-11-27 16:49:58.001253','{"suite": "sane", "success": true, "results": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}, "success": true, "checked": 10, "failed": 0, "examples": []}], "rows": 10, "ingestion": "inserted", "set_aside": 0}');
CREATE INDEX ix_models_view_name ON models (view_name);
CREATE INDEX ix_validations_group_name ON validations (group_name);
COMMIT;
