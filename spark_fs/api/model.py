"""A model as its owner describes, saves and downloads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from spark_fs.api.tags import remove_tag
from spark_fs.api.taken import Refused
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotFoundError, NotOfferedError
from spark_fs.spec.model_metrics import check_metrics
from spark_fs.spec.model_schema import ModelSchema

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.model_registry import ModelRegistry
    from spark_fs.flows.mlflow_registry import RegisteredVersion
    from spark_fs.flows.models import ModelDraft

_SERVE_YOURSELF = (
    "load it in your own service by get_model and download, with vectors by spark-fs serve"
)
_ASK_VIEW = "get_feature_view and training_dataset_version tell"
_DETECT_DRIFT = "FeatureView.detect_drift compares rows with what the model was trained on"


@validate_arguments
@dataclass
class Model:
    """One version of a model; ``save`` puts it into the registry, ``download`` brings its files.

    feature_view, training_dataset_version: what it was trained on. framework: "python", "sklearn",
    "xgboost", "tensorflow", "torch" or "llm". tags: those that it is saved with.
    """

    name: str
    version: int | None
    framework: str
    metrics: dict[str, float]
    description: str = ""
    model_schema: ModelSchema | None = None
    input_example: Any = None
    training_dataset_version: int | None = None
    created_at: datetime | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    _view_key: tuple[str, int] | None = None
    _registry: ModelRegistry = field(repr=False, compare=False, kw_only=True)
    _registered: RegisteredVersion | None = field(
        default=None, repr=False, compare=False, kw_only=True
    )

    def _to_draft(self) -> ModelDraft:
        from spark_fs.flows.models import ModelDraft

        return ModelDraft(
            self.name,
            self.version,
            self.framework,
            check_metrics(self.metrics),
            self.description,
            self.model_schema,
            self.input_example,
            self._view_key,
            self.training_dataset_version,
            self.tags,
        )

    @property
    def id(self) -> str:
        """The name and version, as in "fraud_1"."""
        return f"{self.name}_{self.version}"

    @property
    def training_metrics(self) -> dict[str, float]:
        """The metrics."""
        return self.metrics

    @property
    def created(self) -> datetime | None:
        """When it was saved; None: not yet."""
        return self.created_at

    @property
    def project_name(self) -> str:
        """The name of its project."""
        return self._registry.project_name

    @property
    def model_registry_id(self) -> int:
        """1: a project has one registry."""
        return self._registry.model_registry_id

    @property
    def model_files_path(self) -> str:
        """The folder or URI that its files are in; NotFoundError where it is not saved yet."""
        return self._registry.get_source(self)

    @property
    def version_path(self) -> str:
        """The same."""
        return self.model_files_path

    @property
    def creator(self) -> None:
        """None, as the next ones: it is not noted."""
        return

    user = creator
    environment = creator
    program = creator
    shared_registry_project_name = creator

    @property
    def missing_mandatory_tags(self) -> list[dict[str, Any]]:
        """None: no tag must be there."""
        return []

    def save(
        self,
        model_path: str | os.PathLike[str],
        await_registration: float | None = 480,
        keep_original_files: bool = False,
        upload_configuration: Mapping[str, Any] | None = None,
    ) -> Model:
        """Save a folder (or one file) whole, eagerly, as a new version.

        When it fails there is no such version.

        Args:
            model_path: The folder, or the one file.
            await_registration: Without meaning here, as what follows: it is saved when this
                returns.
            keep_original_files: Your files always stay.
            upload_configuration: How files go to a server.

        Returns:
            This model, with the version that it has now.

        Raises:
            NotFoundError: The path does not exist.
            SettingsError: The folder is empty, or a link leads out of it.
            AlreadyExistsError: The version is taken.
        """
        saved = self._registry.save(self, model_path)
        vars(self).update(vars(saved))
        return self

    def download(self, local_path: str | os.PathLike[str] | None = None) -> str:
        """A local folder with the model's files, eagerly.

        Each file is compared with its checksum.

        Args:
            local_path: The folder that they are copied into; None: one that is kept, so that a
                second call copies nothing.

        Returns:
            The absolute path of the folder.

        Raises:
            NotFoundError: The model is not saved yet.
            SparkFSError: The registry's files are not those that were saved.
        """
        return self._registry.download(self, local_path)

    def delete(self) -> None:
        """Delete this version, eagerly; its training dataset stays.

        Raises:
            NotFoundError: The model is not saved yet.
        """
        self._registry.delete(self)

    def get_feature_view(self, init: bool = True, online: bool = False) -> FeatureView:
        """The feature view that it was trained on.

        Args:
            init: Whether its batches, or with online its vectors, are made ready with the training
                dataset of the model, where that is known.
            online: Whether vectors are.

        Raises:
            NotFoundError: It was saved without one.
        """
        view = self._registry.view_of(self)
        if init and self.training_dataset_version is not None:
            prepare = view.init_serving if online else view.init_batch_scoring
            try:
                prepare(self.training_dataset_version)
            except NotFoundError as error:
                warn_user(f"{self.name!r} gives its feature view as it is: {error}")
        return view

    # -- tags

    def add_tag(self, name: str, value: Any) -> None:
        """Set a tag, eagerly.

        Args:
            name: Its name, in lower snake case.
            value: Any value that JSON can hold.

        Raises:
            InvalidNameError: The name is not in lower snake case.
            SettingsError: JSON cannot hold the value.
        """
        self._registry.set_tags(self, {**self.get_tags(), name: value})

    def set_tag(self, name: str, value: Any) -> None:
        """Set a tag; see ``add_tag``.

        Args:
            name: Its name.
            value: Its value.
        """
        self.add_tag(name, value)

    def get_tag(self, name: str) -> Any:
        """The value of a tag; None where it is absent."""
        return self.get_tags().get(name)

    def get_tags(self) -> dict[str, Any]:
        """The value of each tag; of a model that is not saved yet, those that it is saved with."""
        return self._registry.get_tags(self)

    def delete_tag(self, name: str) -> None:
        """Remove a tag, eagerly; NotFoundError, with the nearest names, where it is absent."""
        self._registry.set_tags(self, remove_tag(self.get_tags(), name))

    # -- what Hopsworks has beside

    @property
    def model_path(self) -> NoReturn:
        """NotOfferedError: versions of a model have no folder in common."""
        raise NotOfferedError.for_call(
            "Model.model_path",
            "is the folder of all versions",
            "model_files_path is that of one version, and download() gives its files",
        )

    deploy = Refused("serves a model", _SERVE_YOURSELF)
    get_url = Refused("gives the page of a model", "get_models lists its versions and metrics")
    clear_cache = Refused(
        "removes downloaded models", "delete the folder model_cache of home, or what is in it"
    )
    get_feature_view_provenance = Refused("tells where a model comes from", _ASK_VIEW)
    get_training_dataset_provenance = Refused("tells where a model comes from", _ASK_VIEW)
    get_monitoring_configs = Refused("watches a model", _DETECT_DRIFT)
    create_model_monitoring = Refused("watches a model", _DETECT_DRIFT)
