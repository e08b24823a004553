"""Pages of the site that are made, not written: notebooks, reference, command line, models, changelog, tables of benchmarks.

A hook of mkdocs (``hooks:`` in mkdocs.yml). Nothing is executed: notebooks come with the outputs they were committed with.
"""

from __future__ import annotations

import json
import pkgutil
import posixpath
import re
import textwrap
from pathlib import Path
from typing import Any

import control_tables
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from result_tables import TABLES, missing

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "gwsurrogate_ml"
NOTEBOOKS = ROOT / "notebooks"
VALIDATED = {
    "validation": "Validation of the estimator",
    "validation-precessing": "Validation with precession",
    "validation-modes": "Validation with all modes",
}
"""Folders of `benchmarks/reference` with an estimator's card, and what its page is called."""
CARRIED = {"benchmarks/results": "*.png"} | {f"benchmarks/reference/{name}": "*.png" for name in VALIDATED}
"""Folders outside docs/ whose pictures are part of the site, under the same path."""
CARRIED_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages outside docs/ that are part of the site, and their names there."""
BASE = ("conventions", "binaries", "errors", "artifacts")
"""Modules at the top of the package that share one page."""
ORDER = ("strain", "kernels", "waveform", "surrogate", "inference", "search", "denoise", "control", "plot", "plugins")
"""Subpackages in the order of the reference; others follow by name, the command line has a page of its own."""


def _modules(package: Path) -> list[str]:
    """Public modules of a package, by name."""
    return sorted(info.name for info in pkgutil.iter_modules([str(package)]) if not info.name.startswith("_"))


def subpackages() -> list[str]:
    """Packages of the library that have a page in the reference, each before those inside it: "inference", "inference.prior"."""
    root = ROOT / PACKAGE

    def inside(name: str) -> list[str]:
        folder = root.joinpath(*name.split(".")) if name else root
        found = [module for module in _modules(folder) if (folder / module / "__init__.py").exists()]
        return [f"{name}.{module}".lstrip(".") for module in found if (name, module) != ("", "cli")]

    top = sorted(inside(""), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    names, waiting = [], top[::-1]
    while waiting:
        names.append(waiting.pop())
        waiting += inside(names[-1])[::-1]
    return names


def reference() -> dict[str, str]:
    """Pages of the reference, by path in the site: markdown that mkdocstrings fills in from docstrings."""
    root = ROOT / PACKAGE
    pages = {"reference/base.md": "# Conventions, errors, model files\n\n"}
    top = [name for name in _modules(root) if not (root / name / "__init__.py").exists() and name not in BASE]
    for name in (*BASE, *top):
        pages["reference/base.md"] += f"::: {PACKAGE}.{name}\n\n"
    for name in subpackages():
        text = f"# {PACKAGE}.{name}\n\n::: {PACKAGE}.{name}\n    options: {{members: false, show_root_heading: false}}\n\n"
        folder = root.joinpath(*name.split("."))
        for module in _modules(folder):
            if not (folder / module / "__init__.py").exists():
                text += f"::: {PACKAGE}.{name}.{module}\n\n"
        pages[f"reference/{name}.md"] = text
    pages["reference/command-line.md"] = command_line()
    return pages


def command_line() -> str:
    """The command `gwsml` with every option, from the program itself."""
    import typer
    from typer.main import get_command

    from gwsurrogate_ml.cli.main import app

    lines = ["# The command `gwsml`\n"]

    def describe(command: Any, context: typer.Context, path: str) -> None:
        summary = re.sub(r"\[/?[a-z_ ]+\]", "", command.help or "")
        lines.append(f"{'#' * len(path.split())} {path} {{ #{path.replace(' ', '-')} }}\n" if context.parent else "")
        lines.append(summary.strip() + "\n")
        usage = " ".join(command.collect_usage_pieces(context))
        lines.append(f"```text\n{path} {usage}\n```\n")
        rows = []
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and record[0] not in ("-h, --help", "--help"):
                escaped = record[1].replace("|", "\\|").replace("<", "&lt;")
                rows.append(f"| `{record[0].replace('|', chr(92) + '|')}` | {escaped} |")
        if rows:
            lines.append("\n".join(["| option | meaning |", "| --- | --- |", *rows]) + "\n")
        for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
            child = command.get_command(context, name)
            describe(child, type(context)(child, parent=context, info_name=name), f"{path} {name}")

    group = get_command(app)
    describe(group, group.context_class(group, info_name="gwsml"), "gwsml")
    return "\n".join(lines)


def public_api() -> str:
    """Table of the public names, each with a link to its description."""
    import inspect

    import gwsurrogate_ml as gw

    rows = ["| name | what it is |", "| --- | --- |"]
    for name in gw.__all__:
        thing = getattr(gw, name)
        first = re.split(r"(?<=[.])\s", " ".join((inspect.getdoc(thing) or "").split()), maxsplit=1)[0]
        rows.append(f"| [`gw.{name}`][{thing.__module__}.{thing.__qualname__}] | {first} |")
    return "\n".join(rows)


def models() -> str:
    """Table of the shipped models, from their cards."""
    from result_tables import number

    def span(key: str, value: Any) -> str:
        low, high = (value["min"], value["max"]) if isinstance(value, dict) else value
        return f"{key.replace('_', ' ')} {number(low)} to {number(high)}"

    rows = ["| model | what it is | trained for | file |", "| --- | --- | --- | --- |"]
    for folder in sorted((ROOT / PACKAGE / "models").iterdir()):
        if not (folder / "card.json").exists():
            continue
        card = json.loads((folder / "card.json").read_text())
        page = ROOT / "docs" / "models" / f"{folder.name}.md"
        name = f"[`{folder.name}`]({page.name})" if page.exists() else f"`{folder.name}`"
        what = card["kind"].replace("_", " ")
        if "description" in card:
            what = card["description"]
        if card.get("modes"):
            what += f", modes {', '.join('({},{})'.format(*mode) for mode in card['modes'])}"
        if detectors := card.get("config", {}).get("segment", {}).get("detectors"):
            what += f" for {', '.join(detectors)}"
        spans = [span(key, value) for key, value in card.get("ranges", {}).items() if isinstance(value, (list, dict))]
        size = (folder / "weights.safetensors").stat().st_size / 1e6
        rows.append(f"| {name} | {what} | {'; '.join(spans)} | {size:.1f} MB |")
    return "\n".join(rows)


def notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as markdown with its committed outputs, and its pictures by file name."""
    import nbformat
    from nbconvert import MarkdownExporter

    content = nbformat.read(path, as_version=4)
    pictures: dict[str, bytes] = {}
    parts = []
    exporter = MarkdownExporter()
    for cell in content.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        code = f"```python\n{cell.source}\n```"
        if not any(part.startswith(("```python", "???")) for part in parts):  # imports and settings: folded away
            code = '??? abstract "The first cell: imports, settings, data"\n\n' + textwrap.indent(code, "    ")
        parts.append(code)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{len(pictures)}.png"
                single = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
                _, resources = exporter.from_notebook_node(single)
                pictures[name] = next(iter(resources["outputs"].values()))
                parts.append(f"[![Output of the cell above]({name})]({name})")  # opens in full size
            elif "text/html" in data:
                parts.append(f'<div class="output" markdown="0">\n{data["text/html"]}\n</div>')
            else:
                text = output.get("text") or data.get("text/plain") or ""
                parts.append(f"```{{.text .output}}\n{text.rstrip()}\n```")
    start, _, rest = "\n\n".join(parts).partition("\n\n")
    note = f"*This page is the notebook `notebooks/{path.name}`, with the outputs of its last run.*"
    return f"{start}\n\n{note}\n\n{rest}\n", pictures


