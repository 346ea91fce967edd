"""A project: its name, its files, and what a cluster alone has."""

import json
import warnings
from pathlib import Path
from zipfile import ZipFile

import pytest

import spark_fs
from spark_fs.api.dataset_api import DatasetApi
from spark_fs.api.project import Project
from spark_fs.errors import (
    AlreadyExistsError,
    NotFoundError,
    NotOfferedError,
    SettingsError,
    SparkFSError,
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return spark_fs.login({"home": tmp_path / "shop" / ".spark_fs"})


@pytest.fixture
def files(project: Project) -> DatasetApi:
    return project.get_dataset_api()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report.txt").write_text("fine")
    return tmp_path / "report.txt"


def test_a_project_is_named_after_its_folder(project: Project, tmp_path: Path) -> None:
    fs = project.get_feature_store()
    assert (project.name, project.id, fs.name, fs.id) == ("shop", 1, "shop_featurestore", 1)
    assert project.get_url() == f"file://{tmp_path}/shop/.spark_fs"
    assert spark_fs.login({"home": tmp_path / "My Shop-2"}).name == "my_shop_2"
    assert project.get_feature_store("shop_featurestore").project_name == "shop"
    with pytest.raises(NotFoundError, match=r"Project 'bank' is not this one, which is 'shop'"):
        project.get_feature_store("bank_featurestore")


def test_arguments_for_a_server_are_named_in_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(
        UserWarning,
        match=(
            r"^login\(host=, port=, project=, api_key_value=\) changes nothing: there is no server;"
            r" config, SPARK_FS_CONFIG or SPARK_FS_HOME names the store\.$"
        ),
    ):
        project = spark_fs.login(
            {"home": tmp_path}, 8181, "Bank", "secret", host="my.hopsworks.server"
        )
    assert (project.name, project.get_feature_store("bank_featurestore").name) == (
        "Bank",
        "bank_featurestore",
    )
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path / "shop"))
    with pytest.warns(UserWarning, match=r"^login\(host=, project=, api_key_value=\) changes noth"):
        assert spark_fs.login("my.hopsworks.server", 443, "a", "key").get_url().endswith("/shop")
    with pytest.raises(SettingsError, match=r"Settings file .*nowhere.yaml"):
        spark_fs.login("nowhere.yaml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spark_fs.login({"home": tmp_path}, 443, hostname_verification=False).id == 1


def test_older_code_comes_to_the_project_by_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path / "shop"))
    with pytest.warns(UserWarning, match=r"connection\(host=, api_key_value=\) changes nothing"):
        connection = spark_fs.connection(host="my.hopsworks.server", api_key_value="secret")
    with connection:
        assert connection.get_feature_store().name == "shop_featurestore"
        assert connection.project_exists("shop")
        assert not connection.project_exists("bank")
        assert [project.name for project in connection.get_projects()] == ["shop"]
    assert spark_fs.get_current_project().name == "shop"
    assert json.loads(spark_fs.get_sdk_info())["version"] == spark_fs.__version__
    spark_fs.logout()
    with pytest.raises(SettingsError, match=r"has not logged in: call spark_fs.login\(\) first"):
        spark_fs.get_current_project()


def test_what_a_cluster_alone_has_says_what_to_use(project: Project) -> None:
    with pytest.raises(
        NotOfferedError,
        match=(
            r"^Project.get_kafka_api manages Kafka topics on Hopsworks, and spark_fs has no such"
            r" thing: it takes batches, so read the topic by a job of your own and insert its rows"
        ),
    ):
        project.get_kafka_api()
    with pytest.raises(NotOfferedError, match=r"^Project.get_jobs_api runs jobs on Hopsworks"):
        project.get_jobs_api()
    with pytest.raises(NotOfferedError, match=r"^get_secrets_api keeps secrets .*: read os.envir"):
        spark_fs.get_secrets_api()
    fs = project.get_feature_store()
    with pytest.raises(NotOfferedError, match=r"^FeatureStore.create_training_dataset keeps"):
        fs.create_training_dataset("d", version=1, data_format="csv")


# -- files


