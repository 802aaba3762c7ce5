"""The process of the hot loop: `python -m rejse.pipelines.live.hot_process CONFIG SECONDS`."""

from __future__ import annotations

import sys
from pathlib import Path

from rejse.pipelines.live.side_process import SideProcess, end_with_parent

MODULE = "rejse.pipelines.live.hot_process"


def beside(config: Path, pause: float) -> SideProcess:
    """Return the process of a configuration; it looks at the sources every `pause` seconds."""
    return SideProcess(MODULE, str(config), str(pause))


def main(config: Path, pause: float) -> None:
    """Run the hot loop until standard input ends."""
    end_with_parent()
    from rejse.pipelines.config import settings
    from rejse.pipelines.live.hot_loop import HotLoop

    for _ in HotLoop(settings.load(config), pause).steps():
        pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
