"""Generated files of the names and columns that the public notebooks download.

No row of the real files is here: each maker draws its rows anew, from one seed, so that a run can be repeated.
"""

from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import pandas as pd

FIRST_CARD = 4_700_702_588_013_561  # the one that the quickstart asks for
CATEGORIES = ["Grocery", "Restaurant/Cafeteria", "Health/Beauty", "Clothing", "Cash Withdrawal"]


def read_made(
    name: str, reader: Callable[..., Any], as_bytes: bool, *args: Any, **kwargs: Any
) -> Any:
    """What a reader of pandas or Polars makes of the generated file, with the notebook's own arguments."""
    frame = MAKERS[name]()
    if name.endswith(".parquet"):
        file = BytesIO()
        frame.to_parquet(file)
        file.seek(0)
        return reader(file, *args, **kwargs)
    text = frame.to_csv(index=name in INDEXED)
    return reader(BytesIO(text.encode()) if as_bytes else StringIO(text), *args, **kwargs)


def _draw(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def _cards() -> np.ndarray:
    return FIRST_CARD + np.arange(40) * 7


def make_credit_cards() -> pd.DataFrame:
    cards = _cards()
    months = _draw().integers(1, 13, len(cards))
    return pd.DataFrame(
        {
            "cc_num": cards,
            "provider": "visa",
            "expires": [f"{month:02d}/{23 + month % 4}" for month in months],
        }
    )


def make_profiles() -> pd.DataFrame:
    cards = _cards()
    births = pd.Timestamp("1950-01-01") + pd.to_timedelta(
        _draw().integers(0, 18_000, len(cards)), unit="D"
    )
    return pd.DataFrame(
        {
            "name": [f"Holder {n}" for n in range(len(cards))],
            "gender": _draw().choice(["F", "M"], len(cards)),
            "mail": [f"holder{n}@example.org" for n in range(len(cards))],
            "birthdate": births,
            "City": "Springfield",
            "Country": "US",
            "cc_num": cards,
        }
    )


def make_profiles_parquet() -> pd.DataFrame:
    return make_profiles().rename(columns={"gender": "sex"})


def make_transactions(category: str | None = None, rows: int = 1500) -> pd.DataFrame:
    draw = _draw()
    seconds = draw.choice(89 * 86_400, rows, replace=False)  # one instant, one transaction
    categories = np.array([category] * rows) if category else draw.choice(CATEGORIES, rows)
    return pd.DataFrame(
        {
            "tid": [f"{n:032x}" for n in draw.permutation(rows)],
            "datetime": pd.Timestamp("2022-01-01") + pd.to_timedelta(np.sort(seconds), unit="s"),
            "cc_num": draw.choice(_cards(), rows),
            "category": categories,
            "amount": draw.exponential(80, rows).round(2),
            "latitude": draw.uniform(25, 48, rows).round(5),
            "longitude": draw.uniform(-120, -70, rows).round(5),
            "city": draw.choice(["Brooklyn", "El Paso", "Dallas"], rows),
            "country": draw.choice(["US", "CA"], rows),
            "fraud_label": (draw.random(rows) < 0.1).astype("int64"),
        }
    )


def make_withdrawals() -> pd.DataFrame:
    return make_transactions("Cash Withdrawal")


def make_recent_transactions() -> pd.DataFrame:
    """The same, up to now: the course's batch is that of the last day."""
    frame = make_transactions()
    shift = pd.Timestamp.now().floor("s") - frame["datetime"].max()
    return frame.assign(datetime=frame["datetime"] + shift)


def make_iris() -> pd.DataFrame:
    draw = _draw()
    centres = {"Setosa": (5.0, 3.4, 1.5, 0.2), "Versicolor": (5.9, 2.8, 4.3, 1.3)}
    centres["Virginica"] = (6.6, 3.0, 5.6, 2.0)
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    frames = []
    for variety, centre in centres.items():
        values = draw.normal(centre, 0.3, (50, 4)).clip(0.1).round(4)
        frames.append(pd.DataFrame(values, columns=names).assign(variety=variety))
    flowers = pd.concat(frames, ignore_index=True)
    return pd.concat(
        [flowers, flowers.tail(1)], ignore_index=True
    )  # one twice, as in the real file


def make_titanic() -> pd.DataFrame:
    draw, rows = _draw(), 400
    frame = pd.DataFrame(
        {
            "PassengerId": np.arange(1, rows + 1),
            "Survived": draw.integers(0, 2, rows),
            "Pclass": draw.integers(1, 4, rows),
            "Name": [f"Passenger {n}" for n in range(rows)],
            "Sex": draw.choice(["male", "female"], rows),
            "Age": draw.uniform(1, 80, rows).round(1),
            "SibSp": draw.integers(0, 4, rows),
            "Parch": draw.integers(0, 4, rows),
            "Ticket": "A/5 21171",
            "Fare": draw.uniform(5, 200, rows).round(2),
            "Cabin": "C85",
            "Embarked": draw.choice(["S", "C", "Q"], rows),
        }
    )
    return frame.assign(
        Age=frame["Age"].mask(frame.index % 9 == 0),
        Embarked=frame["Embarked"].mask(frame.index == 61),
    )


def make_titanic_passengers() -> pd.DataFrame:
    names = {"PassengerId": "passenger_id", "Name": "name", "Sex": "sex", "Age": "age"}
    return make_titanic()[list(names)].rename(columns=names).fillna({"age": 30.0})


def make_titanic_tickets() -> pd.DataFrame:
    names = {
        "PassengerId": "passenger_id",
        "Pclass": "pclass",
        "Fare": "fare",
        "Embarked": "embarked",
    }
    return make_titanic()[list(names)].rename(columns=names).fillna({"embarked": "S"})


def make_titanic_survived() -> pd.DataFrame:
    names = {"PassengerId": "passenger_id", "Survived": "survived"}
    return make_titanic()[list(names)].rename(columns=names)


def create_card_fraud_groups(fs: Any) -> None:
    """The groups that the book's streams fill, with generated rows."""
    draw, rows = _draw(), 600
    at = pd.date_range("2026-06-01", periods=rows, freq="h")
    cards = [f"card{n}" for n in draw.integers(0, 20, rows)]
    merchants = [f"merchant{n}" for n in draw.integers(0, 10, rows)]
    transactions = pd.DataFrame(
        {
            "t_id": np.arange(rows),
            "cc_num": cards,
            "merchant_id": merchants,
            "account_id": "account0",
            "amount": draw.exponential(80, rows).round(2),
            "ip_address": "10.0.0.1",
            "card_present": draw.random(rows) < 0.5,
            "time_since_last_trans": draw.integers(0, 9_000, rows),
            "days_to_card_expiry": draw.integers(0, 900, rows),
            "is_fraud": draw.random(rows) < 0.2,
            "haversine_distance": draw.random(rows) < 0.5,
            "prev_card_present": draw.random(rows) < 0.5,
            "prev_ip_address": "10.0.0.2",
            "prev_ts": at - pd.Timedelta(hours=1),
            "ts": at,
        }
    )
    aggregates = pd.DataFrame(
        {
            "t_id": np.arange(rows),
            "cc_num": cards,
            "account_id": "account0",
            "bank_id": "bank0",
            "sum_last_day": draw.uniform(0, 900, rows),
            "count_last_day": draw.integers(0, 9, rows),
            "event_time": at,
        }
    )
    names = [f"merchant{n}" for n in range(10)]
    details = {
        "merchant_details": pd.DataFrame(
            {
                "merchant_id": names,
                "category": draw.choice(CATEGORIES, 10),
                "country": "SE",
                "cnt_chrgeback_prev_day": 1.0,
            }
        ),
        "account_details": pd.DataFrame({"account_id": ["account0"], "debt_end_prev_month": [5.0]}),
        "bank_details": pd.DataFrame(
            {
                "bank_id": ["bank0"],
                "country": ["SE"],
                "credit_rating": [3],
                "days_since_bank_cr_changed": [9],
            }
        ),
        "card_details": pd.DataFrame({"cc_num": sorted(set(cards)), "status": "active"}),
    }
    for name, frame in details.items():
        fs.create_feature_group(name, version=1, primary_key=[frame.columns[0]]).insert(frame)
    for name, frame, event_time in (
        ("cc_trans_fg", transactions, "ts"),
        ("cc_trans_aggs_fg", aggregates, "event_time"),
    ):
        group = fs.create_feature_group(
            name, version=1, primary_key=["cc_num"], event_time=event_time
        )
        group.insert(frame)


def _customers() -> list[str]:
    return [f"{n:04d}-ABCDE" for n in range(400)]


def make_demography() -> pd.DataFrame:
    customers, draw = _customers(), _draw()
    return pd.DataFrame(
        {
            "customerID": customers,
            "gender": draw.choice(["Male", "Female"], len(customers)),
            "SeniorCitizen": draw.integers(0, 2, len(customers)),
            "Dependents": draw.choice(["Yes", "No"], len(customers)),
            "Partner": draw.choice(["Yes", "No"], len(customers)),
        }
    )


def make_customer_info() -> pd.DataFrame:
    customers, draw = _customers(), _draw()
    count = len(customers)
    totals = draw.uniform(20, 8000, count).round(2).astype(str)
    totals[5] = " "  # the real file has blanks
    return pd.DataFrame(
        {
            "customerID": customers,
            "Contract": draw.choice(["Month-to-month", "One year", "Two year"], count),
            "tenure": draw.integers(0, 72, count),
            "PaymentMethod": draw.choice(["Electronic check", "Mailed check"], count),
            "PaperlessBilling": draw.choice(["Yes", "No"], count),
            "MonthlyCharges": draw.uniform(20, 120, count).round(2),
            "TotalCharges": totals,
            "Churn": draw.choice(["Yes", "No"], count),
            "datetime": pd.Timestamp("2022-09-01") + pd.to_timedelta(np.arange(count), unit="h"),
        }
    )


def make_subscriptions() -> pd.DataFrame:
    customers, draw = _customers(), _draw()
    answers = ["Yes", "No", "No internet service"]
    names = [
        "DeviceProtection",
        "OnlineBackup",
        "OnlineSecurity",
        "InternetService",
        "MultipleLines",
    ]
    names += ["PhoneService", "TechSupport", "StreamingMovies", "StreamingTV"]
    frame = pd.DataFrame({"customerID": customers})
    for name in names:
        frame[name] = draw.choice(answers, len(customers))
    start = pd.Timestamp("2022-08-01")
    return frame.assign(datetime=start + pd.to_timedelta(np.arange(len(customers)), unit="h"))


def make_loans() -> pd.DataFrame:
    draw, rows = _draw(), 500
    months = pd.date_range("2015-01-01", "2016-12-01", freq="MS").strftime("%b-%Y")
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "loan_amnt": draw.integers(1, 40, rows) * 1000.0,
            "term": draw.choice([" 36 months", " 60 months"], rows),
            "int_rate": draw.uniform(5, 25, rows).round(2),
            "installment": draw.uniform(50, 900, rows).round(2),
            "grade": draw.choice(list("ABCD"), rows),
            "sub_grade": draw.choice(["A1", "B2", "C3"], rows),
            "issue_d": draw.choice(months, rows),
            "loan_status": draw.choice(["Fully Paid", "Charged Off"], rows, p=[0.7, 0.3]),
            "purpose": draw.choice(["car", "wedding"], rows),
            "title": "a loan",
            "dti": draw.uniform(0, 40, rows).round(2),
            "address": [f"1 Main Street, Town {n % 7}, NJ {10000 + n % 7}" for n in range(rows)],
        }
    )


