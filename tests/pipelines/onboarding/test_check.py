import json
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.onboarding.check import Check, _tables, check
from rejse.pipelines.onboarding.scaffold import init

HEADER = "id,time,identity,activity,channel,direction,started,ended\n"


def log(folder: Path, *lines: str, header: str = HEADER) -> settings.Settings:
    """A log with these lines, the configuration that init makes of it, loaded."""
    (folder / "web.csv").write_text(header + "".join(f"{line}\n" for line in lines))
    init([folder / "web.csv"], folder / "out")
    return settings.load(folder / "out")


def edited(project: settings.Settings, old: str, new: str) -> settings.Settings:
    path = project.root / "web.sql"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return settings.load(project.root)


@pytest.fixture
def good(tmp_path: Path) -> settings.Settings:
    lines = [f"{i},2025-01-0{1 + i % 5} 10:00:00,c{i % 3},click,web,inbound,," for i in range(9)]
    return log(tmp_path, *lines)


def test_the_least_log_is_accepted_and_says_what_more_would_add(good: settings.Settings) -> None:
    checked = check(good)
    (web,) = checked.sources
    assert (web.files, web.read, web.accepted, web.reasons, checked.exit_code) == (1, 9, 9, {}, 0)
    assert {"time", "identity", "activity", "channel"} <= set(web.guessed)
    assert web.absent == ["started", "ended"]
    assert checked.runnable == ["channel_switch", "channel_fallback", "rework"]
    assert "reopened" in checked.additions["outcome"]
    text = checked.text()
    assert f"3 of {checked.kinds} detectors can run" in text
    assert "`outcome` would add" in text
    assert "touchpoints.csv names no owner yet" in text
    assert "columns touchpoint, field, op (asks, knows or passes)" in text
    assert '[operational]: touchpoint_fields = "touchpoint_fields.csv"' in text
    assert json.loads(json.dumps(checked.as_dict()))["sources"][0]["read"] == 9


def test_a_filled_touchpoints_table_counts(good: settings.Settings) -> None:
    table = good.root / "touchpoints.csv"
    table.write_text(table.read_text().replace("click,,", "click,Sales,"))
    checked = check(good)
    assert "names no owner" not in checked.text()
    assert "@touchpoints" not in " ".join(checked.additions)


def test_refused_rows_are_shown_with_corrected_sql(tmp_path: Path) -> None:
    rows = [f"{i},1{i}/2/2025 10:00,c{i},click,web,inbound,," for i in range(1, 6)]
    project = log(tmp_path, *rows)
    project = edited(project, "strptime(time, '%d/%m/%Y %H:%M')", "cast(time as timestamptz)")
    checked = check(project)
    web = checked.sources[0]
    assert (web.read, web.accepted, web.reasons, checked.exit_code) == (
        5,
        0,
        {"mapping_failed": 5},
        1,
    )
    assert web.first[0].position.endswith(":1")
    assert web.first[0].value == "time = 11/2/2025 10:00"
    assert web.first[0].suggestion == """strptime("time", '%d/%m/%Y %H:%M') as time"""
    assert "instead: strptime" in checked.text()


def test_missing_values_are_counted_by_reason(tmp_path: Path) -> None:
    good = [f"{i},2025-01-01 10:00:00,c{i},click,web,inbound,," for i in range(20)]
    bad = ["x,,c1,click,web,inbound,,", "y,2025-01-01 10:00:00,c2,,web,inbound,,"]
    web = check(log(tmp_path, *good, *bad)).sources[0]
    assert (web.read, web.accepted) == (22, 20)
    assert web.reasons == {"missing_time": 1, "missing_activity": 1}


def test_suspicious_identities_and_times_in_the_future(tmp_path: Path) -> None:
    rows = [f"{i},2025-01-01 10:00:00,desk,click,web,inbound,," for i in range(1_200)]
    rows += [f"u{i},2025-01-01 10:00:00,undefined,click,web,inbound,," for i in range(3)]
    rows += ["f,2190-01-01 10:00:00,c1,click,web,inbound,,"]
    checked = check(log(tmp_path, *rows))
    web = checked.sources[0]
    assert web.identities[0].startswith("the identity of web.csv:1: 1,200 of 1,204 events")
    assert web.identities[1] == "'undefined': 3 events; excluded"
    assert (web.future, web.future_first) == (1, "2190-01-01T10:00:00+00:00")
    assert "1 times lie in the future" in checked.text()


