import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult
from rejse.pipelines.publication.publish import BalanceError
from rejse.pipelines.store.lock import AnotherWriter
from rejse.transforms.ingest.select_check import MappingError
from tests.support.cli import Command, run_result, stand_in

COMMANDS = (
    "init", "check", "run", "sql", "explain", "report", "calibrate", "compact", "vacuum", "diff",
    "forget", "metrics", "demo-data",
)  # fmt: skip


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom rejse.pipelines.cli import main\n"
        "try: main.main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} &"
        " {'pyarrow', 'duckdb', 'pandas', 'numpy', 'pydantic', 'apache_beam', 'deltalake'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f" {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_helps_with_an_example(rejse: Command, command: str) -> None:
    code, out, _ = rejse(command, "--help")
    assert code == 0
    assert f"Example: rejse {command}" in " ".join(out.split())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nope"], "No such command"),
        (["init"], "Missing argument"),
        (["run", "--complet-until", "x"], "No such option"),
        (["check", "--config", "none.toml"], "expected the configuration none.toml"),
        (["sql"], "expected one query"),
        (["sql", "select 1", "--guard"], "expected --csv"),
        (["sql", "--file", "nothere.sql"], "a ready question (broken_promises,"),
        (["sql", "select 1", "--as-of", "1", "--publication", "1"], "came both"),
        (["run", "--rebuild", "--rescore"], "stored rows anew; came both"),
        (["run", "logs.csv"], "came 'logs.csv'; sources and files are named in rejse.toml"),
    ],
)
def test_misuse_is_said_shortly(rejse: Command, args: list[str], message: str) -> None:
    code, out, err = rejse(*args)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_run_passes_on_its_request(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], RunRequest, Any]] = []

    def run(settings: Any, request: RunRequest, progress: Any) -> RunResult:
        calls.append((list(settings.sources), request, progress))
        return run_result()

    stand_in(monkeypatch, "run", run=run)
    code, out, err = rejse(
        "run", "-c", str(config), "--complete-until", "web=2025-01-01T01:00:00+01:00",
        "--", "--direct_num_workers=2", "--x",
    )  # fmt: skip
    assert (code, err) == (0, "")
    request = RunRequest(
        complete_until={"web": 1_735_689_600_000_000}, beam_args=("--direct_num_workers=2", "--x")
    )
    # Standard error is no terminal here: no progress.
    assert calls == [(["web"], request, None)]
    assert "read 7 = kept 4 + duplicate 1 + late 0 + rejected 2 + erased 0" in out
    assert "missing_time: 2" in out
    assert "unknown_channel: 5 values became other" in out
    apart = [line.split() for line in out.splitlines() if line.startswith(("answers ", "cases:"))]
    assert [(line[0], line[-1]) for line in apart] == [("answers", "12"), ("cases:erp", "1")]
    assert "longer ago than the windows" in out
    assert "published publication 3 in 1.2 s" in out


def test_a_run_says_why_all_was_made_anew(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run_result(mode="rescore", reason="changed: weights")
    stand_in(monkeypatch, "run", run=lambda *_: done)
    assert "stored rows were scored anew (changed: weights)\n" in rejse("run", "-c", str(config))[1]
    report = json.loads(rejse("run", "-c", str(config), "--json")[1])
    assert (report["mode"], report["reason"]) == ("rescore", "changed: weights")
    stand_in(monkeypatch, "run", run=lambda *_: run_result(mode="increment"))
    assert "anew" not in rejse("run", "-c", str(config))[1]


def test_frontier_is_the_former_name_of_complete_until(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[RunRequest] = []

    def run(settings: Any, request: RunRequest, progress: Any) -> RunResult:
        requests.append(request)
        return run_result()

    stand_in(monkeypatch, "run", run=run)
    for option in ("--complete-until", "--frontier"):
        assert rejse("run", "-c", str(config), option, "web=2025-01-01")[0] == 0
    assert requests[0] == requests[1]
    assert requests[0].complete_until == {"web": 1_735_689_600_000_000}
    _, text, _ = rejse("run", "--help")
    assert "--complete-until" in text
    assert "--frontier" not in text


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        (["run", "--complete"], RunRequest(complete=True)),
        (["run", "--rebuild"], RunRequest("rebuild")),
        (["run", "--rescore"], RunRequest("rescore")),
        (["run", "--from", "1970-01-01T00:00:01"], RunRequest(span=(1_000_000, 2**63 - 1))),
        (
            ["repair", "--from", "1970-01-01", "--until", "1970-01-02"],
            RunRequest("repair", span=(0, 86_400_000_000)),
        ),
        (["reconcile"], RunRequest("reconcile")),
    ],
)
def test_each_command_that_publishes_is_a_request(
    rejse: Command,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    request_: RunRequest,
) -> None:
    requests: list[RunRequest] = []

    def run(settings: Any, request: RunRequest, progress: Any) -> RunResult:
        requests.append(request)
        return run_result()

    stand_in(monkeypatch, "run", run=run)
    assert rejse(*args, "-c", str(config))[0] == 0
    assert requests == [request_]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["wep=2025-01-01"], "expected a configured source: web; did you mean web?"),
        (["web=yesterday"], "expected a time such as"),
        (["web"], "expected SOURCE=TIME"),
        (["web=2025-01-01", "web=2025-02-01"], "expected one time of a source, came two"),
    ],
)
def test_a_wrong_complete_until_is_misuse(
    rejse: Command, config: Path, texts: list[str], message: str
) -> None:
    (config.parent / "m.sql").write_text(
        "select to_timestamp(t) as time, who as identity, 'call' as activity, 'phone' as channel"
        " from source"
    )
    (config.parent / "s.json").write_text('{"columns": {"who": "string", "t": "int64"}}')
    given = [word for text in texts for word in ("--complete-until", text)]
    code, out, err = rejse("run", "-c", str(config), *given)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ("published", 0, "published publication 3"),
        ("nothing_new", 0, "nothing new: publication 3"),
        ("audit_failed", 1, "nothing was published"),
    ],
)
def test_exit_code_of_a_run(
    rejse: Command,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    code: int,
    message: str,
) -> None:
    findings = ("journeys: h in [0, 1]",) if code else ()
    stand_in(monkeypatch, "run", run=lambda *_: run_result(status, findings=findings))
    left, out, err = rejse("run", "-c", str(config))
    assert left == code
    assert message in out + err
    assert ("journeys: h in [0, 1]" in err) == bool(findings)
    left, out, _ = rejse("run", "-c", str(config), "--json")
    assert (left, out.count("\n")) == (code, 1)
    assert (json.loads(out)["status"], json.loads(out)["exit_code"]) == (status, code)