def make_applicants() -> pd.DataFrame:
    draw, rows = _draw(), 500
    months = pd.date_range("1990-01-01", "2010-12-01", freq="MS").strftime("%b-%Y")
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "emp_title": "clerk",
            "emp_length": "10+ years",
            "home_ownership": draw.choice(["RENT", "OWN", "MORTGAGE", "ANY"], rows),
            "annual_inc": draw.uniform(20_000, 150_000, rows).round(2),
            "verification_status": draw.choice(["Verified", "Not Verified"], rows),
            "earliest_cr_line": draw.choice(months, rows),
            "open_acc": draw.integers(1, 20, rows).astype(float),
            "pub_rec": draw.integers(0, 2, rows).astype(float),
            "revol_bal": draw.uniform(0, 50_000, rows).round(2),
            "revol_util": draw.uniform(0, 100, rows).round(1),
            "total_acc": (np.arange(rows) % 30).astype(float),
            "initial_list_status": draw.choice(["w", "f"], rows),
            "application_type": "INDIVIDUAL",
            "mort_acc": draw.integers(0, 5, rows).astype(float),
            "pub_rec_bankruptcies": draw.integers(0, 2, rows).astype(float),
        }
    )
    return frame.assign(mort_acc=frame["mort_acc"].mask(frame.index % 17 == 3))


