"""The calls for tags and keywords that groups and views of Hopsworks have and spark_fs has not."""

from spark_fs.api.taken import Refused

TAGS_REMEDY = "tags are without a schema and serve for keywords too: add_tag, get_tags, delete_tag"


class TagRefusals:
    """Each says what it is for there, and what to use here."""

    get_tag_metadata = Refused("says what the schema of a tag is", TAGS_REMEDY)
    get_tags_metadata = Refused("says what the schema of each tag is", TAGS_REMEDY)
    get_keywords = Refused("lists keywords", TAGS_REMEDY)
    get_keywords_metadata = Refused("lists keywords with their times", TAGS_REMEDY)
    set_keywords = Refused("replaces the keywords", TAGS_REMEDY)
    add_keywords = Refused("adds keywords", TAGS_REMEDY)
    delete_keyword = Refused("removes a keyword", TAGS_REMEDY)
