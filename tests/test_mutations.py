"""Good input with its bytes mutated: no crash, no silent loss, nothing else changed.

A sample in `make test`; a million mutations in the soak. What a mutation leaves untouched must be
taken as it is, or stand in a reject; every reject says where and why.
"""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.sources import files
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.mapping import SourceMapping
from tests.support import edge
from tests.support.law import SOAK

#: Mutations of each format: a million together in the soak.
JSON, CSV, PARQUET = (600_000, 390_000, 10_000) if SOAK else (6_000, 6_000, 300)
#: Lines of one file; every other one is mutated.
LINES = 2_000
MAPPING = SourceMapping(edge.PLAIN, edge.RAW, "crm")
WORDS = (
    "question",
    "naïve “words”",
    "æøå zażółć",
    'a "quoted" one',
    "back\\slash",
    "tab\there",
    "🙂",
)
SPECIAL = b'\x00\n\r"\\{}[]:,\xff\xc3\xe2\x80\xa8\xef\xbb\xbf 0'


def good(number: int) -> dict[str, str]:
    """A row that is accepted, with an id that no mutation makes of another one."""
    word, check = WORDS[number % len(WORDS)], number * 7919 % 9973
    return edge.row(
        number, id=f"zq{number:08d}x{check:04d}", activity=word, identity=f"c{number % 50}"
    )


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One mutation: a byte another, some bytes gone, twice, elsewhere, new, or the rest cut off."""
    at, size = chance.randrange(len(data)), chance.randrange(1, 9)
    piece = data[at : at + size]
    other = bytes([chance.choice(SPECIAL) if chance.random() < 0.7 else chance.randrange(256)])
    return chance.choice(
        (
            data[:at] + other + data[at + 1 :],
            data[:at] + data[at + size :],
            data[:at] + piece + data[at:],
            data[:at] + other * size + data[at:],
            data[at:] + data[:at],
            data[:at],
        )
    )


class Read:
    """What became of a file: ids and texts of accepted rows, rejects, rows read."""

    def __init__(self, path: Path) -> None:
        self.accepted: dict[str, str] = {}
        self.texts: list[str] = []
        self.read, self.n_accepted, refused = 0, 0, []
        for shard in files.pieces("crm", path):
            for raw in files.read(shard, MAPPING.reads):
                self.texts += map(str, raw.batch.to_pylist())
                self.read += raw.batch.num_rows + raw.rejects.num_rows
                events, bad, _ = edge.through(MAPPING, raw)
                refused.append(rejects.join([raw.rejects, bad]))
                self.n_accepted += events.num_rows
                columns = (events.column(name).to_pylist() for name in ("id", "activity"))
                self.accepted.update(zip(*columns, strict=True))
        self.refused = (pa.concat_tables(refused) if refused else rejects.empty()).to_pylist()

    def check(self) -> None:
        """Every row is accepted or refused, and a reject says where and why."""
        assert self.read == self.n_accepted + len(self.refused)
        for reject in self.refused:
            assert (
                reject["source"] == "crm"
                and reject["position"]
                and reject["reason"]
                and reject["detail"]
            )
        positions = [reject["position"] for reject in self.refused]
        assert len(set(positions)) == len(positions)


def test_mutated_json_lines(tmp_path: Path) -> None:
    chance, path = random.Random(1), tmp_path / "log.jsonl"
    for start in range(0, JSON * 2, LINES):
        lines = [
            json.dumps(good(n), ensure_ascii=n % 3 == 0).encode()
            for n in range(start, start + LINES)
        ]
        lines[1::2] = [mutated(line, chance) for line in lines[1::2]]
        data = b"\n".join(lines)
        path.write_bytes(data)
        read = Read(path)
        read.check()
        assert read.read == sum(bool(line.strip(b" \t\r\n")) for line in data.split(b"\n"))
        for number in range(start, start + LINES, 2):
            wanted = good(number)
            assert read.accepted[wanted["id"]] == wanted["activity"]


def test_mutated_csv(tmp_path: Path) -> None:
    chance, path = random.Random(2), tmp_path / "log.csv"
    for start in range(0, CSV * 2, LINES):
        lines = [record(good(number)) for number in range(start, start + LINES)]
        lines[1::2] = [mutated(line, chance) for line in lines[1::2]]
        path.write_bytes(record(dict(zip(edge.TEXTS, edge.TEXTS, strict=True))) + b"".join(lines))
        read = Read(path)
        read.check()
        # A quote that is opened takes the next lines with it: into a text, or into a reject.
        texts = "".join([*read.texts, *(str(reject["payload"]) for reject in read.refused)])
        lost = [n for n in range(start, start + LINES, 2) if good(n)["id"] not in texts]
        assert lost == []


def record(row: dict[str, str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([row[name] for name in edge.TEXTS])
    return out.getvalue().encode()


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_mutated_parquet(tmp_path: Path, codec: str) -> None:
    chance, path = random.Random(3), tmp_path / "log.parquet"
    rows = pa.Table.from_pylist([good(n) for n in range(300)], schema=edge.RAW)
    pq.write_table(rows, path, compression=codec, row_group_size=100, data_page_size=512)
    data = path.read_bytes()
    for _ in range(PARQUET // 3):
        path.write_bytes(mutated(data, chance))
        read = Read(path)
        read.check()
        assert read.read > 0
