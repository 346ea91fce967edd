"""A group whose inserts are validated by an expectation suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_fs.api.table_group import TableGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.api.expectation_suite import ExpectationSuite
    from spark_fs.base.times import Instant
    from spark_fs.spec.validation_report import ValidationReport


@validate_arguments
class ValidatedGroup(TableGroup):
    """A group with a suite of expectations, and the reports on what they found."""

    @property
    def expectation_suite(self) -> ExpectationSuite | None:
        """The suite, as ``get_expectation_suite`` gives it."""
        suite: ExpectationSuite | None = self.get_expectation_suite()
        return suite

    def get_expectation_suite(self, ge_type: bool = False) -> ExpectationSuite | Any | None:
        """Return the suite; None where none is attached.

        Args:
            ge_type: Whether as an object of Great Expectations 1.x, whose import takes seconds;
                otherwise as an ``ExpectationSuite`` of ours, which has the names of 0.18 and saves
                what is added to it.
        """
        from spark_fs.api.expectation_suite import ExpectationSuite

        suite = self._reload_spec().expectation_suite
        if suite is None:
            return None
        attached = ExpectationSuite.attached(suite, self._attach_suite)
        return attached.to_ge_type() if ge_type else attached

    def save_expectation_suite(
        self,
        expectation_suite: Any,
        run_validation: bool = True,
        validation_ingestion_policy: str = "always",
        overwrite: bool = False,  # noqa: ARG002 # as it is
    ) -> ExpectationSuite:
        """Attach a suite, eagerly, in the place of the one before, and return it.

        Args:
            expectation_suite: An ``ExpectationSuite`` of ours or of Great Expectations, or a dict
                with its name and expectations (type and kwargs), with the names of 0.18 or of 1.x.
            run_validation: Whether every insert is validated by it.
            validation_ingestion_policy: What becomes of a batch that fails: "always" (it is
                written, with a warning), "strict" (it is refused) or "quarantine" (the rows that
                fail are set aside); "always" leaves what a suite of ours says.
            overwrite: Taken for Hopsworks' sake: a suite always takes the place of the one before;
                the reports stay.

        Raises:
            SettingsError: It is not a suite, or the policy is not known.
        """
        from spark_fs.spec.expectations import check_policy, parse_suite

        suite = parse_suite(expectation_suite)
        policy = check_policy("validation_ingestion_policy", validation_ingestion_policy)
        if policy != "ALWAYS":
            suite["policy"] = policy
        if not run_validation:
            suite["run_validation"] = False
        self._attach_suite(suite)
        attached: Any = self.get_expectation_suite()
        kept: ExpectationSuite = attached
        return kept

    def _attach_suite(self, suite: Any) -> None:
        from spark_fs.spec.expectations import parse_suite, with_told_policy

        attached = with_told_policy(parse_suite(suite))
        self._update_spec(lambda spec: replace(spec, expectation_suite=attached))

    def delete_expectation_suite(self) -> None:
        """Detach the suite, eagerly; its reports stay."""
        self._update_spec(lambda spec: replace(spec, expectation_suite=None))

    def validate(
        self,
        dataframe: Any = None,
        expectation_suite: Any = None,
        save_report: bool = False,
        validation_options: Mapping[str, Any] | None = None,
        ingestion_result: str = "UNKNOWN",
        ge_type: bool = False,
    ) -> ValidationReport | Any | None:
        """Validate rows by a suite, eagerly; nothing is written.

        Args:
            dataframe: A frame as ``insert`` takes it; None: the group's own rows.
            expectation_suite: Another suite than that of the group; its report is never kept.
            save_report: Whether the report is kept with those of inserts.
            validation_options: ``run_validation=False`` does nothing; ``save_report`` as here.
            ingestion_result: What the kept report says of the rows: "UNKNOWN", "INGESTED",
                "REJECTED", "EXPERIMENT" or "FG_DATA"; the group's own rows are "FG_DATA".
            ge_type: Whether the report comes as an object of Great Expectations 1.x.

        Returns:
            The report; None where the options say that nothing is validated.

        Raises:
            SettingsError: No suite is given or attached, or an expectation cannot be evaluated.
        """
        from spark_fs.spec.expectations import ValidationOptions, parse_suite
        from spark_fs.spec.validation_report import parse_report

        suite = self._reload_spec().expectation_suite
        if expectation_suite is not None:
            suite = parse_suite(expectation_suite)
        if suite is None:
            raise SettingsError(
                f"Feature group {self._spec} has no expectation suite: attach one with"
                " save_expectation_suite, or give one as expectation_suite=."
            )
        chosen = ValidationOptions.from_argument(validation_options).choose_suite(suite)
        if chosen is None:
            return None
        fate = ingestion_result
        if dataframe is None and fate.upper() == "UNKNOWN":
            fate = "FG_DATA"
        report = parse_report(self._validate_rows(dataframe, chosen), fate)
        is_kept = (validation_options or {}).get("save_report", save_report)
        if is_kept and expectation_suite is None:
            report = self._stores.catalog.add_validation(self._spec.ref, report)
        return _to_type(report, ge_type)

    def _validate_rows(self, dataframe: Any, suite: Mapping[str, Any]) -> ValidationReport:
        from spark_fs.flows import validate
        from spark_fs.tables import spark_frames

        if dataframe is None:
            rows = self.read("spark")
        else:
            rows = spark_frames.to_spark(self._stores.spark, dataframe, self.schema)
        return validate.validate_frame(rows, suite)

    # -- reports

    def get_latest_validation_report(self, ge_type: bool = False) -> ValidationReport | Any | None:
        """Return the newest report; None before the first. Starts no JVM.

        Args:
            ge_type: Whether as an object of Great Expectations 1.x.
        """
        report = self._stores.catalog.get_latest_validation(self._spec.ref)
        return None if report is None else _to_type(report, ge_type)

    def get_all_validation_reports(self, ge_type: bool = False) -> list[Any]:
        """Return every report, the newest first. Starts no JVM.

        Args:
            ge_type: Whether as objects of Great Expectations 1.x.
        """
        reports = reversed(self._stores.catalog.list_validations(self._spec.ref))
        return [_to_type(report, ge_type) for report in reports]

    def get_validation_history(
        self,
        expectation_id: int | None = None,
        start_validation_time: Instant | int | None = None,
        end_validation_time: Instant | int | None = None,
        filter_by: Sequence[str] = (),
        ge_type: bool = False,
    ) -> list[Any]:
        """Return what one expectation found in every batch, the newest first. Starts no JVM.

        Args:
            expectation_id: The number of an expectation of the suite; None: the reports themselves,
                the oldest first, each of which says what became of its batch.
            start_validation_time: Reports made at this instant (UTC) or later; None: from the first
                on.
            end_validation_time: Reports made at this instant (UTC) or earlier; None: to the last.
            filter_by: Those of these fates: "INGESTED", "REJECTED", "UNKNOWN", "EXPERIMENT",
                "FG_DATA"; empty: of all.
            ge_type: Whether as objects of Great Expectations 1.x.

        Raises:
            NotFoundError: The suite has no such expectation, and no report does.
            SettingsError: The times are the wrong way round, or a fate is not known.
        """
        from spark_fs.flows import validation_history

        reports = validation_history.select_reports(
            self._stores.catalog.list_validations(self._spec.ref),
            (start_validation_time, end_validation_time),
            filter_by,
        )
        if expectation_id is None:
            return [_to_type(report, ge_type) for report in reports]
        suite = self._reload_spec().expectation_suite
        results = validation_history.list_results(reports, expectation_id, suite)
        return [_to_type(result, ge_type) for result in results]

    def save_validation_report(
        self, validation_report: Any, ingestion_result: str = "UNKNOWN", ge_type: bool = False
    ) -> ValidationReport | Any:
        """Keep a report that was made elsewhere, eagerly, and return it.

        Args:
            validation_report: What ``validate`` or Great Expectations returned, or its JSON.
            ingestion_result: What became of the rows, as in ``validate``.
            ge_type: Whether it comes back as an object of Great Expectations 1.x.

        Raises:
            SettingsError: It is no report, or the fate is not known.
        """
        from spark_fs.spec.validation_report import parse_report

        report = parse_report(validation_report, ingestion_result)
        kept = self._stores.catalog.add_validation(self._load_spec().ref, report)
        return _to_type(kept, ge_type)


def _to_type(value: Any, ge_type: bool) -> Any:
    """A report or a result, perhaps as an object of Great Expectations."""
    return value.to_ge_type() if ge_type else value