@pytest.mark.parametrize(
    ("fault", "code"),
    [(AnotherWriter, 75), (BalanceError, 1), (MappingError, 2), (ZeroDivisionError, 70)],
)
def test_exit_code_of_an_error(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception], code: int
) -> None:
    def run(*_: Any) -> None:
        raise fault("what happened")

    monkeypatch.delenv(main.TRACEBACK_VARIABLE, raising=False)
    stand_in(monkeypatch, "run", run=run)
    left, out, err = rejse("run", "-c", str(config))
    assert (left, out) == (code, "")
    assert "what happened" in err
    assert "Traceback" not in err
    assert (main.TRACEBACK_VARIABLE in err) == (code == 70)
    left, out, _ = rejse("run", "-c", str(config), "--json")
    assert out.count("\n") == 1, "one line"
    report = json.loads(out)
    assert (left, report["exit_code"], "what happened" in report["message"]) == (code, code, True)
    status = {75: "another_writer", 1: "data_failed", 2: "misuse", 70: "fault"}[code]
    assert report["status"] == status


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rejse.pipelines.publication import catalogue

    con = duckdb.connect()
    con.execute(
        "create view v as select * from (values (1, '=1+1', timestamp '2025-01-01'),"
        " (2, null, null), (3, '\x1b[31mred', null)) t(a, b, t) order by a"
    )
    session = catalogue.Session(con, tmp_path / "spilled")
    monkeypatch.setattr(catalogue, "connect", lambda *_: session)


@pytest.mark.usefixtures("store")
def test_sql_for_people_and_machines(rejse: Command, config: Path, tmp_path: Path) -> None:
    code, out, _ = rejse("sql", "select * from v", "-c", str(config))
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["a", "b", "t"],
        ["1", "=1+1", "2025-01-01", "00:00:00"],
        ["2"],
        ["3", "[31mred"],
    ]
    _, out, _ = rejse("sql", "select * from v limit 2", "-c", str(config), "--json")
    assert json.loads(out) == [
        {"a": 1, "b": "=1+1", "t": "2025-01-01T00:00:00"},
        {"a": 2, "b": None, "t": None},
    ]
    (tmp_path / "q.sql").write_text("-- a comment\nselect a, b from v limit 2")
    _, out, _ = rejse("sql", "--file", str(tmp_path / "q.sql"), "-c", str(config), "--csv")
    assert out == "a,b\n1,=1+1\n2,\n"


@pytest.mark.usefixtures("store")
def test_csv_is_guarded_only_on_request(rejse: Command, config: Path) -> None:
    query = "select b from v where a = 1"
    _, out, err = rejse("sql", query, "-c", str(config), "--csv", "--guard")
    assert out == "b\n'=1+1\n"
    assert err == "1 cells begin with an added apostrophe (--guard)\n"


@pytest.mark.usefixtures("store")
def test_long_answers_are_cut_for_people_only(rejse: Command, config: Path) -> None:
    query = "select range from range(150)"
    _, out, _ = rejse("sql", query, "-c", str(config))
    assert out.splitlines()[-1] == "100 of 150 rows; --json or --csv prints all"
    assert len(out.splitlines()) == 102
    _, out, _ = rejse("sql", query, "-c", str(config), "--csv")
    assert len(out.splitlines()) == 151