def reports() -> list[Path]:
    """Results that are written as pages."""
    return sorted((ROOT / "benchmarks" / "results").glob("*.md"))


def title(path: Path) -> str:
    """A page's first heading, else its name."""
    found = re.match(r"\s*# (.+)", path.read_text(encoding="utf-8"))
    return found.group(1) if found else path.stem.replace("_", " ").capitalize()


def generated() -> dict[str, str | bytes | Path]:
    """Everything that is added to docs/: text, bytes, or the file to copy, by path in the site."""
    pages: dict[str, str | bytes | Path] = dict(reference())
    pages |= {name: ROOT / source for source, name in CARRIED_PAGES.items()}
    pages |= {f"benchmarks/{name}.md": ROOT / "benchmarks" / "reference" / name / "card.md" for name in VALIDATED}
    for path in reports():
        text = path.read_text(encoding="utf-8")
        pages[f"benchmarks/{path.stem}.md"] = text if text.lstrip().startswith("# ") else f"# {title(path)}\n\n{text}"
    for folder, pattern in CARRIED.items():
        for path in sorted((ROOT / folder).glob(pattern)):
            pages[f"{folder}/{path.name}"] = path
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        text, pictures = notebook(path)
        pages[f"tutorials/{path.stem}.md"] = text
        pages |= {f"tutorials/{name}": content for name, content in pictures.items()}
    return pages


