"""What is checked in is what the generators write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
PACKAGE = HOME / "src" / "iotoperations_secrets"


def test_the_generated_code_is_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, HOME / "tools" / "generate.py", tmp_path], check=True)
    made = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(made) == 7
    stale = [
        str(file.relative_to(tmp_path))
        for file in made
        if (PACKAGE / file.relative_to(tmp_path)).read_text() != file.read_text()
    ]
    assert not stale, "run `scripts/python-client generate`"
