"""The modules of ``spark_fs`` once more, for code that says ``hopsworks.hsfs``."""

from spark_fs import compat
from spark_fs.compat import get_attribute as __getattr__

__all__ = ["__getattr__"]

compat.add_modules(__name__)
