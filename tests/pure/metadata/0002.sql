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
INSERT INTO "feature_groups" VALUES('payments',1,'{"name": "payments", "version": 1, "description": "What was paid", "primary_key": ["id"], "partition_key": ["month"], "event_time": "paid_at", "online_enabled": false, "features": [{"name": "id", "type": "bigint", "description": ""}, {"name": "card", "type": "string", "description": ""}, {"name": "paid_at", "type": "timestamp", "description": ""}, {"name": "amount", "type": "double", "description": ""}, {"name": "fraud", "type": "bigint", "description": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": {"name": "sane", "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}]}, "built_from": null, "keep_corrections": false}','2026-11-27 16:48:05.731088');
INSERT INTO "feature_groups" VALUES('cards',1,'{"name": "cards", "version": 1, "description": "", "primary_key": ["card"], "partition_key": [], "event_time": "known_at", "online_enabled": true, "features": [{"name": "card", "type": "string", "description": ""}, {"name": "known_at", "type": "timestamp", "description": ""}, {"name": "limit_", "type": "bigint", "description": ""}, {"name": "kind", "type": "string", "description": ""}], "ttl_seconds": 2592000, "vouched": false, "parents": [], "tags": {"owner": "risk"}, "source": null, "expectation_suite": null, "built_from": null, "keep_corrections": false}','2026-11-27 16:48:49.555372');
INSERT INTO "feature_groups" VALUES('hours',1,'{"name": "hours", "version": 1, "description": "", "primary_key": ["k"], "partition_key": [], "event_time": "t", "online_enabled": false, "features": [{"name": "k", "type": "bigint", "description": ""}, {"name": "t", "type": "timestamp", "description": ""}], "ttl_seconds": null, "vouched": false, "parents": [], "tags": {}, "source": null, "expectation_suite": null, "built_from": "2024-01-01T00:00:00+00:00", "keep_corrections": false}','2026-11-27 16:49:00.127723');
CREATE TABLE feature_views (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_views" VALUES('fraud',1,'{"name": "fraud", "version": 1, "query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null, "as_of": null, "as_known": false}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null, "as_of": null, "as_known": false}, "labels": ["fraud"], "description": ""}','2026-11-27 16:48:51.670828');
CREATE TABLE training_datasets (
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (view_name, view_version, version)
);
INSERT INTO "training_datasets" VALUES('fraud',1,1,'{"splits": {"train": [null, "2024-01-07T00:00:00+00:00"], "test": ["2024-01-07T00:00:00+00:00", null]}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "", "files": null}','2026-11-27 16:48:59.621588');
INSERT INTO "training_datasets" VALUES('fraud',1,2,'{"splits": {}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": "whole", "files": "/srv/store/warehouse/training_datasets/fraud_1/2-2e365c80020e473ba890537f54f4f792"}','2026-11-27 16:49:00.119473');
CREATE TABLE validations (
	id INTEGER NOT NULL, 
	group_name VARCHAR(63) NOT NULL, 
	group_version INTEGER NOT NULL, 
	validated_at DATETIME NOT NULL, 
	report JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "validations" VALUES(1,'payments',1,'2026-11-27 16:48:49.482616','{"suite": "sane", "success": true, "results": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}, "success": true, "checked": 10, "failed": 0, "examples": []}], "rows": 10, "ingestion": "inserted", "set_aside": 0}');
CREATE INDEX ix_validations_group_name ON validations (group_name);
COMMIT;
