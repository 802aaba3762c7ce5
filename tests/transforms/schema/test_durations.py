import pytest

from rejse.transforms.schema.durations import parse, render


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("30d", 30 * 86_400_000_000),
        ("30min", 1_800_000_000),
        ("10s", 10_000_000),
        ("1d12h", 36 * 3_600_000_000),
        ("1.5h", 5_400_000_000),
        ("2w", 14 * 86_400_000_000),
        ("7us", 7),
        ("0s", 0),
    ],
)
def test_parse(text: str, microseconds: int) -> None:
    assert parse(text) == microseconds


@pytest.mark.parametrize("text", ["", "30", "30m", "-1d", "d", "1 month", "30d and more"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse(text)


@pytest.mark.parametrize("microseconds", [0, 1, 999, 1_800_000_000, 90_061_001_001])
def test_render_is_read_back(microseconds: int) -> None:
    assert parse(render(microseconds)) == microseconds
