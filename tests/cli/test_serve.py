"""`gwsml serve`: models under names of their own, until the process is told to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tritonclient.http import InferenceServerClient
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.denoise.witness.bench.mock import preset


@pytest.fixture(scope="module")
def cleaners(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two cleaners of one name; the folder of the second has an equals sign in it."""
    data = preset("sidebands_only", sampling_frequency=512.0).draw(128.0, seed=1)
    cleaner = gw.WitnessCleaner.fit(data.strain, data.witnesses, bands=[(45.0, 75.0)], name="mock")
    folder = tmp_path_factory.mktemp("cleaners")
    return [cleaner.save(folder / day / "model") for day in ("monday", "day=tuesday")]


def test_two_models_of_one_name_are_refused_with_the_words_that_serve_both(cleaners: list[Path]) -> None:
    words = [word for folder in cleaners for word in ("--model", str(folder))]
    refused = CliRunner().invoke(app, ["serve", "--port", "0", *words])
    assert refused.exit_code == 2
    message = " ".join(refused.stderr.split())
    assert all(said in message for said in ("two models", "'mock'", *map(str, cleaners), "leave one out"))
    assert re.findall(r"such as --model (\S+)", message) == [f"mock-2={cleaners[1]}"]


@pytest.mark.process
def test_the_command_serves_models_by_their_names_at_loopback_until_terminated(cleaners: list[Path]) -> None:
    models = ["nr22", str(cleaners[1]), f"mock-2={cleaners[0]}"]
    words = [sys.executable, "-m", "gwsurrogate_ml.cli.main", "serve", "--port", "0"]
    words += [word for model in models for word in ("--model", model)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving nr22, nr22-polarizations, mock, mock-2 at http://127.0.0.1:")
        with InferenceServerClient(line.split("//")[1].split("/")[0]) as client:
            assert client.is_model_ready("nr22")
            assert client.is_model_ready("mock-2")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
