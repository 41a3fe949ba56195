"""The README's Python, word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .service import Service

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()
ADDRESS = "127.0.0.1:50051"
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the blocks print, one after the other, against a service of their own."""
    service = Service(tmp_path_factory.mktemp("readme"))
    service.start()
    try:
        return [
            subprocess.run(
                [sys.executable, "-c", block.replace(ADDRESS, service.target)],
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
            ).stdout
            for block in BLOCKS
        ]
    finally:
        service.kill()


def test_the_readme_runs_word_for_word(printed: list[str]) -> None:
    stories, watch, change, single, aio = printed
    assert "press-4 SYNCED ['user', 'password']" in stories
    assert "syncedSecrets/historian" in watch
    assert "press-4" not in watch, "it was deleted"
    assert "historian has {'line': '4'}" in change
    assert "plant-trust-list has ['ca.der']" in single
    assert "State.SYNCED" in aio
    assert "pump-7-username" in aio, "the second page and later ones came too"


def test_the_three_stories_take_about_a_dozen_lines() -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 15
