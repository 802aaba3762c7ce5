"""Send some clicks to a local broker, and write a project that reads them: `kafka.py FOLDER`.

It needs a broker at localhost:9092 (`make services`) and the extra `kafka`.
"""

import json
import secrets
import sys
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

SERVERS = "localhost:9092"
CONFIG = f"""\
[sources.web]
topic = "clicks"
servers = "{SERVERS}"
mapping = "web.sql"
schema = "web.json"
"""
MAPPING = """\
select id, cast(clicked as timestamptz) as time, visitor as identity, page as activity,
    'web' as channel
from source
"""
COLUMNS = dict.fromkeys(("id", "clicked", "visitor", "page"), "string")


def main(folder: Path) -> None:
    """Make the topic, its messages and the project."""
    admin = AdminClient({"bootstrap.servers": SERVERS})
    if "clicks" not in admin.list_topics(timeout=10).topics:
        admin.create_topics([NewTopic("clicks", 3, 1)])["clicks"].result()
    producer = Producer({"bootstrap.servers": SERVERS})
    for number in range(60):
        click = {
            "id": f"c{number}",
            "clicked": f"2026-01-05T09:{number:02d}:00Z",
            "visitor": f"v{number % 5}",
            "page": ("home", "prices", "help")[number % 3],
        }
        producer.produce("clicks", json.dumps(click), key=click["visitor"])
    producer.produce("clicks", "no click")
    producer.flush()
    folder.mkdir(exist_ok=True)
    key = folder / "rejse.key"
    key.touch(0o600)
    key.write_text(secrets.token_hex(32))
    (folder / "rejse.toml").write_text(CONFIG)
    (folder / "web.sql").write_text(MAPPING)
    (folder / "web.json").write_text(json.dumps({"columns": COLUMNS}))


main(Path(sys.argv[1]))
