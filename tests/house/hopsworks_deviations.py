"""Where our arguments and properties are not those of Hopsworks, and why."""

# A method, how ours differs, and the reason.
DEVIATIONS = {
    "hopsworks.login": (
        "by place: config port project api_key_value api_key_file hostname_verification"
        " trust_store_path cert_folder engine",
        "a store is a folder or two databases, which config names; host= is taken by name",
    ),
    "FeatureGroup.update_statistics_config": (
        "by place: statistics_config",
        "it may be given at once, and not by the attribute before",
    ),
    "FeatureGroup.commit_delete_record": (
        "by place: delete_df write_options storage",
        "it is another name of remove_rows",
    ),
    "ExternalFeatureGroup.read": (
        "by place: wallclock_time online dataframe_type read_options start_time end_time;"
        " without force_vended",
        "it is read as any group is, and a type of frame may come first; no catalog hands out keys",
    ),
}

# Properties that are not here: what the platform alone knows, or another name has.
NOT_PROPERTIES = {
    "Query": {
        "left_feature_group_start_time": "read(start_time=) bounds a query",
        "left_feature_group_end_time": "read(end_time=) bounds a query",
        "lookback": "max_feature_age of training data and batches, or a group's ttl",
    },
    "Feature": {"original_name": "a feature has one name"},
    "ExpectationSuite": {
        "data_asset_type": "of Great Expectations' cloud",
        "ge_cloud_id": "of Great Expectations' cloud",
    },
}
