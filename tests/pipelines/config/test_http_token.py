"""The token of the HTTP server: made once, for its owner alone, and never shown."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rejse.pipelines.config import http_token
from rejse.pipelines.config.field_types import SettingsError


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "rejse.token"
    made = http_token.token(file, "private")
    assert len(made) >= http_token.LEAST
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert http_token.token(file, "private") == made
    assert http_token.token(tmp_path / "other.token", "private") != made


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rejse.token"
    made = http_token.token(file, "private")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="everybody can read") as refused:
        http_token.token(file, "private")
    assert made not in str(refused.value)


@pytest.mark.parametrize("text", ["", "short", "x" * 31, "x" * 40 + " y", "æ" * 40])
def test_a_token_that_can_be_guessed_or_sent_wrongly_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REJSE_HTTP_TOKEN", text)
    with pytest.raises(SettingsError, match="REJSE_HTTP_TOKEN: expected at least 32") as refused:
        http_token.token(tmp_path / "rejse.token", "private")
    assert not text or text not in str(refused.value)


def test_the_variable_wins_and_no_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REJSE_HTTP_TOKEN", f"{'x' * 32}\n")
    file = tmp_path / "rejse.token"
    assert http_token.token(file, "private") == "x" * 32
    assert not file.exists()
    assert http_token.place(file) == "REJSE_HTTP_TOKEN"