def make_data_dictionary() -> pd.DataFrame:
    names = ["annual_inc", "dti", "id", "int_rate", "term", "no_such_column"]
    return pd.DataFrame(
        {"LoanStatNew": names, "Description": [f"What {name} is" for name in names]}
    )


def _at(rows: int, start: str = "2020-01-01") -> pd.DatetimeIndex:
    return pd.Timestamp(start) + pd.to_timedelta(np.arange(rows) * 37, unit="min")


def make_applications() -> pd.DataFrame:
    draw, rows = _draw(), 400
    frame = pd.DataFrame(
        {
            "sk_id_curr": 100_000 + np.arange(rows),
            "target": draw.integers(0, 2, rows),
            "name_contract_type": draw.choice(["Cash loans", "Revolving loans"], rows),
            "code_gender": draw.choice(["F", "M"], rows),
            "flag_own_car": draw.choice(["Y", "N"], rows),
            "flag_own_realty": draw.choice(["Y", "N"], rows),
            "cnt_children": draw.integers(0, 4, rows),
            "amt_income_total": draw.uniform(20_000, 300_000, rows),
            "amt_credit": draw.uniform(50_000, 900_000, rows),
            "amt_annuity": draw.uniform(2_000, 60_000, rows),
            "amt_goods_price": draw.uniform(50_000, 900_000, rows),
            "name_type_suite": draw.choice(["Unaccompanied", "Family", "Children"], rows),
            "name_income_type": draw.choice(
                ["Working", "Pensioner", "State servant", "Student"], rows
            ),
            "name_education_type": draw.choice([f"School {n}" for n in range(5)], rows),
            "name_family_status": draw.choice([f"Status {n}" for n in range(5)], rows),
            "days_birth": -draw.integers(8_000, 25_000, rows),
            "days_employed": -draw.integers(1, 9_000, rows),
            "flag_mobil": 1,
            "weekday_appr_process_start": "MONDAY",
            "hour_appr_process_start": draw.integers(0, 24, rows),
            "organization_type": draw.choice(["School", "Police"], rows),
            "ext_source_1": np.where(np.arange(rows) % 2 == 0, np.nan, 0.5),  # too many are missing
        }
    )
    for number in (2, 3, 4, 7, 10, 12, 14, 17, 19, 20, 21):
        frame[f"flag_document_{number}"] = draw.integers(0, 2, rows)
    return frame.assign(datetime=_at(rows))


