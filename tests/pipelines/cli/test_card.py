"""`rejse card`: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.support.cli import Command
from tests.support.cli import rejse as rejse
from tests.support.installation import PEOPLE, deliver, installation, row


def test_a_card_is_shown_and_strangers_are_told_apart_by_the_exit_code(
    tmp_path: Path, rejse: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ("--config", str(tmp_path))
    installed = installation(tmp_path, {"a.jsonl": ""})
    assert rejse("card", PEOPLE[0], *config)[0] == 2, "nothing is published"
    deliver(installed, "b.jsonl", row(0), row(1))
    code, out, _ = rejse("card", PEOPLE[0], *config)
    assert code == 0
    assert out.startswith("Card of customer ") and "\nOpen journeys\n  other of nobody," in out
    assert out.endswith("Publication 1, all of it.\n")
    code, document, _ = rejse("card", f"customer:{PEOPLE[0]}", "--json", *config)
    card = json.loads(document)
    assert code == 0 and card["publication"] == 1 and card["journeys"][0]["n_steps"] == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PEOPLE[0]}\n"))
    assert rejse("card", "-", *config)[1].splitlines()[1:] == out.splitlines()[1:]
    code, shown, message = rejse("card", "Zoë.Nobody@example.test", *config)
    assert (code, shown) == (2, "")
    assert "found none" in message and "Nobody" not in message, "nor is the identity repeated"
    assert PEOPLE[0] not in out + document