@event_priority(100)
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the made pages to the navigation, where mkdocs.yml leaves a section open."""
    sections = {name: entries for item in config.nav for name, entries in item.items() if isinstance(entries, list)}
    sections["Tutorials"] += [f"tutorials/{path.stem}.md" for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    sections["Models"] += [
        f"models/{path.name}" for path in sorted((ROOT / "docs" / "models").glob("*.md")) if path.stem != "index"
    ]
    sections["Benchmarks"] += [{said: f"benchmarks/{name}.md"} for name, said in VALIDATED.items()]
    sections["Benchmarks"] += [{title(path): f"benchmarks/{path.stem}.md"} for path in reports()]
    sections["Reference"] += [{"Command line": "reference/command-line.md"}]
    sections["Reference"] += [{f"{PACKAGE}.{name}": f"reference/{name}.md"} for name in subpackages()]
    sections["Reference"] += [{"Conventions, errors, model files": "reference/base.md"}]
    return config


@event_priority(100)
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to the site."""
    for name, content in generated().items():
        if isinstance(content, Path):
            files.append(File.generated(config, name, abs_src_path=str(content)))
        else:
            files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in tables and figures, and turn links out of docs/ into links within the site.

    Their places are marked ``<!-- table: NAME -->`` and ``<!-- figure: FILE CAPTION -->``.
    """
    here = posixpath.dirname(page.file.src_uri)
    made = {"public-api": public_api, "models": models, **TABLES, **control_tables.TABLES}

    def fill(match: re.Match[str]) -> str:
        indent, name = match.groups()
        if name not in made:
            raise KeyError(f"{page.file.src_uri}: no table named {name!r}; there are {', '.join(sorted(made))}")
        try:
            text = made[name]()
        except FileNotFoundError as error:
            text = missing(Path(error.filename).name)
        return "\n".join(indent + line for line in text.splitlines())

    def figure(match: re.Match[str]) -> str:
        name, caption = match.groups()
        if not (ROOT / "benchmarks" / "results" / name).exists():
            return missing(name)
        target = posixpath.relpath(f"benchmarks/results/{name}", here or ".")
        return f"[![{caption}]({target})]({target})"

    markdown = re.sub(r"^( *)<!-- table: ([\w-]+) -->", fill, markdown, flags=re.MULTILINE)
    markdown = re.sub(r"<!-- figure: (\S+) (.+) -->", figure, markdown)
    source = Path(page.file.abs_src_path or "")

    def relink(match: re.Match[str]) -> str:
        target = match.group(2)
        inside = posixpath.normpath(posixpath.join(here, target))
        if "://" in target or files.get_file_from_path(inside) is not None:
            return match.group(0)
        path = (source.parent / target).resolve()
        if not path.is_file() or not path.is_relative_to(ROOT):
            return match.group(0)
        uri = path.relative_to(ROOT).as_posix()
        uri = CARRIED_PAGES.get(uri, uri.removeprefix("docs/"))
        if files.get_file_from_path(uri) is None:
            return match.group(0)
        return f"{match.group(1)}({posixpath.relpath(uri, here or '.')}{match.group(3) or ''})"

    return re.sub(r"(\[[^\]\n]*\])\(([^)#\s]+)(#[^)\s]*)?\)", relink, markdown)