def make_bureaus() -> pd.DataFrame:
    draw, rows = _draw(), 600
    return pd.DataFrame(
        {
            "sk_id_curr": 100_000 + draw.integers(0, 400, rows),
            "sk_id_bureau": 5_000_000 + np.arange(rows),
            "credit_active": draw.choice(["Active", "Closed"], rows),
            "credit_currency": "currency 1",
            "days_credit": -draw.integers(1, 3000, rows),
            "amt_credit_sum": draw.uniform(0, 500_000, rows),
            "credit_type": draw.choice(["Consumer credit", "Credit card"], rows),
            "datetime": _at(rows, "2020-03-01"),
        }
    )


def make_bureau_balances() -> pd.DataFrame:
    draw, rows = _draw(), 600
    return pd.DataFrame(
        {
            "sk_id_bureau": 5_000_000 + np.arange(rows),
            "months_balance": -draw.integers(0, 90, rows),
            "status": draw.choice(["C", "0", "X"], rows),
        }
    )


def _previous(rows: int) -> dict[str, np.ndarray]:
    return {
        "sk_id_prev": 1_000_000 + np.arange(rows),
        "sk_id_curr": 100_000 + _draw(11).integers(0, 400, rows),
    }


def make_previous_applications() -> pd.DataFrame:
    draw, rows = _draw(), 400
    return pd.DataFrame(
        {
            **_previous(rows),
            "name_contract_type": draw.choice(["Cash loans", "Consumer loans"], rows),
            "amt_annuity": draw.uniform(1_000, 50_000, rows),  # a name that applications have too
            "amt_application": draw.uniform(0, 500_000, rows),
            "name_contract_status": draw.choice(
                ["Approved", "Refused", "Canceled", "Unused"], rows
            ),
            "days_decision": -draw.integers(1, 2900, rows),
            "datetime": _at(rows),
        }
    )