@pytest.mark.usefixtures("store")
def test_bad_sql_is_misuse(rejse: Command, config: Path) -> None:
    code, out, err = rejse("sql", "select nope from v", "-c", str(config))
    assert (code, out) == (2, "")
    assert "nope" in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select 1; select 2", "expected one query, came 2"),
        ("", "expected one query, came 0"),
        ("select 1 as a, 2 as a", "came 'a' twice"),
    ],
)
def test_what_is_not_one_query_is_misuse(
    rejse: Command, config: Path, query: str, message: str
) -> None:
    code, out, err = rejse("sql", query, "-c", str(config), "--json")
    assert (code, json.loads(out)["status"]) == (2, "misuse")
    assert message in json.loads(out)["message"] and message in err


@pytest.mark.usefixtures("store")
def test_json_has_no_words_that_are_none(rejse: Command, config: Path) -> None:
    query = "select 'nan'::double as a, 'inf'::double as b, [1.5, 'nan'::double] as c"
    _, out, _ = rejse("sql", query, "-c", str(config), "--json")

    def never(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(out, parse_constant=never) == [{"a": None, "b": None, "c": [1.5, None]}]


@pytest.mark.usefixtures("store")
def test_a_folder_or_a_picture_is_no_query(rejse: Command, config: Path, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_bytes(b"\x89PNG\xf0\x00")
    for file, message in ((tmp_path, "expected a file"), (tmp_path / "q.sql", "UTF-8 text")):
        code, _, err = rejse("sql", "--file", str(file), "-c", str(config))
        assert code == 2
        assert message in err


def test_a_ready_question_needs_no_path(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    con = duckdb.connect()
    asked: list[str] = []

    def execute(text: str) -> Any:
        asked.append(text)
        return con.execute("select 1 as a")

    session = SimpleNamespace(execute=execute)
    monkeypatch.setattr("rejse.pipelines.publication.catalogue.connect", lambda *_: session)
    code, out, _ = rejse("sql", "--file", "headline", "-c", str(config), "--csv")
    assert (code, out) == (0, "a\n1\n")
    assert asked[0].startswith("-- purpose: the headline of a publication")


LOG = "id,time,customer_id,activity,channel\n1,2025-03-01 10:00:00,c1,call,phone\n"


def test_init_and_demo_data_speak_json(rejse: Command, tmp_path: Path) -> None:
    (tmp_path / "crm.csv").write_text(LOG)
    code, out, _ = rejse("init", str(tmp_path / "crm.csv"), "-C", str(tmp_path / "a"), "--json")
    report = json.loads(out)
    assert (code, report["config"]) == (0, str(tmp_path / "a" / "rejse.toml"))
    assert (report["sources"][0]["name"], report["sources"][0]["missing"]) == ("crm", [])
    folder = str(tmp_path / "demo")
    code, out, _ = rejse("demo-data", folder, "--customers", "1", "--json")
    assert (code, json.loads(out)["config"]) == (0, str(tmp_path / "demo" / "rejse.toml"))


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        (LOG, ("--name", "../crm"), "expected letters, digits, _ or -"),
        (LOG, ("--name", "my crm"), "expected letters, digits, _ or -"),
        (LOG.splitlines()[0], (), "expected rows to guess from, came none"),
        ("", (), "expected a header line"),
        (LOG, ("--folder", "{file}"), "file exists; name another place"),
    ],
)
def test_init_refuses_before_it_writes(
    rejse: Command, tmp_path: Path, text: str, args: tuple[str, ...], message: str
) -> None:
    log, folder = tmp_path / "crm.csv", tmp_path / "out"
    log.write_text(text)
    given = [arg.format(file=log) for arg in args]
    code, out, err = rejse("init", str(log), "--folder", str(folder), *given)
    assert (code, out) == (2, "")
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crm.csv"]


def test_a_report_is_a_file(rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rejse.pipelines.publication.catalogue.connect", lambda *_: None)
    code, _, err = rejse("report", "-c", str(config), "--out", str(config.parent))
    assert code == 2
    assert f"such as {config.parent / 'report.html'}" in err


def test_metrics_for_people_and_machines(rejse: Command) -> None:
    code, out, _ = rejse("metrics", "--json")
    report = json.loads(out)
    assert code == 0
    kinds = {metric["name"]: metric for metric in report["friction"]}
    assert kinds["reasked_info"]["weight"] == 0.45
    assert ["info"] in kinds["reasked_info"]["needs"]
    assert {
        "name", "label", "grain", "unit", "low", "high", "direction", "when_empty", "definition",
    } <= set(report["metrics"][0])  # fmt: skip
    _, text, _ = rejse("metrics")
    lines = [line.split("  ") for line in text.splitlines()]
    for declared in (*report["metrics"], *report["friction"]):
        heads = [line for line in lines if line[0].split(" [")[0] == declared["name"]]
        assert declared["label"] in [head[-1] for head in heads]
