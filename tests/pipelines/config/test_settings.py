import re
import subprocess
import sys
from pathlib import Path

import pytest

from rejse.pipelines.config import journey_types, raw_schema, settings
from rejse.transforms.schema.parameters import DAY, MINUTE, WEIGHTS

KEY = "ab" * 32
TOML = """
store = "store"
non_persons = ["undefined"]
[windows]
gap = "20d"
session_gap = "10min"
[weights]
reasked_info = 0.5
promise_late = 0.2
[operational]
journey_types = "journey_types.csv"
[types.claim]
cap = "400d"
outcome_map = { resolved = 1.0, partly = 0.25 }
[sources.web]
files = ["${LOGS}/*.csv"]
mapping = "web.sql"
schema = "web.json"
disorder = "10s"
declares = ["id", "time"]
"""
TYPES = """journey_type,owner,gap,end_activities,is_problem,valid_from
claim,Claims,40d,closed;settled,true,2020-01-01
claim,Claims II,50d,closed,true,2021-01-01
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOGS", "/logs")
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "rejse.toml").write_text(TOML)
    (tmp_path / "web.sql").write_text("select id, t as time from source")
    (tmp_path / "web.json").write_text('{"columns": {"id": "string", "t": "int64"}}')
    (tmp_path / "journey_types.csv").write_text(TYPES)
    (tmp_path / "rejse.key").write_text(KEY + "\n")
    return tmp_path


def changed(folder: Path, old: str, new: str, name: str = "rejse.toml") -> settings.Settings:
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return settings.load(folder / "rejse.toml")


def test_paths_and_defaults(folder: Path) -> None:
    loaded = settings.load(folder / "rejse.toml")
    web = loaded.sources["web"]
    assert (loaded.root, loaded.store, loaded.key_file) == (
        folder,
        folder / "store",
        folder / "rejse.key",
    )
    assert (web.name, web.files, web.mapping) == ("web", ("/logs/*.csv",), folder / "web.sql")
    assert (web.disorder, web.retired) == (10_000_000, False)


def test_rules_of_the_core(folder: Path) -> None:
    rules = settings.load(folder).rules()
    claim = rules.type_of("claim")
    assert rules.default_type.gap == 20 * DAY
    assert rules.windows.session_gap == 10 * MINUTE
    assert (claim.owner, claim.gap, claim.cap) == ("Claims II", 50 * DAY, 400 * DAY)
    assert (claim.end_activities, claim.is_problem) == (("closed",), True)
    assert claim.outcome_map == {"resolved": 1.0, "partly": 0.25}
    assert rules.weights == {**WEIGHTS, "reasked_info": 0.5}
    assert rules.late_promise_weight == 0.2
    assert rules.sources == {"web": frozenset({"id", "time"})}


def test_sources_of_answers_say_what_they_map_too(folder: Path) -> None:
    loaded = changed(folder, "[sources.web]", '[sources.web]\nkind = "experience"')
    assert loaded.rules().sources == {"web": frozenset({"id", "time"})}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("rejse.toml", "20d", "21d"),
        ("rejse.toml", "0.5", "0.4"),
        ("rejse.toml", "undefined", "null"),
        ("rejse.toml", 'disorder = "10s"', ""),
        ("web.sql", "t as time", "t + 1 as time"),
        ("web.json", "int64", "int32"),
        ("journey_types.csv", "40d", "41d"),
    ],
)
def test_version_changes_with_what_changes_results(
    folder: Path, name: str, old: str, new: str
) -> None:
    before = settings.load(folder).version
    assert len(before) == 16
    assert changed(folder, old, new, name).version != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("rejse.toml", 'store = "store"', 'store = "elsewhere"'),
        ("rejse.toml", "${LOGS}/*.csv", "/other/*.csv"),
        ("rejse.key", "ab", "cd"),
        ("web.json", ": ", ":   "),
    ],
)
def test_version_stays_otherwise(folder: Path, name: str, old: str, new: str) -> None:
    before = settings.load(folder).version
    assert changed(folder, old, new, name).version == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('gap = "20d"', "gap = 20", "windows.gap: expected a duration with its unit"),
        ('gap = "20d"', 'gapp = "20d"', "windows.gapp: is no setting; did you mean gap?"),
        ('store = "store"', 'stroe = "store"', "stroe: is no setting; did you mean store"),
        ('disorder = "10s"', "zzz = 1", "known are archive, array, csv, declares"),
        ("reasked_info", "reasked", "weights: expected one of"),
        ("0.5", "1.5", r"weight in \(0, 0.95\]"),
        ('mapping = "web.sql"', "", "sources.web.mapping: is needed"),
        ("${LOGS}", "${NOT_SET_ANYWHERE}", "NOT_SET_ANYWHERE, which is not set"),
        ("journey_types.csv", "none.csv", "expected the file none.csv"),
        ("[windows]", "[windows", "expected TOML"),
    ],
)
def test_wrong_settings_are_named(folder: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        changed(folder, old, new)


def test_who_is_satisfied_is_said_once(folder: Path) -> None:
    before = settings.load(folder)
    assert before.surveys.thresholds() == {
        "csat.scale_min": 1,
        "csat.scale_max": 5,
        "csat.satisfied_from": 4,
    }
    text = "[surveys.csat]\nscale = [0, 10]\nsatisfied_from = 7.5\n[windows]"
    after = changed(folder, "[windows]", text)
    assert after.surveys.thresholds() == {
        "csat.scale_min": 0,
        "csat.scale_max": 10,
        "csat.satisfied_from": 7.5,
    }
    assert after.version != before.version


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("scale = [5, 1]", r"from a least to a greatest answer such as \[1, 5\], came \[5, 1\]"),
        ("scale = [1, inf]", "such as"),
        ("scale = [1, 7]\nsatisfied_from = 8", r"above 1 and at most 7, came 8"),
        ("satisfied_from = 1", "above 1 and at most 5, came 1"),
        ("satisfied_from = nan", "came nan"),
        ("scale = [1]", "surveys.csat.scale"),
        ("from = 4", "surveys.csat.from: is no setting"),
    ],
)
def test_a_threshold_outside_its_scale_is_refused(folder: Path, line: str, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        changed(folder, "[windows]", f"[surveys.csat]\n{line}\n[windows]")


def test_wrong_journey_type_is_named(folder: Path) -> None:
    with pytest.raises(settings.SettingsError, match="journey type claim, column gap"):
        changed(folder, "50d", "50", "journey_types.csv")


def test_missing_configuration_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match="rejse init"):
        settings.load(tmp_path / "rejse.toml")


def test_key_of_file_and_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings.load(folder)
    assert loaded.key() == bytes.fromhex(KEY)
    monkeypatch.setenv(settings.KEY_VARIABLE, "cd" * 16)
    assert loaded.key() == bytes.fromhex("cd" * 16)


@pytest.mark.parametrize("text", ["nohexatall" * 8, "abcd"])
def test_bad_key_is_refused_and_not_shown(folder: Path, text: str) -> None:
    (folder / "rejse.key").write_text(text)
    with pytest.raises(settings.SettingsError) as fault:
        settings.load(folder).key()
    assert text not in str(fault.value)
    assert fault.value.__cause__ is None


def test_key_is_in_no_text_of_the_settings(folder: Path) -> None:
    loaded = settings.load(folder)
    assert loaded.key().hex() not in repr(loaded) + loaded.model_dump_json()


def test_raw_schema_is_read_back(tmp_path: Path) -> None:
    import pyarrow as pa

    schema = pa.schema(
        {
            "a": pa.string(),
            "b": pa.timestamp("us", tz="UTC"),
            "c": pa.timestamp("ms"),
            "d": pa.list_(pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
            "e": pa.decimal128(18, 4),
            "f": pa.bool_(),
            "g": pa.float64(),
            "h": pa.map_(pa.string(), pa.string()),
            "i": pa.date32(),
            "j": pa.null(),
        }
    )
    raw_schema.write(tmp_path / "raw.json", schema)
    assert raw_schema.read(tmp_path / "raw.json") == schema
    with pytest.raises(FileExistsError):
        raw_schema.write(tmp_path / "raw.json", schema)


def test_raw_schema_names_the_unknown_type(tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text('{"columns": {"t": "varchar(20)"}}')
    with pytest.raises(ValueError, match=r"column t: expected an Arrow type"):
        raw_schema.read(tmp_path / "raw.json")


@pytest.mark.parametrize(("here", "place"), [(".", "rejse.key"), ("..", "{name}/rejse.key")])
def test_missing_key_is_made_where_it_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, here: str, place: str
) -> None:
    (folder / "rejse.key").unlink()
    monkeypatch.chdir(folder / here)
    with pytest.raises(settings.SettingsError) as fault:
        settings.load(folder).key()
    assert f"> {place.format(name=folder.name)})" in str(fault.value)


def test_missing_key_elsewhere_is_said_in_full(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "rejse.key").unlink()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(settings.SettingsError) as fault:
        settings.load(folder).key()
    assert f"> {folder / 'rejse.key'})" in str(fault.value)


def test_what_views_read_leaves_stored_rows_comparable(folder: Path) -> None:
    plain = settings.load(folder)
    served = changed(folder, "[windows]", "[surveys.csat]\nsatisfied_from = 3\n[windows]")
    ruled = changed(folder, "[windows]", "[windows]\nrepeat = '3d'")
    everything = changed(folder, "repeat = '3d'", "repeat = '7d'\nhorizon = '60d'")
    own = changed(folder, 'cap = "400d"', 'cap = "400d"\nhorizon = "20d"')
    assert len({configured.version for configured in (plain, served, everything, own)}) == 4
    assert plain.versions == served.versions == everything.versions == own.versions
    assert plain.versions != ruled.versions


def test_a_horizon_is_of_all_types_or_of_one(folder: Path) -> None:
    plain = journey_types.served_windows(settings.load(folder).rules())
    assert [name for name in plain if name.startswith("horizon")] == []
    more = "[types.sale]\n[windows]\nhorizon = '60d'"
    changed(folder, "[windows]", more)
    table = "claim,Claims,40d,closed;settled,true,2020-01-01"
    changed(folder, "valid_from\n", "valid_from,horizon\n", "journey_types.csv")
    changed(folder, table, f"{table},30d", "journey_types.csv")
    rules = changed(
        folder, ",closed,true,2021-01-01", ",closed,true,2021-01-01,20d", "journey_types.csv"
    ).rules()
    served = journey_types.served_windows(rules)
    assert {name: us // DAY for name, us in served.items() if name.startswith("horizon")} == {
        "horizon.other": 60,
        "horizon.claim": 20,
        "horizon.sale": 60,
    }
    assert (served["settling.claim"], served["cap.claim"]) == (50 * DAY, 400 * DAY)
    problems = journey_types.served_thresholds(rules)
    assert problems == {"is_problem.other": 0, "is_problem.claim": 1, "is_problem.sale": 0}


FILES = 'files = ["${LOGS}/*.csv"]'
TOPIC = 'topic = "clicks"\nservers = "localhost:9092"'


def test_a_source_reads_a_topic(folder: Path) -> None:
    options = (
        'options = { "sasl.password" = "${KAFKA_PASSWORD}", "socket.timeout.ms" = 5000,'
        ' "enable.ssl.certificate.verification" = true }'
    )
    web = changed(folder, FILES, f'{TOPIC}\n{options}\nidle = "5min"').sources["web"]
    assert (web.topic, web.servers, web.format) == ("clicks", "localhost:9092", "json")
    assert (web.files, web.idle) == ((), 5 * MINUTE)
    assert web.options == {  # the variable is not looked at before it is needed
        "sasl.password": "${KAFKA_PASSWORD}", "socket.timeout.ms": "5000",
        "enable.ssl.certificate.verification": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("", "expected `files` or `topic`, came none"),
        (f"{FILES}\n{TOPIC}", "expected `files` or `topic`, came both"),
        ('topic = "clicks"', "expected `servers` of the topic"),
        (f'{FILES}\nservers = "a:1"\nidle = "1h"', "expected `topic` with idle, servers"),
        ('topic = "c/licks"\nservers = "a:1"', "sources.web.topic"),
        (f'{TOPIC}\noptions = {{ "group.id" = "x" }}', "group.id: is set by rejse itself"),
        (f'{TOPIC}\noptions = {{ "plugin.library.paths" = "x.so" }}', "is set by rejse itself"),
        (f'{TOPIC}\noptions = {{ "linger.ms" = [1] }}', "linger.ms: expected a text"),
        (f'{TOPIC}\nformat = "xml"', "sources.web.format"),
    ],
)
def test_a_wrong_topic_is_refused(folder: Path, new: str, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=re.escape(message)):
        changed(folder, FILES, new)


@pytest.mark.parametrize(
    "name",
    ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret",
     "schema.registry.basic.auth.user.info"],
)  # fmt: skip
def test_a_secret_in_the_configuration_is_refused_and_not_shown(folder: Path, name: str) -> None:
    options = f'{TOPIC}\noptions = {{ "{name}" = "hunter2" }}'
    with pytest.raises(settings.SettingsError, match="environment variable") as fault:
        changed(folder, FILES, options)
    assert "hunter2" not in str(fault.value)


def test_a_topic_in_place_of_files_leaves_stored_rows_comparable(folder: Path) -> None:
    before = settings.load(folder / "rejse.toml")
    after = changed(folder, FILES, TOPIC)
    assert after.source_versions == before.source_versions
    assert after.versions == before.versions


def test_settings_need_no_arrow() -> None:
    """It must not be loaded before the command has told it how to use memory."""
    code = "import sys, rejse.pipelines.config.settings; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
