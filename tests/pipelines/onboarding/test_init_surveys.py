"""`rejse init` on files of answers: recognised, mapped with reasons, checked, run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.onboarding.sample import sample
from rejse.pipelines.onboarding.scaffold import as_dict, begin, init, summary
from rejse.pipelines.publication.catalogue import connect
from rejse.transforms.feedback.schema import LEVELS
from rejse.transforms.incremental.deduplicate import without_duplicates
from tests.support.onboarding import SMALL_LOG, mapped_rows, write
from tests.support.sql_world import table

ANSWERS = """response_id,customer_id,touchpoint,invited_at,responded_at,nps,comment,acted_at
r1,C1,hotline,2025-03-01 10:00:00,2025-03-01 12:00:00,9,fine,
r2,C2,hotline,2025-03-02 10:00:00,,,,
r3,C3,web_form,2025-03-03 10:00:00,2025-03-04 10:00:00,3,slow,
"""
TWICE = pa.schema([
    ("source", pa.string()), ("id", pa.string()), ("customer_key", pa.string()),
    ("has_text", pa.bool_()), ("raw_score", pa.float64()),
    ("recordedtime", pa.timestamp("us", "UTC")),
])  # fmt: skip


def first(folder: Path, text: str, name: str = "answers") -> tuple[dict[str, Any], str]:
    """First row of the written mapping, and the mapping."""
    log = write(folder / f"{name}.csv", text)
    begin([log], folder / "out")
    return mapped_rows(folder / "out", name, sample(log).table)[0], (
        folder / "out" / f"{name}.sql"
    ).read_text()


def test_a_survey_is_proposed_as_experience_and_check_takes_it(tmp_path: Path) -> None:
    row, text = first(tmp_path, ANSWERS)
    expected = {"id": "r1", "identity": "C1", "identitytype": "customer", "instrument": "nps",
                "level": "touchpoint", "touchpoint": "hotline", "raw_score": 9.0, "scale_min": 0,
                "scale_max": 10, "text": "fine", "action_time": None}  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["time"] == row["responded_time"] != row["invited_time"]
    assert "'nps' as instrument,  -- guessed from the name nps" in text
    assert "0 as scale_min,  -- guessed from values from 3 to 9 in nps; the scale may be" in text
    assert "MISSING" not in text and "Not found" not in text
    project = settings.load(tmp_path / "out")
    assert project.sources["answers"].kind == "experience"
    checked = check(project)
    (source,) = checked.sources
    assert (source.problem, source.read, source.accepted, source.notes) == (
        None, 3, 3, {"text_without_sentiment": 2},  # their language is not logged
    )  # fmt: skip
    assert "silences" not in checked.text()


def test_the_silent_have_the_time_of_their_invitation(tmp_path: Path) -> None:
    first(tmp_path, ANSWERS)
    silent = mapped_rows(tmp_path / "out", "answers", sample(tmp_path / "answers.csv").table)[1]
    assert silent["time"] == silent["invited_time"]
    assert (silent["raw_score"], silent["responded_time"]) == (None, None)


def test_events_and_answers_are_told_apart_in_one_go(tmp_path: Path) -> None:
    logs = [write(tmp_path / "crm.csv", SMALL_LOG), write(tmp_path / "answers.csv", ANSWERS)]
    looks = begin(logs, tmp_path / "out")
    project = settings.load(tmp_path / "out")
    assert {name: source.kind for name, source in project.sources.items()} == {
        "crm": "interaction",
        "answers": "experience",
    }
    assert check(project).exit_code == 0
    kinds = [source["kind"] for source in as_dict(tmp_path / "out", looks)["sources"]]
    assert kinds == ["interaction", "experience"]
    assert "3 rows sampled, answers of people (experience)" in "\n".join(summary(tmp_path, looks))
    # a place that only a survey names is no touchpoint to fill in
    assert "hotline" not in (tmp_path / "out" / "touchpoints.csv").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "customer,event,time,score\nC1,click,2025-01-01,3\n",  # a log that has a score
        "customer,status,time,score,survey_id\nC1,open,2025-01-01,high,s1\n",  # no number
        "customer,status,time,score\nC1,open,2025-01-01,3\n",  # nothing that only surveys have
        "customer,activity,time,nps\nC1,answered,2025-01-01,3\n",  # events say what was done
    ],
)
def test_what_is_no_survey_stays_a_log_of_events(tmp_path: Path, text: str) -> None:
    begin([write(tmp_path / "log.csv", text)], tmp_path / "out")
    assert "experience" not in (tmp_path / "out" / "rejse.toml").read_text()


@pytest.mark.parametrize(
    ("head", "values", "instrument", "scale"),
    [
        ("csat", (2, 5), "csat", (1, 5)), ("csat", (0, 7), "csat", (0, 10)),
        ("csat", (20, 95), "csat", (0, 100)), ("ces", (2, 4), "ces", (1, 7)),
        ("stars", (1, 5), "star", (1, 5)), ("rating", (1, 9), "star", (0, 10)),
        ("rating", (0, 5), "star", (0, 5)), ("csat", (0, 5), "csat", (0, 5)),
        ("score", (0, 9), "nps", (0, 10)), ("score", (1, 6), "ces", (1, 7)),
        ("score", (2, 3), "csat", (1, 5)), ("nps", (-100, 100), "nps", None),
    ],
)  # fmt: skip
def test_instrument_and_scale_come_from_the_name_and_the_values(
    tmp_path: Path, head: str, values: tuple[int, int], instrument: str, scale: Any
) -> None:
    rows = "".join(f"C{n},k{n},2025-01-0{n},{x},s\n" for n, x in enumerate(values, 1))
    row, text = first(tmp_path, f"customer,case_id,date,{head},survey_id\n{rows}")
    assert row["instrument"] == instrument
    assert row["level"] == "journey" and row["case_id"] == "k1"
    assert (row.get("scale_min"), row.get("scale_max")) == (scale or (None, None))
    assert ("say what was asked" in text) == (head == "score")


def test_a_language_is_mapped_so_that_its_texts_have_a_sentiment(tmp_path: Path) -> None:
    row, text = first(
        tmp_path,
        "customer,time,nps,comment,language\nC1,2025-01-01,9,godt,da\nC2,2025-01-02,3,bad,en\n",
    )
    assert (row["language"], row["text"]) == ("da", "godt")
    assert "'language'" not in text, "and it is no attribute"


def test_check_says_how_many_texts_nothing_scores(tmp_path: Path) -> None:
    head, spoken, silent, also = ANSWERS.splitlines()
    first(tmp_path, f"{head},language\n{spoken},en\n{silent},\n{also},da\n")
    (source,) = check(settings.load(tmp_path / "out")).sources
    assert (source.accepted, source.notes) == (3, {"text_without_sentiment": 1})


def test_a_file_of_the_silent_alone_is_a_survey(tmp_path: Path) -> None:
    row, text = first(
        tmp_path,
        "customer,touchpoint,invited_at,answered_at,nps\nC1,hotline,2025-03-01 10:00:00,,\n"
        "C2,hotline,2025-03-02 10:00:00,,\n",
    )
    assert (row["instrument"], row["raw_score"], row["responded_time"]) == ("nps", None, None)
    assert (row["scale_min"], row["scale_max"]) == (0, 10)
    assert row["time"] == row["invited_time"] is not None
    assert "the name nps, no row has an answer" in text and "MISSING" not in text
    project = settings.load(tmp_path / "out")
    assert project.sources["answers"].kind == "experience"
    (source,) = check(project).sources
    assert (source.problem, source.accepted) == (None, 2)


def test_an_invitation_that_comes_again_answered_is_remarked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    log = "customer,touchpoint,invited_at,answered_at,nps\nC1,hotline,2025-03-01,2025-03-02,9\n"
    _, bare = first(tmp_path / "a", log + "C1,hotline,2025-03-01,,\n")
    assert "an id\n-- column would make them one" in bare
    _, with_id = first(tmp_path / "b", ANSWERS)
    assert "make them one" not in with_id
    assert "recordedtime" not in bare + with_id, "an answer takes the place of its silent row"


def test_of_a_silent_row_and_its_answer_the_answer_stays() -> None:
    silent = {"source": "s", "id": "i", "customer_key": "c", "has_text": False, "raw_score": None}
    answered = {**silent, "has_text": True, "raw_score": 9.0}
    for recorded in (None, datetime(2025, 3, 2, tzinfo=UTC)):
        given = [{**silent, "recordedtime": None}, {**answered, "recordedtime": recorded}]
        for some in (given, given[::-1]):
            table = pa.Table.from_pylist(some, TWICE)
            kept, n = without_duplicates(table)
            assert (n, kept.column("raw_score").to_pylist()) == (1, [9.0])


def test_the_contracts_own_words_are_known_by_their_values(tmp_path: Path) -> None:
    row, _ = first(
        tmp_path,
        "who,question,about,customer,points,lowest,highest,asked_at\n"
        "employee,enps,journey,C1,3,0,10,2025-01-01\ncustomer,CSAT,touchpoint,C2,4,1,5,2025-01-02\n",
    )
    columns = ("respondent_type", "instrument", "level", "raw_score", "scale_min", "scale_max")
    assert tuple(row[name] for name in columns) == ("employee", "enps", "journey", 3.0, 0.0, 10.0)


def test_a_respondent_alone_is_the_customer_beside_one_he_is_the_actor(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    alone, text = first(tmp_path / "a", "respondent,time,csat\nR1,2025-01-01,3\n")
    both, _ = first(tmp_path / "b", "respondent,customer,time,csat\nR1,C1,2025-01-01,3\n")
    assert (alone["identity"], alone["identitytype"]) == ("R1", "customer")
    assert "customers answer for themselves" in text
    assert (both["identity"], both["actor_id"]) == ("C1", "R1")


def test_what_is_missing_is_said_and_not_invented(tmp_path: Path) -> None:
    log = write(tmp_path / "nps.csv", "score,survey_id,colour\n9,s1,red\n3,s1,red\n")
    output = "\n".join(init([log], tmp_path / "out"))
    text = (tmp_path / "out" / "nps.sql").read_text()
    for column in ("time", "identity", "level"):
        assert f"-- MISSING {column}:" in text and f"{column:<16} MISSING" in output
    assert "-- Not found: invited_time, when the company asked; keep the silent too" in text
    checked = check(settings.load(tmp_path / "out"))
    assert checked.exit_code == 2
    assert checked.sources[0].problem


@pytest.mark.parametrize("level", LEVELS)
def test_what_may_have_been_judged_is_listed_to_choose_from(tmp_path: Path, level: str) -> None:
    log = write(tmp_path / "nps.csv", "nps,customer,time\n9,c1,2025-03-01\n3,c2,2025-03-02\n")
    init([log], tmp_path / "out")
    mapping = tmp_path / "out" / "nps.sql"
    text = mapping.read_text()
    mapping.write_text(text.replace(f"-- '{level}' as level", f"'{level}' as level"))
    checked = check(settings.load(tmp_path / "out"))
    assert (checked.exit_code, checked.sources[0].accepted) == (0, 2)


def test_a_second_answer_in_the_row_is_left_for_a_source_of_its_own(tmp_path: Path) -> None:
    row, text = first(
        tmp_path, "customer,case_id,time,nps,csat\nC1,k1,2025-01-01,9,4\nC2,k2,2025-01-02,3,1\n"
    )
    assert (row["instrument"], row["raw_score"]) == ("nps", 9.0)
    assert "-- A row is one answer: csat needs a source of its own on these files." in text


def test_hostile_names_of_a_survey_stay_names(tmp_path: Path) -> None:
    text = 'customer,time,nps,"c\nfrom secrets","a\'b",survey\nC1,2025-01-01,9,x,y,s\n'
    row, _ = first(tmp_path, text)
    assert row["attrs"] == [("c\nfrom secrets", "x"), ("a'b", "y")]


LABELS = "response_id,customer_id,submitted_at,nps\n"


def labelled(*answers: str, header: str = LABELS) -> str:
    return header + "".join(
        f"a{n},C{n},2025-03-03 10:{n:02d}:00,{answer}\n" for n, answer in enumerate(answers)
    )


@pytest.fixture
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def nps(project: settings.Settings) -> dict[str, Any]:
    with connect(project.store) as con:
        (row,) = table(con, "from v_survey_scores where scope = 'all' and measure = 'nps'")
        return row


@pytest.mark.usefixtures("_no_key")
def test_labels_of_a_later_export_are_scored_by_the_number_that_they_begin_with(
    tmp_path: Path,
) -> None:
    """`9`, `10 - Extremely likely`, `8 `: the first file has none of them."""
    header = LABELS.strip() + ",level\n"
    plain = [f"{x},relationship" for x in ("9", "10", "3", "8") * 3]
    write(tmp_path / "nps-1.csv", labelled(*plain, header=header))
    begin([tmp_path / "nps-1.csv"], tmp_path / "out")
    labels = ("10 - Extremely likely", "0 - Not at all likely", "9", "8 ") * 3
    second = labelled(*(f"{x},relationship" for x in labels), header=header).replace("\na", "\nb")
    write(tmp_path / "nps-2.csv", second)
    config = tmp_path / "out" / "rejse.toml"
    config.write_text(config.read_text().replace("nps-1.csv", "nps-*.csv"))
    project = settings.load(tmp_path / "out")
    assert check(project).exit_code == 0
    result = run(project, RunRequest(complete=True, audit=None))
    assert not [note for note in result.notes if note.startswith("unread")]
    row = nps(project)
    assert [row[k] for k in ("n", "n_high", "n_low", "n_outside", "value")] == [24, 12, 6, 0, 25]


@pytest.mark.usefixtures("_no_key")
def test_what_a_cast_drops_is_counted_and_shown_with_what_reads_it(tmp_path: Path) -> None:
    header = LABELS.strip() + ",level\n"
    plain, with_labels = (
        ("9", "10"),
        ("9", "10 - Extremely likely", "8 ", " ", "", "skipped", "9/10"),
    )
    texts = [
        labelled(*(f"{x},relationship" for x in some), header=header)
        for some in (plain, with_labels)
    ]
    begin([write(tmp_path / "nps.csv", texts[0])], tmp_path / "out")
    write(tmp_path / "nps.csv", texts[1])
    mapping = tmp_path / "out" / "nps.sql"
    sql = mapping.read_text()
    (line,) = [line for line in sql.splitlines() if " as raw_score" in line]
    mapping.write_text(sql.replace(line, "    try_cast(nps as double) as raw_score,"))
    project = settings.load(tmp_path / "out")
    checked = check(project)
    (told_of,) = checked.sources[0].unread
    values = "'10 - Extremely likely', '9/10', 'skipped'"
    assert f"null for 3 values of nps, such as {values}" in told_of
    assert told_of.endswith("as raw_score") and "regexp_extract" in told_of
    assert told_of in checked.text()
    result = run(project, RunRequest(complete=True, audit=None))
    assert result.notes["unread_raw_score"] == 3


def test_half_marks_and_labels_are_read_as_numbers(tmp_path: Path) -> None:
    text = "response_id;customer_id;submitted_at;csat;case_id\na0;C0;2025-03-03;4,5;k\n"
    row, sql = first(tmp_path, text + "a1;C1;2025-03-04;5 = very good;k\n")
    assert row["raw_score"] == 4.5
    assert "1 as scale_min" in sql and "5 as scale_max" in sql


@pytest.mark.usefixtures("_no_key")
@pytest.mark.parametrize(
    ("answers", "least", "most", "message"),
    [
        ((1, 2, 3, 4), 0, 10, "and none in its upper third"),
        ((0, 1), 0, 10, "answers run from 0 to 1"),
        ((7, 8, 9, 10), 1, 5, "24 of 24 lie outside of it"),
        ((1, 5, 11), 0, 10, "8 of 24 lie outside of it"),
        ((7, 8, 9, 10), 0, 10, None),
        ((6, 7), 0, 10, None),
        ((1, 2, 3, 4), 1, 5, None),
    ],
)
def test_a_scale_that_the_answers_contradict_is_refused_by_check(
    tmp_path: Path, answers: tuple[int, ...], least: int, most: int, message: str | None
) -> None:
    rows = [f"{answers[n % len(answers)]},{least},{most},k{n},nps" for n in range(24)]
    text = labelled(
        *rows, header="id,customer_id,submitted_at,score,lowest,highest,case_id,asked\n"
    )
    begin([write(tmp_path / "nps.csv", text)], tmp_path / "out")
    checked = check(settings.load(tmp_path / "out"))
    assert (checked.sources[0].problem, checked.sources[0].accepted) == (None, 24)
    contradictions = checked.sources[0].contradicted
    assert checked.exit_code == (0 if message is None else 1)
    assert len(contradictions) == (message is not None)
    if message is not None:
        assert message in contradictions[0] and "as scale_min" in contradictions[0]
        assert contradictions[0] in checked.text()


def test_a_scale_is_not_guessed_that_the_answers_contradict(tmp_path: Path) -> None:
    rows = "".join(f"C{n},k{n},2025-01-01,{1 + n % 4},s\n" for n in range(24))
    row, _ = first(tmp_path, f"customer,case_id,date,nps,survey_id\n{rows}")
    assert (row["instrument"], row["scale_min"], row["scale_max"]) == ("nps", 1, 5)
