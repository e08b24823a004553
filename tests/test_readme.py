"""The Python example of the README runs as written, but for fewer draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)


@pytest.mark.slow
def test_example_runs(data_dir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for name in ("H", "L"):
        source = data_dir(f"strain/{name}-{name}1_LOSC_4_V2-1126259446-32.hdf5")
        (tmp_path / f"{name}.hdf5").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks()
    assert len(blocks) == 1
    assert "n=10_000" in blocks[0]
    names: dict[str, object] = {}
    exec(compile(blocks[0].replace("n=10_000", "n=1_000"), "README.md", "exec"), names)
    chirp_mass, efficiency, pareto_k, log_bayes = map(float, capsys.readouterr().out.split())
    assert 29.4 < chirp_mass < 31.4
    assert efficiency > 0.4
    assert pareto_k < 0.7
    assert log_bayes > 200
    assert (tmp_path / "result.json").stat().st_size > 10_000


def test_files_that_the_readme_names_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\]\(([^)#:]+)\)", text)) | {"notebooks/01_gw150914.ipynb", "CITATION.cff", "CHANGELOG.md"}
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == []
