"""The site also holds the pages that lie beside ``pages``: contributing, changelog, decisions.

Links in the sources are those that work in a checkout; here they are turned into those of the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

HERE = Path(__file__).parent
BESIDE = ("contributing.md", "changelog.md")
LINK = re.compile(r"\]\(((?!\w+:)[^)#\s]+\.md)(#[^)]*)?\)")


def beside() -> list[str]:
    """The pages outside ``pages``, relative to this folder."""
    decisions = sorted(path.relative_to(HERE).as_posix() for path in (HERE / "decisions").glob("*.md"))
    return [*BESIDE, *decisions]


def on_files(files: Any, config: Any) -> Any:
    """Adds those pages to the site."""
    for name in beside():
        files.append(File(name, str(HERE), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links between the files of a checkout into links between the pages of the site."""
    found = {os.path.realpath(file.abs_src_path): file.src_uri for file in files if file.abs_src_path}
    folder = Path(page.file.abs_src_path).parent

    def link(match: re.Match[str]) -> str:
        target = found.get(os.path.realpath(folder / match[1]))
        if target is None:
            return match[0]
        return f"]({os.path.relpath(target, os.path.dirname(page.file.src_uri) or '.')}{match[2] or ''})"

    return LINK.sub(link, markdown)
