"""Three real nodes on loopback from the checked-in cluster.toml: ``qdns cluster`` under another name."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from node.cli.main import main  # noqa: E402

if __name__ == "__main__":
    words = sys.argv[1:] or ["up"]
    config = [] if {"-c", "--config"} & set(words) else ["-c", str(ROOT / "cluster.toml")]
    sys.exit(main(["cluster", *words, *config]))
