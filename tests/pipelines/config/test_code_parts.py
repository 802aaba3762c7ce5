"""Code on which accepted rows depend never counts as code of scores alone."""

from __future__ import annotations

from rejse.pipelines.config.fingerprint import SCORING, code, is_scoring
from tests.support.import_graph import imported
from tests.support.paths import ROOT

CORE = ROOT / "transforms"
#: What makes accepted rows of raw ones, beside the packages `ingest` and `identity`.
ACCEPTING = (
    "dimensions/customer_records.py", "feedback/text_scoring.py", "feedback/vader.py",
    "incremental/cross_customer_ids.py", "incremental/deduplicate.py",
    "incremental/input_kinds.py", "incremental/merge_rows.py", "incremental/shuffle_files.py",
)  # fmt: skip
#: Imported for units of time and for types; their values are in the versions of settings, and
#: a rescoring accepts late events whatever the watermarks were.
APART = {"journeys/watermarks.py", "schema/parameters.py"}


def imports(place: str) -> set[str]:
    """The modules of the core that one of them imports, by their place in it."""
    names = {name.removeprefix("rejse.transforms.") for name in imported(CORE / place)}
    places = {f"{name.replace('.', '/')}.py" for name in names}
    return {place for place in places if (CORE / place).is_file()}


def reached() -> set[str]:
    """The modules that make accepted rows, and all that these import."""
    reached: set[str] = set()
    left = {
        *(f"{folder}/{path.name}" for folder in ("ingest", "identity")
          for path in (CORE / folder).glob("*.py")),
        *ACCEPTING,
    }  # fmt: skip
    while left:
        place = left.pop()
        reached.add(place)
        left |= imports(place) - reached - APART
    return reached


def test_no_accepted_row_depends_on_code_of_scores() -> None:
    places = reached()
    assert {"schema/contract.py", "feedback/redact.py", "columnar/arrays.py"} <= places
    assert {place for place in places if is_scoring(place)} == set()


def test_code_of_scores_is_there() -> None:
    """A name that is gone would leave its new one to the ingest."""
    assert [place for place in SCORING if not (CORE / place).exists()] == []
    assert is_scoring("scoring/friction/assess.py")
    assert not is_scoring("steps.py")


def test_both_parts_have_a_hash_of_their_own() -> None:
    hashes = code()
    assert hashes.keys() == {"ingest", "score"}
    assert hashes["ingest"] != hashes["score"]
