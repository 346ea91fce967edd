"""Expectation suites, with the names of Hopsworks and of Great Expectations 0.18."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.expectations import (
    check_policy,
    identify_expectation,
    parse_suite,
    read_mapping,
)
from spark_fs.spec.expectations import parse_expectation as _parse_expectation


class GeExpectation:
    """One expectation: its type, its arguments and notes about it.

    It stands for Hopsworks' ``GeExpectation`` and for the ``ExpectationConfiguration`` of Great
    Expectations 0.18, which 1.x has no more.
    """

    def __init__(
        self,
        expectation_type: str,
        kwargs: Mapping[str, Any] | str | None = None,
        meta: Mapping[str, Any] | str | None = None,
        id: int | None = None,
        **others: Any,  # noqa: ARG002 # of Hopsworks
    ) -> None:
        """Declare an expectation.

        Args:
            expectation_type: Its type, such as "expect_column_values_to_not_be_null".
            kwargs: Its arguments, such as ``{"column": "amount"}``, or that as JSON.
            meta: Notes, which are kept with it.
            id: Its number, where it is one of a suite that is attached.
            others: Other arguments of Hopsworks', which change nothing.
        """
        self.expectation_type = expectation_type
        self.kwargs = dict(read_mapping(kwargs))
        self.meta = dict(read_mapping(meta))
        number = self.meta.get("expectationId", id)
        self.id = None if number is None else int(number)
        _parse_expectation(self)  # SettingsError for what is none

    @property
    def type(self) -> str:
        """The type, as Great Expectations 1.x calls it."""
        return self.expectation_type

    @classmethod
    def from_ge_type(cls, ge_expectation: Any) -> Self:
        """Make one of an expectation of Great Expectations, of whatever release."""
        data = _parse_expectation(ge_expectation)
        return cls(data["type"], data["kwargs"], data.get("meta"))

    def to_ge_type(self) -> Any:
        """Return it as an ``ExpectationConfiguration`` of Great Expectations 1.x."""
        from spark_fs.base.great_expectations_types import to_ge_expectation

        return to_ge_expectation(_parse_expectation(self))

    def to_json_dict(
        self,
        decamelize: bool = True,  # noqa: ARG002 # as it is
    ) -> dict[str, Any]:
        """Return it as a dict, with the names of Great Expectations 0.18."""
        return {
            "expectation_type": self.expectation_type,
            "kwargs": dict(self.kwargs),
            "meta": dict(self.meta),
        }

    def __getitem__(self, name: str) -> Any:
        return {**self.to_json_dict(), "type": self.expectation_type}[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GeExpectation):
            return NotImplemented
        return self.to_json_dict() == other.to_json_dict()

    def __hash__(self) -> int:
        return identify_expectation(_parse_expectation(self))

    def __repr__(self) -> str:
        return f"GeExpectation({self.expectation_type!r}, {self.kwargs!r})"


class ExpectationSuite(Mapping[str, Any]):
    """A named list of expectations, and what becomes of a batch that fails one.

    It stands for Hopsworks' class and for that of Great Expectations 0.18. It is a mapping too, of
    its name and its expectations as dicts. A suite that a group gives is attached to it: what is
    changed by its methods and properties is saved at once.
    """

    def __init__(
        self,
        expectation_suite_name: str | None = None,
        expectations: Sequence[Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        id: int | None = None,
        run_validation: bool = True,
        validation_ingestion_policy: str = "ALWAYS",
        **others: Any,
    ) -> None:
        """Declare a suite.

        Args:
            expectation_suite_name: Its name.
            expectations: Expectations of ours or of Great Expectations, or dicts with their type
                and kwargs.
            meta: Notes of this process; they are not kept.
            id: A number of Hopsworks', which changes nothing.
            run_validation: Whether inserts are validated by it.
            validation_ingestion_policy: What becomes of a batch that fails: "ALWAYS" (it is
                written), "STRICT" (it is refused) or "QUARANTINE" (the rows that fail are set
                aside).
            others: ``name``, as Great Expectations 1.x calls the name; others of its and of
                Hopsworks' change nothing.

        Raises:
            SettingsError: An element is no expectation, or the policy is not known.
        """
        self._name = str(expectation_suite_name or others.get("name") or "suite")
        self.id = id
        self.meta = dict(meta or {})
        self._run_validation = run_validation
        self._policy = check_policy("validation_ingestion_policy", validation_ingestion_policy)
        self._save: Callable[[ExpectationSuite], object] | None = None
        self.expectations: list[GeExpectation] = []
        self._replace_expectations(expectations or ())

    @classmethod
    def attached(
        cls, suite: Mapping[str, Any], save: Callable[[ExpectationSuite], object]
    ) -> ExpectationSuite:
        """Make the suite of a group, which saves each change.

        Args:
            suite: The suite, as the group's definition has it.
            save: Attaches a suite to the group.

        Returns:
            The suite, with a number for each of its expectations.
        """
        policy = suite.get("policy", "STRICT")
        made = cls(suite["name"], suite["expectations"], validation_ingestion_policy=policy)
        made._run_validation = suite.get("run_validation", True)
        made._save = save
        made._number_expectations()
        return made

    @classmethod
    def from_ge_type(
        cls,
        ge_expectation_suite: Any,
        run_validation: bool = True,
        validation_ingestion_policy: str = "ALWAYS",
        **others: Any,  # noqa: ARG003 # of Hopsworks
    ) -> Self:
        """Make one of a suite of Great Expectations, of whatever release.

        Args:
            ge_expectation_suite: The suite.
            run_validation: Whether inserts are validated by it.
            validation_ingestion_policy: What becomes of a batch that fails.
            others: Other arguments of Hopsworks', which change nothing.

        Returns:
            The suite.
        """
        data = parse_suite(ge_expectation_suite)
        return cls(
            data["name"],
            data["expectations"],
            run_validation=run_validation,
            validation_ingestion_policy=validation_ingestion_policy,
        )

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def expectation_suite_name(self) -> str:
        """The name, as Hopsworks and Great Expectations 0.18 call it."""
        return self._name

    @expectation_suite_name.setter
    def expectation_suite_name(self, name: str) -> None:
        self._name = str(name)
        self._save_if_attached()

    @property
    def run_validation(self) -> bool:
        """Whether inserts are validated by it."""
        return self._run_validation

    @run_validation.setter
    def run_validation(self, run_validation: bool) -> None:
        self._run_validation = run_validation
        self._save_if_attached()

    @property
    def validation_ingestion_policy(self) -> str:
        """What becomes of a batch that fails: "ALWAYS", "STRICT" or "QUARANTINE"."""
        return self._policy

    @validation_ingestion_policy.setter
    def validation_ingestion_policy(self, policy: str) -> None:
        self._policy = check_policy("validation_ingestion_policy", policy)
        self._save_if_attached()

    # -- its expectations

    def get_expectation(self, expectation_id: int, ge_type: bool = False) -> GeExpectation | Any:
        """Return the expectation of a number; NotFoundError with those that there are.

        Args:
            expectation_id: Its number.
            ge_type: Whether as an object of Great Expectations 1.x.
        """
        expectation = self.expectations[self._find_place(expectation_id)]
        return expectation.to_ge_type() if ge_type else expectation

    def add_expectation(self, expectation: Any, ge_type: bool = False) -> GeExpectation | Any:
        """Add an expectation at the end, and return it; saved where the suite is attached.

        Args:
            expectation: One of ours or of Great Expectations, or a dict.
            ge_type: Whether it comes back as an object of Great Expectations 1.x.
        """
        self.expectations.append(_to_expectation(expectation))
        return self._return_saved(-1, ge_type)

    def replace_expectation(self, expectation: Any, ge_type: bool = False) -> GeExpectation | Any:
        """Put an expectation in the place of the one that has its number, and return it.

        Args:
            expectation: One with an ``id``, or with ``expectationId`` in its meta.
            ge_type: Whether it comes back as an object of Great Expectations 1.x.

        Raises:
            NotFoundError: The suite has none of this number.
            SettingsError: It has no number.
        """
        replacement = _to_expectation(expectation)
        if replacement.id is None:
            raise SettingsError(
                f"{replacement!r} has no number: take the expectation that it replaces from the"
                " suite that get_expectation_suite() returns, and change its kwargs, or give its id"
                " as meta={'expectationId': ...}."
            )
        place = self._find_place(replacement.id)
        self.expectations[place] = replacement
        return self._return_saved(place, ge_type)

    def remove_expectation(self, expectation_id: Any = None) -> None:
        """Remove an expectation, by its number or one that is equal; NotFoundError for another."""
        if isinstance(expectation_id, int):
            place = self._find_place(expectation_id)
        else:
            removed = _to_expectation(expectation_id)
            place = self._find_place(identify_expectation(_parse_expectation(removed)))
        del self.expectations[place]
        self._save_if_attached()

    def _find_place(self, number: int) -> int:
        numbers = [_number(expectation) for expectation in self.expectations]
        if number not in numbers:
            existing = ", ".join(map(str, numbers)) or "none"
            raise NotFoundError(
                f"Expectation {number} of suite {self._name!r} does not exist; there are:"
                f" {existing}. Look at the id of each in .expectations."
            )
        return numbers.index(number)

    def _return_saved(self, place: int, ge_type: bool) -> Any:
        self._save_if_attached()
        expectation = self.expectations[place]
        return expectation.to_ge_type() if ge_type else expectation

    def _replace_expectations(self, expectations: Sequence[Any]) -> None:
        self.expectations = [_to_expectation(expectation) for expectation in expectations]

    def _number_expectations(self) -> None:
        for expectation in self.expectations:
            expectation.id = identify_expectation(_parse_expectation(expectation))

    def _save_if_attached(self) -> None:
        if self._save is not None:
            self._save(self)
            self._number_expectations()

    # -- other forms

    def to_ge_type(self) -> Any:
        """Return it as an ``ExpectationSuite`` of Great Expectations 1.x."""
        from spark_fs.base.great_expectations_types import to_ge_suite

        return to_ge_suite(parse_suite(self))

    def to_json_dict(
        self,
        decamelize: bool = True,  # noqa: ARG002 # as it is
    ) -> dict[str, Any]:
        """Return it as a dict, with the names of Great Expectations 0.18."""
        return {
            "expectation_suite_name": self._name,
            "expectations": [expectation.to_json_dict() for expectation in self.expectations],
            "meta": dict(self.meta),
            "run_validation": self._run_validation,
            "validation_ingestion_policy": self._policy,
        }

    def __getitem__(self, name: str) -> Any:
        parsed = parse_suite(self)
        return {"name": parsed["name"], "expectations": parsed["expectations"]}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("name", "expectations"))

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return (
            f"ExpectationSuite({self._name!r}, {self.expectations!r},"
            f" validation_ingestion_policy={self._policy!r})"
        )


def _to_expectation(expectation: Any) -> GeExpectation:
    if isinstance(expectation, GeExpectation):
        return expectation
    made = GeExpectation.from_ge_type(expectation)
    meta = expectation.get("meta") if isinstance(expectation, Mapping) else None
    meta = meta if meta is not None else getattr(expectation, "meta", None)
    if isinstance(meta, Mapping) and "expectationId" in meta:
        made.id = int(meta["expectationId"])
    return made


def _number(expectation: GeExpectation) -> int:
    """The number of an expectation: the one that it was given, or that follows from it."""
    if expectation.id is not None:
        return expectation.id
    return identify_expectation(_parse_expectation(expectation))
