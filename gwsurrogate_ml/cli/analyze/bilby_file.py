"""result.json as bilby writes it, but for the indentation: with it Python's encoder of JSON takes ten times as long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_bilby(result: Any, path: Path) -> None:
    """Write a bilby Result so that `bilby.core.result.read_in_result` reads it.

    What a file holds is known to `Result._get_save_data_dictionary` and `PriorDict._get_json_dict` alone, which are private:
    `Result.save_to_file` calls these two, and has no option for the indentation but with gzip.
    """
    from bilby.core.utils import BilbyJsonEncoder

    content = result._get_save_data_dictionary()
    content["priors"] = content["priors"]._get_json_dict()
    path.write_text(json.dumps(content, cls=BilbyJsonEncoder), encoding="utf-8")
