BEGIN TRANSACTION;
CREATE TABLE feature_groups (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_groups" VALUES('payments',1,'{"name": "payments", "version": 1, "description": "What was paid", "primary_key": ["id"], "partition_key": [], "event_time": "paid_at", "online_enabled": false, "features": [{"name": "id", "type": "bigint"}, {"name": "card", "type": "string"}, {"name": "paid_at", "type": "timestamp"}, {"name": "amount", "type": "double"}, {"name": "fraud", "type": "bigint"}]}','2026-11-27 16:50:44.852018');
INSERT INTO "feature_groups" VALUES('cards',1,'{"name": "cards", "version": 1, "description": "", "primary_key": ["card"], "partition_key": [], "event_time": "known_at", "online_enabled": true, "features": [{"name": "card", "type": "string"}, {"name": "known_at", "type": "timestamp"}, {"name": "limit_", "type": "bigint"}, {"name": "kind", "type": "string"}]}','2026-11-27 16:51:14.491099');
INSERT INTO "feature_groups" VALUES('hours',1,'{"name": "hours", "version": 1, "description": "", "primary_key": ["k"], "partition_key": [], "event_time": "t", "online_enabled": false, "features": []}','2026-11-27 16:51:26.360898');
CREATE TABLE feature_views (
	name VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name, version)
);
INSERT INTO "feature_views" VALUES('fraud',1,'{"name": "fraud", "version": 1, "query": {"group": ["payments", 1], "columns": ["amount", "fraud"], "explicit": true, "joins": [{"query": {"group": ["cards", 1], "columns": ["limit_", "kind"], "explicit": false, "joins": [], "where": null, "having": null}, "left_on": ["card"], "right_on": ["card"], "join_type": "left", "prefix": ""}], "where": null, "having": null}, "labels": ["fraud"], "description": ""}','2026-11-27 16:51:17.654958');
CREATE TABLE training_datasets (
	view_name VARCHAR(63) NOT NULL, 
	view_version INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	definition JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (view_name, view_version, version)
);
INSERT INTO "training_datasets" VALUES('fraud',1,1,'{"splits": {"train": [null, "2024-01-07T00:00:00+00:00"], "test": ["2024-01-07T00:00:00+00:00", null]}, "group_versions": [["payments", 1, 0], ["cards", 1, 0]], "description": ""}','2026-11-27 16:51:26.355429');
COMMIT;
