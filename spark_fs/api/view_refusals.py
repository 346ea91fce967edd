"""The calls of a feature view that Hopsworks has and spark_fs has not."""

from spark_fs.api.tag_refusals import TagRefusals
from spark_fs.api.taken import Refused

_DATASET_TAGS = "use add_training_dataset_tag, get_training_dataset_tag and the like"


class FeatureViewRefusals(TagRefusals):
    """Each says what it is for there, and what to use here."""

    find_neighbors = Refused(
        "searches an index of embeddings",
        "read the embeddings with get_batch_data and search them with a library such as FAISS",
    )
    clean = Refused(
        "deletes a view whose metadata is damaged", "fs.get_feature_view(...).delete(force=True)"
    )
    from_response_json = Refused(
        "reads an answer of its server", "fs.get_feature_view reads a view"
    )
    update_from_response_json = Refused(
        "reads an answer of its server", "fs.get_feature_view reads a view"
    )
    visualize_transformations = Refused(
        "draws the order of transformations", "transformation_functions lists them"
    )

    get_training_dataset_tag_metadata = Refused("says what the schema of a tag is", _DATASET_TAGS)
    get_training_dataset_tags_metadata = Refused("says what each schema is", _DATASET_TAGS)
    get_training_dataset_keywords = Refused("lists keywords", _DATASET_TAGS)
    get_training_dataset_keywords_metadata = Refused("lists keywords", _DATASET_TAGS)
    set_training_dataset_keywords = Refused("replaces the keywords", _DATASET_TAGS)
    add_training_dataset_keywords = Refused("adds keywords", _DATASET_TAGS)
    delete_training_dataset_keyword = Refused("removes a keyword", _DATASET_TAGS)
