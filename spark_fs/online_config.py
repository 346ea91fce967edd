"""How Hopsworks lays out its online tables: it is taken, and means nothing here."""

from typing import Any

__all__ = ["OnlineConfig"]


class OnlineConfig:
    """Options of Hopsworks' online tables, for the argument ``online_config``.

    Args:
        **options: The options; ``create_feature_group`` names the argument in a warning.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def to_dict(self) -> dict[str, Any]:
        """The options by name."""
        return dict(self.options)
