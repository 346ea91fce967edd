"""The transformation functions of a feature store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spark_fs.api.transformations import TransformationFunction
from spark_fs.api.versions import create_version
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import AlreadyExistsError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.spec.transformation import FunctionSpec


@validate_arguments
class TransformationStore:
    """Built-in transformation functions, and saved ones by name and version."""

    _stores: Stores

    def create_transformation_function(
        self, transformation_function: TransformationFunction, version: int | None = None
    ) -> TransformationFunction:
        """Save a function of ``@spark_fs.udf``, eagerly, under its name.

        Args:
            transformation_function: The function.
            version: The version, from 1 up; None: the next free one.

        Returns:
            The function as it is saved.

        Raises:
            SettingsError: It is not decorated with ``@spark_fs.udf``.
            InvalidNameError: Its name is not in lower snake case.
            AlreadyExistsError: The version is taken, or the name is that of a built-in function.
        """
        from spark_fs.spec.names import check_name, check_version

        if not isinstance(transformation_function, TransformationFunction):
            raise SettingsError(
                f"{transformation_function!r} is not a transformation function: decorate it with"
                " @spark_fs.udf."
            )
        name = check_name("Transformation", transformation_function.name)
        if _find_builtin(name):
            raise AlreadyExistsError(
                f"Transformation {name!r} is a built-in one: give yours another name."
            )
        catalog = self._stores.catalog
        function = transformation_function.spec

        def save_version(number: int) -> TransformationFunction:
            checked = check_version("Transformation", name, number)
            saved = replace(function, version=checked)
            catalog.add_function(saved)
            return TransformationFunction._open(saved, catalog)

        return create_version(version, lambda: catalog.next_function_version(name), save_version)

    def get_transformation_function(
        self, name: str, version: int | None = None
    ) -> TransformationFunction:
        """Return a built-in function, or a saved one.

        The built-in ones can be imported from ``spark_fs.builtin_transformations`` too.

        Args:
            name: The name.
            version: The version of a saved one; None: version 1, with a warning where others exist.

        Returns:
            The function.

        Raises:
            NotFoundError: It does not exist; the error has the nearest names.
        """
        builtin = _find_builtin(name)
        if builtin:
            return TransformationFunction(builtin)
        saved_names = self._stores.catalog.list_function_names()
        if name not in saved_names:
            from spark_fs.transform.builtin import BUILTINS

            raise NotFoundError.for_name(
                "Transformation",
                name,
                [*BUILTINS, *saved_names],
                "Ask for one that exists, or create it first.",
            )
        catalog = self._stores.catalog
        return TransformationFunction._open(catalog.get_function(name, version), catalog)

    def get_transformation_functions(self) -> list[TransformationFunction]:
        """Return every built-in function, and every saved one by name and version."""
        from spark_fs.spec.transformation import FunctionSpec
        from spark_fs.transform.builtin import BUILTINS

        catalog = self._stores.catalog
        builtins = [FunctionSpec(name) for name in BUILTINS]
        functions = [*builtins, *catalog.list_functions()]
        return [TransformationFunction._open(function, catalog) for function in functions]


def _find_builtin(name: str) -> FunctionSpec | None:
    from spark_fs.spec.transformation import FunctionSpec
    from spark_fs.transform.builtin import BUILTINS

    return FunctionSpec(name) if name in BUILTINS else None
