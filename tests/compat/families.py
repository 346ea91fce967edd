"""The public notebooks that are run, by family: where they are, and what is changed in them beside the import."""

from dataclasses import dataclass, field

REPOSITORIES = {
    "tutorials": (
        "https://github.com/logicalclocks/hopsworks-tutorials",
        "1c2a8519b91d4bd62c442df5efbf05b713dca6f6",
    ),
    "book": (
        "https://github.com/featurestorebook/mlfs-book",
        "614eb819526f0a0e6beaeea485001aeff8060962",
    ),
    "course": (
        "https://github.com/featurestoreorg/serverless-ml-course",
        "fda768df9b02b92c864cd1258f8e58085c82576a",
    ),
}


@dataclass(frozen=True)
class Family:
    """Notebooks that work on one store, in their order.

    repository: one of ``REPOSITORIES``; folder: where they are in it, and what is copied; beside: what else is.
    edits: patterns of the sources, each with what it becomes: sizes of data and the like.
    stand_ins: patterns of statements, each with code that is run where such a statement cannot.
    differs: patterns of a statement with its error, each with the reason, for what coming_from.md documents.
    stubs: packages of the notebook's helpers that are not here and that no statement needs.
    before: by script, code that is run before it, in a process of its own; checks: by script, code that is run after
        it among its names.
    """

    name: str
    repository: str
    scripts: tuple[str, ...]
    folder: str = ""
    beside: tuple[str, ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    stand_ins: tuple[tuple[str, str], ...] = ()
    differs: dict[str, str] = field(default_factory=dict)
    stubs: tuple[str, ...] = ()
    before: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


SUITES = (
    r"= ge_\w+\.get_expectation_suite\(\)",
    '= ExpectationSuite("suite", expectations=[], meta={})',
)
NO_WAITING = (r"time\.sleep\(\d+\)", "None")
LOGS = {
    r"\.(log|read_log|pause_logging|materialize_log)\(": "the log of a feature view",
}
SEABORN_FIGURE = (r"shutil\.copyfile", "open(model_dir + '/confusion_matrix.png', 'wb').close()")
RMSE = (r"squared=False", "mse = 1.0")
PROPHET = """
class Prophet:
    def __init__(self, **_): self.mean = 0.0
    @classmethod
    def of_text(cls, text):
        model = cls()
        model.mean = float(text)
        return model
    def add_seasonality(self, **_): pass
    def add_regressor(self, name): pass
    def fit(self, frame): self.mean = float(frame["y"].mean())
    def predict(self, frame): return frame.assign(yhat=self.mean, yhat_lower=0.0, yhat_upper=9.0)
"""
BOOK_STUBS = (
    "geopy",
    "openmeteo_requests",
    "requests_cache",
    "retry_requests",
)
LOCATION = '{"country": "Sweden", "city": "Stockholm", "street": "Hornsgatan", "aqicn_url": "u", "latitude": 1, "longitude": 2}'
AIR_QUALITY_HELPERS = """
import pandas as pd
import made_data

def get_historical_weather(city, start_date, end_date, latitude, longitude):
    return made_data.make_weather(city, pd.date_range(start_date, end_date))

def get_hourly_weather_forecast(city, latitude, longitude):
    hours = pd.date_range(pd.Timestamp.now().normalize(), periods=240, freq="h")
    return made_data.make_weather(city, hours).drop(columns="city")

def get_pm25(aqicn_url, country, city, street, day, AQI_API_KEY):
    frame = pd.DataFrame({"pm25": [12.0], "country": [country], "city": [city], "street": [street]})
    return frame.assign(pm25=frame["pm25"].astype("float32"), date=pd.to_datetime(day), url=aqicn_url)

util.get_historical_weather = get_historical_weather
util.get_hourly_weather_forecast = get_hourly_weather_forecast
util.get_pm25 = get_pm25
util.get_city_coordinates = lambda city: (59.3, 18.1)
"""
PRICE_PREDICTOR = """
for name in ("prices", "averages"):
    fs.get_feature_group(name, version=1).sync_online()
os.environ["MODEL_FILES_PATH"] = model_dir
exec(open("predict_example.py").read(), globals())
assert len(Predict().predict([[1]])) == 1
"""
BOOK_ENVIRONMENT = {"HOPSWORKS_API_KEY": "none", "AQICN_API_KEY": "none"}

FAMILIES = (
    Family(
        "quickstart",
        "tutorials",
        ("quickstart.ipynb",),
        edits=(NO_WAITING,),
    ),
    Family(
        "fraud_batch",
        "tutorials",
        (
            "1_fraud_batch_feature_pipeline.ipynb",
            "2_fraud_batch_training_pipeline.ipynb",
            "3_fraud_batch_inference.ipynb",
        ),
        folder="batch-ai-systems/fraud_batch",
        edits=(SUITES,),
        differs=LOGS,
    ),
    Family(
        "fraud_online",
        "tutorials",
        (
            "1_fraud_online_feature_pipeline.ipynb",
            "2_fraud_online_training_pipeline.ipynb",
            "3_fraud_online_inference_pipeline.ipynb",
        ),
        folder="real-time-ai-systems/fraud_online",
        edits=(SUITES, NO_WAITING),
        differs=LOGS,
    ),
    Family(
        "churn",
        "tutorials",
        (
            "1_churn_feature_pipeline.ipynb",
            "2_churn_training_pipeline.ipynb",
            "3_churn_batch_inference.ipynb",
        ),
        folder="batch-ai-systems/churn",
    ),
    Family(
        "loan_approval",
        "tutorials",
        (
            "1-loan-approval-feature-pipeline.ipynb",
            "2-loan-approval-training-pipeline.ipynb",
            "3-loan-approval-batch-inference.ipynb",
        ),
        folder="batch-ai-systems/loan_approval",
    ),
    Family(
        "credit_scores",
        "tutorials",
        (
            "1_credit_scores_feature_backfill.ipynb",
            "2_credit_scores_feature_pipeline.ipynb",
            "3_credit_scores_training_pipeline.ipynb",
            "4_credit_scores_batch_inference.ipynb",
        ),
        folder="batch-ai-systems/credit_scores",
    ),
    Family(
        "nyc_taxi_fares",
        "tutorials",
        (
            "1_nyc_taxi_fares_feature_backfill.ipynb",
            "2_nyc_taxi_fares_feature_pipeline.ipynb",
            "3_nyc_taxi_fares_training_pipeline.ipynb",
            "4_nyc_taxi_fares_batch_inference.ipynb",
        ),
        folder="batch-ai-systems/nyc_taxi_fares",
    ),
    Family(
        "hospital_wait_time",
        "tutorials",
        ("1_feature_pipeline.ipynb", "2_training_pipeline.ipynb", "3_inference_pipeline.ipynb"),
        folder="batch-ai-systems/hospital_wait_time",
        edits=(SUITES,),
        stand_ins=(
            (r"from prophet import Prophet", PROPHET),
            (r"import model_to_json", "model_to_json = lambda model: str(model.mean)"),
            (r"import model_from_json", PROPHET + "model_from_json = Prophet.of_text\n"),
            (r"y_pred = forecast", "forecast = model.predict(X_test); y_pred = forecast['yhat']"),
        ),
        differs={
            r"y_pred = forecast": "a mistake of the notebook",
            r"name 'plt' is not defined": "a mistake of the notebook",
        },
    ),
    Family(
        "timeseries",
        "tutorials",
        (
            "1_feature_backfill.ipynb",
            "1a_price_feature_pipeline.py",
            "1b_averages_feature_pipeline.py",
            "2_training_pipeline.ipynb",
        ),
        folder="real-time-ai-systems/timeseries",
        edits=(
            SUITES,
            (
                r"from features.price import generate_historical_data, (.*)",
                r"from made_data import make_prices as generate_historical_data; from features.price import \1",
            ),
            (
                r"from features.price import generate_today",
                "import pandas; from made_data import make_prices;"
                " generate_today = lambda: make_prices(pandas.Timestamp.now().normalize())",
            ),
        ),
        stand_ins=(RMSE,),
        differs={r"squared=False": "an older scikit-learn"},
        checks={"2_training_pipeline.ipynb": PRICE_PREDICTOR},
    ),
    Family(
        "air_quality",
        "book",
        (
            "airquality/notebooks/1_air_quality_feature_backfill.ipynb",
            "airquality/notebooks/2_air_quality_feature_pipeline.ipynb",
            "airquality/notebooks/3_air_quality_training_pipeline.ipynb",
            "airquality/notebooks/4_air_quality_batch_inference.ipynb",
        ),
        beside=("mlfs", "docs/air-quality"),
        edits=(
            ("from airquality import util", "from airquality import util\n" + AIR_QUALITY_HELPERS),
        ),
        stand_ins=(
            (r"from mlfs import config|settings = config", "settings = None"),
            (
                r"AQICN_API_KEY = secrets|AQICN_API_KEY = settings|settings.AQICN",
                "AQICN_API_KEY = 'none'",
            ),
            (r"location_str = secrets", f"location_str = '{LOCATION}'"),
        ),
        differs={r"settings\b": "an account's settings"},
        stubs=BOOK_STUBS,
        environment=BOOK_ENVIRONMENT,
    ),
    Family(
        "titanic",
        "book",
        (
            "titanic/notebooks/1-titanic-feature-group-backfill.ipynb",
            "titanic/notebooks/2-titanic-training-pipeline.ipynb",
            "titanic/notebooks/3-scheduled-titanic-feature-pipeline-daily.ipynb",
            "titanic/notebooks/4-scheduled-titanic-batch-inference-daily.ipynb",
        ),
        beside=("mlfs", "docs/titanic", "docs/_includes"),
        stand_ins=(
            (r"from mlfs import config|settings = config", "settings = None"),
            (r"img = Image.open", "img = Image.new('RGB', (8, 8))"),
        ),
        differs={r"settings = config": "an account's settings"},
        stubs=BOOK_STUBS,
        environment=BOOK_ENVIRONMENT,
    ),
    Family(
        "iris",
        "course",
        (
            "src/01-module/iris-feature-pipeline.ipynb",
            "src/01-module/iris-train-pipeline.ipynb",
            "src/01-module/iris-batch-inference-pipeline.ipynb",
        ),
        beside=("assets",),
        edits=((r"BACKFILL\s*=\s*False", "BACKFILL = True"),),
        stand_ins=(SEABORN_FIGURE,),
        differs={r"confusion[-_]matrix.png": "a plot"},
    ),
    Family(
        "iris_great_expectations",
        "course",
        ("src/05-module/iris-feature-pipeline-with-ge.ipynb",),
        edits=(
            (
                r"^import great_expectations as ge",
                "import types\n"
                "from spark_fs.expectation_suite import ExpectationConfiguration, ExpectationSuite\n"
                "ge = types.SimpleNamespace(core=types.SimpleNamespace(ExpectationSuite=ExpectationSuite,"
                " ExpectationConfiguration=ExpectationConfiguration))",
            ),
        ),
    ),
    Family(
        "iris_deployment",
        "course",
        ("src/03-module/iris_with_sklearn_transformer.ipynb",),
    ),
    Family(
        "titanic_course",
        "course",
        (
            "src/02-module/titanic/titanic_feature_pipelines.ipynb",
            "src/02-module/titanic/titanic_training_pipeline.ipynb",
        ),
        edits=((r"n_estimators=1000", "n_estimators=20"),),
    ),
    Family(
        "card_fraud_course",
        "course",
        (
            "src/02-module/1_backfill_cc_feature_groups.ipynb",
            "src/03-module/3_model_training.ipynb",
            "src/03-module/4_batch_predictions.ipynb",
        ),
        edits=((r'timedelta64\(1, "Y"\)', 'timedelta64(365, "D")'),),  # gone from NumPy
    ),
    Family(
        "card_fraud_book",
        "book",
        ("ccfraud/notebooks/4-training-cc-fraud-pipeline.ipynb",),
        beside=("mlfs",),
        stand_ins=((r"from mlfs import config|settings = config", "settings = None"),),
        differs={r"settings = config": "an account's settings"},
        stubs=BOOK_STUBS,
        before={
            "ccfraud/notebooks/4-training-cc-fraud-pipeline.ipynb": (
                "import spark_fs, made_data;"
                " made_data.create_card_fraud_groups(spark_fs.login().get_feature_store())"
            )
        },
        environment=BOOK_ENVIRONMENT,
    ),
    Family(
        "datasets",
        "tutorials",
        ("datasets.ipynb",),
        folder="api_examples",
        before={"datasets.ipynb": "open('train-images-idx3-ubyte.gz', 'wb').write(b'images')"},
    ),
    Family(
        "feature_monitoring",
        "tutorials",
        ("feature_monitoring.ipynb",),
        folder="api_examples",
        edits=(
            (r"create_statistics_monitoring", "create_scheduled_statistics"),  # its name by now
            (
                r"of a single feature(.*)\n    feature_name=\"amount\"",
                r'of a single feature\1\n    feature_names=["amount"]',
            ),
        ),
    ),
    Family(
        "wandb",
        "tutorials",
        ("1_feature_groups.ipynb", "2_feature_view_creation.ipynb", "3_model_training.ipynb"),
        folder="integrations/wandb",
        differs={r"_feature_view_engine|fv_metadata": "an attribute that is private there"},
    ),
)