def make_pos_cash_balances() -> pd.DataFrame:
    draw, rows = _draw(), 400
    return pd.DataFrame(
        {
            **_previous(rows),
            "months_balance": -draw.integers(1, 90, rows),
            "cnt_instalment": draw.integers(1, 60, rows).astype(float),
            "cnt_instalment_future": draw.integers(0, 60, rows).astype(float),
            "name_contract_status": draw.choice(["Active", "Completed"], rows),
            "sk_dpd": 0,
            "sk_dpd_def": 0,
        }
    )


def make_installment_payments() -> pd.DataFrame:
    draw, rows = _draw(), 400
    return pd.DataFrame(
        {
            **_previous(rows),
            "num_instalment_version": draw.integers(0, 3, rows).astype(float),
            "num_instalment_number": draw.integers(1, 40, rows),
            "amt_instalment": draw.uniform(100, 50_000, rows),
            "amt_payment": draw.uniform(100, 50_000, rows),
            "datetime": _at(rows),
        }
    )


def make_credit_card_balances() -> pd.DataFrame:
    draw, rows = _draw(), 400
    return pd.DataFrame(
        {
            **_previous(rows),
            "months_balance": -draw.integers(1, 90, rows),
            "amt_balance": draw.uniform(0, 90_000, rows),
            "amt_credit_limit_actual": draw.integers(0, 10, rows) * 45_000,
            "name_contract_status": draw.choice(["Active", "Completed"], rows),
            "sk_dpd": 0,
            "sk_dpd_def": 0,
        }
    )


def make_rides() -> pd.DataFrame:
    draw, rows = _draw(), 500
    frame = pd.DataFrame(
        {
            "ride_id": [f"{n:032x}" for n in range(rows)],
            "pickup_datetime": 1_577_883_600_000 + draw.integers(0, 30_000, rows) * 1000,
            "pickup_longitude": draw.uniform(-74.5, -72.8, rows).round(5),
            "dropoff_longitude": draw.uniform(-74.5, -72.8, rows).round(5),
            "pickup_latitude": draw.uniform(40.5, 41.8, rows).round(5),
            "dropoff_latitude": draw.uniform(40.5, 41.8, rows).round(5),
            "passenger_count": draw.integers(1, 5, rows),
            "taxi_id": draw.integers(1, 201, rows),
            "driver_id": draw.integers(1, 201, rows),
            "distance": draw.uniform(0.1, 90, rows),
        }
    )
    for name in ("jfk", "ewr", "lgr"):
        frame[f"pickup_distance_to_{name}"] = draw.uniform(0.1, 90, rows)
        frame[f"dropoff_distance_to_{name}"] = draw.uniform(0.1, 90, rows)
    return frame.assign(
        year=2020, weekday=draw.integers(0, 7, rows), hour=draw.integers(0, 24, rows)
    )


def make_fares() -> pd.DataFrame:
    draw, rows = _draw(), 500
    return pd.DataFrame(
        {
            "taxi_id": draw.integers(1, 201, rows),
            "driver_id": draw.integers(1, 201, rows),
            "tolls": draw.integers(0, 6, rows).astype(float),
            "total_fare": draw.integers(3, 250, rows).astype(float),
            "ride_id": [f"{n:032x}" for n in range(rows)],
        }
    )


def _patients(rows: int = 400) -> dict[str, Any]:
    return {
        "id": np.arange(rows),
        "date": pd.Timestamp("2015-01-01") + pd.to_timedelta(np.arange(rows), unit="D"),
    }


def make_patient_demographics() -> pd.DataFrame:
    draw, base = _draw(), _patients()
    rows = len(base["id"])
    return pd.DataFrame(
        {
            **base,
            "age_at_list_registration": draw.integers(10, 80, rows),
            "gender": draw.choice(["M", "F"], rows),
            "age_cat": draw.choice(["Over60", "From18to60", "Below18"], rows),
        }
    )


def make_medical_background() -> pd.DataFrame:
    draw, base = _draw(), _patients()
    rows = len(base["id"])
    duration = pd.Series(draw.uniform(0, 60, rows)).mask(np.arange(rows) % 50 == 7)
    return pd.DataFrame(
        {
            **base,
            "dialysis_duration": duration,
            "blood_gp": draw.choice(["A", "B", "AB", "O"], rows),
            "underlying_disease": draw.choice(["Diabetes", "Other"], rows),
            "gestation": draw.choice(["YES", "NO"], rows),
            "prior_transplant": draw.choice(["YES", "NO"], rows),
            "number_prior_transplant": draw.integers(0, 3, rows),
        }
    )