def test_what_to_do_about_a_suspicious_identity_is_not_cut_off(tmp_path: Path) -> None:
    rows = ["1,2025-01-01 10:00:00,8.676220978733876e+18,click,web,inbound,,"]
    rows += ["2,2025-01-01 10:00:00,1.23E+15,click,web,inbound,,"]
    text = check(log(tmp_path, *rows)).text()
    assert "export them as integers or texts" in text and "export it as text" in text


def test_a_mapping_that_is_none_is_a_problem_not_a_crash(good: settings.Settings) -> None:
    checked = check(edited(good, "from source", "from source where id <> '1'"))
    assert checked.exit_code == 2
    assert "the mapping cannot be used" in checked.text()
    assert "detectors can run" not in checked.text()


def test_a_key_that_others_can_read_is_noted(good: settings.Settings) -> None:
    good.key_file.chmod(0o644)
    checked: Check = check(good)
    assert "chmod 600 rejse.key" in checked.text()


def test_check_writes_nothing(good: settings.Settings) -> None:
    before = sorted(path.name for path in good.root.rglob("*"))
    check(good)
    assert sorted(path.name for path in good.root.rglob("*")) == before


def test_a_source_of_opinions_is_checked_under_its_own_contract(good: settings.Settings) -> None:
    root = good.root
    (root / "asked.csv").write_text(
        "n,who,asked_at,points\n1,c1,2025-01-03 10:00:00,8\n2,,2025-01-04,9\n"
    )
    (root / "asked.json").write_text(
        '{"columns": {"n": "string", "who": "string", "asked_at": "string", "points": "string"}}'
    )
    (root / "asked.sql").write_text(
        "select n as id, who as identity, cast(asked_at as timestamptz) as time,"
        " 'nps' as instrument, 'journey' as level, cast(points as double) as raw_score"
        " from source"
    )
    with (root / "rejse.toml").open("a") as out:
        out.write(
            '\n[sources.asked]\nkind = "experience"\nfiles = ["asked.csv"]\n'
            'mapping = "asked.sql"\nschema = "asked.json"\n'
        )
    before, checked = check(good), check(settings.load(root))
    asked = checked.sources[-1]
    assert (asked.name, asked.read, asked.accepted) == ("asked", 2, 1)
    assert asked.reasons == {"missing_identity": 1}
    assert asked.silences == []
    assert checked.runnable == before.runnable, "what was felt feeds no detector of friction"
    assert checked.additions == before.additions
    assert "source asked: 2 rows read" in checked.text()


def test_every_table_at_hand_counts(good: settings.Settings) -> None:
    assert "@teams" not in _tables(good)
    (good.root / "teams.csv").write_text("team,owner,tier\nfirst,Sales,1\n")
    file = good.root / "rejse.toml"
    file.write_text(file.read_text().replace("[operational]", '[operational]\nteams = "teams.csv"'))
    assert "@teams" in _tables(settings.load(good.root))


@pytest.mark.parametrize(
    ("times", "as_", "is_said"),
    [
        (("2025-01-09 00:00:00", "2025-01-10 00:00:00"), "timestamptz", True),
        (("2025-01-09", "2025-01-10"), "timestamptz", True),
        (("2025-01-09", "2025-01-10"), "date", False),
        (("2025-01-09 00:00:00", "2025-01-10 09:00:00"), "timestamptz", False),
    ],
)
def test_due_times_that_are_all_midnight_are_pointed_out(
    tmp_path: Path, times: tuple[str, ...], as_: str, is_said: bool
) -> None:
    rows = [f"{n},2025-01-01 10:00:00,c{n},order,web,inbound,{t}," for n, t in enumerate(times)]
    header = HEADER.replace("started", "due")
    project = log(tmp_path, *rows, header=header)
    promise = f"{{'id': id, 'op': 'made', 'due_time': cast(due as {as_})}} as promise"
    path = project.root / "web.sql"
    path.write_text(path.read_text().replace("from source", f", {promise} from source"))
    checked = check(settings.load(project.root))
    assert (checked.sources[0].problem, checked.sources[0].accepted) == (None, 2)
    midnights = checked.sources[0].midnights
    assert len(midnights) == is_said
    if is_said:
        assert midnights[0].startswith("promise.due_time: all 2 are a midnight")
        assert "cast(... as date)" in midnights[0] and midnights[0] in checked.text()
