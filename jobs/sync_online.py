"""Push the latest rows of every online group to the online store.

spark-submit jobs/sync_online.py
"""

import spark_fs


def main() -> None:
    """Sync each group that is online_enabled, from its last synced version on."""
    for group in spark_fs.login().get_feature_store().get_feature_groups():
        if group.online_enabled:
            print(group.sync_online(), flush=True)


if __name__ == "__main__":
    main()
