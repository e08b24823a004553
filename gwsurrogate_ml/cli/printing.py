"""A page as PDF, printed by a browser without a window: what prints well there prints the same here.

Chromium and its kin are the one program that everybody has who reads such reports; no library of Python's lays pages out as well.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from gwsurrogate_ml.errors import ConfigError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
VARIABLE = "GWSML_BROWSER"
"""Environment variable that names another browser of that family."""
TIMEOUT = 180.0


def require_browser() -> str:
    """Path of the browser that prints.

    Raises
    ------
    ConfigError
        if there is none
    """
    wanted = os.environ.get(VARIABLE)
    found = next((path for name in ((wanted,) if wanted else BROWSERS) if (path := shutil.which(name))), None)
    if found is None:
        tried = f"{VARIABLE}={wanted} is not here" if wanted else "neither Chromium nor Chrome is here"
        raise ConfigError(
            f"--pdf: {tried}; install one (apt-get install chromium), name one in {VARIABLE}, or print report.html "
            "from your browser: it is laid out for A4"
        )
    return found


def print_page(page: Path, target: Path) -> None:
    """Print the HTML file `page` to the PDF file `target`.

    Raises
    ------
    ConfigError
        if there is no browser, or it fails
    """
    browser = require_browser()
    try:
        # A browser that has ended may still be writing into its profile.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            words = [browser, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
            if hasattr(os, "geteuid") and os.geteuid() == 0:
                words.append("--no-sandbox")  # it starts for root only so; the page is ours and runs no code
            words += ["--no-pdf-header-footer", f"--print-to-pdf={target.resolve()}", page.resolve().as_uri()]
            done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        target.unlink(missing_ok=True)
        raise ConfigError(f"--pdf: {browser} failed ({error}): print report.html from your browser") from error
    if done.returncode or not target.is_file() or not target.read_bytes().startswith(b"%PDF"):
        target.unlink(missing_ok=True)
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigError(f"--pdf: {browser} made no PDF ({said[:200]}): print report.html from your browser")