def make_transplant_compatibility() -> pd.DataFrame:
    draw, base = _draw(), _patients()
    rows = len(base["id"])
    frame = pd.DataFrame({**base, "cPRA": draw.integers(0, 101, rows)})
    for name in ("HLA_A1", "HLA_A2", "HLA_B1", "HLA_B2", "HLA_DR1", "HLA_DR2"):
        frame[name] = draw.integers(0, 80, rows)
    return frame.assign(
        if_transplanted=draw.choice(["YES", "NO"], rows), duration=draw.uniform(1, 900, rows)
    )


def make_air_quality() -> pd.DataFrame:
    days = pd.date_range(end=pd.Timestamp.now().normalize() - pd.Timedelta(days=1), periods=300)
    return pd.DataFrame({"date": days, "pm25": _draw().uniform(1, 80, 300).round(1)})


def make_weather(city: str, days: pd.DatetimeIndex) -> pd.DataFrame:
    draw = _draw()
    frame = pd.DataFrame({"date": days})
    for name, most in (
        ("temperature_2m_mean", 30),
        ("precipitation_sum", 9),
        ("wind_speed_10m_max", 40),
    ):
        frame[name] = draw.uniform(0, most, len(days)).astype("float32")
    frame["wind_direction_10m_dominant"] = draw.uniform(0, 360, len(days)).astype("float32")
    return frame.assign(city=city)


def make_prices(start: Any, end: Any = None, ids: int = 30) -> pd.DataFrame:
    """A price a day of each article: in the notebook's own draw an article may have two of one day."""
    days = pd.date_range(start, end or pd.Timestamp.now().normalize())
    frame = pd.MultiIndex.from_product([days, range(ids)], names=["date", "id"]).to_frame(
        index=False
    )
    return frame.assign(price=_draw().uniform(150, 250, len(frame)).round(1))


MAKERS = {
    "card_fraud_data/credit_cards.csv": make_credit_cards,
    "card_fraud_data/profiles.csv": make_profiles,
    "card_fraud_data/transactions.csv": make_transactions,
    "card_fraud_data/credit_cards.parquet": make_credit_cards,
    "card_fraud_data/profiles.parquet": make_profiles_parquet,
    "card_fraud_data/transactions.parquet": make_recent_transactions,
    "card_fraud_online/profiles.csv": make_profiles,
    "card_fraud_online/transactions.csv": make_withdrawals,
    "data/iris.csv": make_iris,
    "data/titanic.csv": make_titanic,
    "titanic/titanic_passengers.csv": make_titanic_passengers,
    "titanic/titanic_tickets.csv": make_titanic_tickets,
    "titanic/titanic_survived.csv": make_titanic_survived,
    "data/air-quality-data.csv": make_air_quality,
    "churn/demography.csv": make_demography,
    "churn/customer_info.csv": make_customer_info,
    "churn/subscriptions.csv": make_subscriptions,
    "jdowling/loans-2023-05-10.parquet": make_loans,
    "jdowling/applicants-2023-05-10.parquet": make_applicants,
    "jdowling/LCDataDictionary.csv": make_data_dictionary,
    "credit_scores/applications.csv": make_applications,
    "credit_scores/bureau_balances.csv": make_bureau_balances,
    "credit_scores/bureaus.csv": make_bureaus,
    "credit_scores/credit_card_balances.csv": make_credit_card_balances,
    "credit_scores/installment_payments.csv": make_installment_payments,
    "credit_scores/pos_cash_balances.csv": make_pos_cash_balances,
    "credit_scores/previous_applications.csv": make_previous_applications,
    "nyc_taxi/rides500.csv": make_rides,
    "nyc_taxi/fares500.csv": make_fares,
    "hospital_wait_time/patient_demographics.csv": make_patient_demographics,
    "hospital_wait_time/medical_background.csv": make_medical_background,
    "hospital_wait_time/transplant_compatibility.csv": make_transplant_compatibility,
}
INDEXED = {"nyc_taxi/rides500.csv", "nyc_taxi/fares500.csv"}