def test_a_file_goes_up_and_comes_down(
    files: DatasetApi, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert files.list("/") == files.list("Resources") == []
    assert files.exists("Resources")
    assert not files.exists("Resources/air")
    assert files.mkdir("Resources/air") == "/Projects/shop/Resources/air"
    assert files.upload(report, "Resources/air", overwrite=True) == "Resources/air/report.txt"
    assert files.exists("Resources/air/report.txt")
    assert files.path_exists("/Projects/shop/Resources/air/report.txt")
    assert files.list("Resources") == ["Resources/air"]
    assert files.get("Resources/air/report.txt")["attributes"] == {
        "path": "/Projects/shop/Resources/air/report.txt",
        "name": "report.txt",
        "dir": False,
        "size": 4,
    }
    monkeypatch.chdir(tmp_path / "shop")
    copy = files.download("Resources/air/report.txt")
    assert copy == str(tmp_path / "shop" / "report.txt")
    assert Path(copy).read_text() == "fine"
    assert files.download("Resources/air", tmp_path / "all") == str(tmp_path / "all")
    assert (tmp_path / "all" / "report.txt").read_text() == "fine"
    files.remove("Resources/air/report.txt")
    assert not files.exists("Resources/air/report.txt")


def test_what_is_there_is_replaced_on_request_alone(
    files: DatasetApi, report: Path, tmp_path: Path
) -> None:
    files.upload(report, "Resources")
    report.write_text("better")
    taken = r"exists already: say overwrite=True to replace it"
    with pytest.raises(AlreadyExistsError, match=taken):
        files.upload(report, "Resources")
    with pytest.raises(AlreadyExistsError, match=taken):
        files.download("Resources/report.txt", tmp_path)
    with pytest.raises(AlreadyExistsError, match=r"'Logs' exists already: ask exists"):
        files.mkdir("Logs")
    files.upload(report, "Resources", overwrite=True)
    report.write_text("mine")
    assert Path(files.download("Resources/report.txt", tmp_path, overwrite=True)) == report
    assert report.read_text() == "better"


def test_files_are_copied_moved_and_packed(files: DatasetApi, report: Path) -> None:
    files.upload(report, "Resources/a")
    files.copy("Resources/a", "Resources/b")
    files.move("Resources/b/report.txt", "Logs/kept.txt")
    assert files.list("Resources/b") == []
    assert files.list("Logs") == ["Logs/kept.txt"]
    assert files.zip("Resources/a")
    files.rm("Resources/a")
    assert files.unzip("Resources/a.zip")
    unpacked = files._folder / "Resources" / "a" / "report.txt"
    assert unpacked.stat().st_mode & 0o777 == 0o600
    assert files.list("Resources/a") == ["Resources/a/report.txt"]
    with pytest.raises(SettingsError, match=r"'Logs/kept.txt' is not a zip archive"):
        files.unzip("Logs/kept.txt")
    with pytest.raises(SettingsError, match=r"and what is copied lie in each other"):
        files.copy("Resources/a", "Resources/a/again")
    with pytest.raises(SettingsError, match=r"and what is copied lie in each other"):
        files.copy("Resources/a/report.txt", "Resources/a", overwrite=True)
    assert files.exists("Resources/a/report.txt")


@pytest.mark.parametrize("path", ["../catalog.db", "Resources/../../catalog.db", "link/catalog.db"])
def test_a_path_leads_nowhere_else(
    project: Project, files: DatasetApi, report: Path, path: str
) -> None:
    files.upload(report, "Resources")
    home = project._stores.settings.home
    (home / "catalog.db").write_text("precious")
    (home / "datasets" / "link").symlink_to(home)
    for act in (files.remove, files.exists, files.list, files.mkdir, files.download):
        with pytest.raises(SettingsError, match=r"leads out of the project's files"):
            act(path)
    with pytest.raises(SettingsError, match=r"leads out of the project's files"):
        files.copy("Resources/report.txt", path, overwrite=True)
    for act in (files.remove, files.zip):
        with pytest.raises(SettingsError, match=r"'/' is the project itself: give a path in it"):
            act("/")
    assert (home / "catalog.db").read_text() == "precious"


def test_an_archive_unpacks_into_its_folder_alone(files: DatasetApi, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../../evil.txt", "evil")
    files.upload(tmp_path / "evil.zip", "Resources")
    files.unzip("Resources/evil.zip")
    assert files.list("Resources") == ["Resources/evil.txt", "Resources/evil.zip"]
    assert list(tmp_path.rglob("evil.txt")) == [
        tmp_path / "shop" / ".spark_fs" / "datasets" / "Resources" / "evil.txt"
    ]


def test_what_is_not_there_is_named(files: DatasetApi, report: Path) -> None:
    files.upload(report, "Resources")
    with pytest.raises(
        NotFoundError,
        match=r"The path 'Resources/reprot.txt' does not exist; did you mean 'Resources/report.txt'",
    ):
        files.download("Resources/reprot.txt")
    with pytest.raises(NotFoundError, match=r"'nothing.txt' does not exist in .*: upload a file"):
        files.upload("nothing.txt", "Resources")
    with pytest.raises(NotOfferedError, match=r"^DatasetApi.unshare shares files with another"):
        files.unshare("Resources", "other")


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "Resources/report.txt/inner"])
def test_a_path_that_the_system_refuses_is_said(files: DatasetApi, report: Path, path: str) -> None:
    files.upload(report, "Resources")
    with pytest.raises(SparkFSError, match=r"^Path .* cannot be used \(.*\): give another one"):
        files.mkdir(path)
    with pytest.raises(SparkFSError, match=r"cannot be used|does not exist"):
        files.remove(path)
    with pytest.raises(SparkFSError, match=r"^Path .* cannot be used"):
        files.upload(report, path)


def test_files_are_their_owners_alone(files: DatasetApi, report: Path, tmp_path: Path) -> None:
    report.chmod(0o644)
    files.upload(report, "Resources")
    kept = tmp_path / "shop" / ".spark_fs" / "datasets" / "Resources" / "report.txt"
    assert kept.stat().st_mode & 0o777 == 0o600
