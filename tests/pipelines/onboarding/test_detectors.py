from rejse.pipelines.onboarding.detector_coverage import additions, runnable

NEEDS = {
    "switch": (frozenset({"channel"}),),
    "repeat": (frozenset({"intent", "outcome"}),),
    "reopened": (frozenset({"outcome"}),),
    "reasked": (frozenset({"info"}), frozenset({"@touchpoint_fields", "touchpoint"})),
}


def test_a_kind_runs_with_any_one_alternative() -> None:
    assert runnable(NEEDS, {"channel", "touchpoint"}) == ["switch"]
    assert runnable(NEEDS, {"info"}) == ["reasked"]
    assert runnable(NEEDS, {"@touchpoint_fields", "touchpoint"}) == ["reasked"]


def test_additions_count_what_comes_on_top_most_first() -> None:
    assert additions(NEEDS, {"channel", "intent"}) == {
        "outcome": ["repeat", "reopened"],
        "info": ["reasked"],
    }
    assert additions(NEEDS, {"touchpoint", "channel", "outcome"}) == {
        "@touchpoint_fields": ["reasked"],
        "info": ["reasked"],
        "intent": ["repeat"],
    }


def test_a_kind_that_lacks_two_fields_says_both() -> None:
    assert "intent + outcome" in additions(NEEDS, set())


def test_nothing_to_add_when_all_run() -> None:
    assert additions(NEEDS, {"channel", "intent", "outcome", "info"}) == {}
