"""How Sphinx makes the manual. web/tools/manual calls it and writes pages.json."""

import json
import pathlib
import sys

pages = json.loads((pathlib.Path(sys.argv[-2]) / "pages.json").read_text())

project = "Vivarium"
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4
smartquotes = False  # of two hyphens it would make a dash
man_pages = [tuple(page) for page in pages["man"]]

html_theme = "alabaster"
html_theme_options = {
    "description": "Python functions, each in a WebAssembly sandbox of its own",
    "fixed_sidebar": False,
    "page_width": "1100px",
    "sidebar_width": "260px",
    "show_powered_by": False,
}
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_title = "Vivarium"
