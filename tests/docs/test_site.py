"""The site has every page and a complete reference, and loads nothing from elsewhere."""

import re
import subprocess
import sys

import pytest

from rayner.cli import build_parser
from rayner.config.declare import iter_settings
from rayner.config.settings import Config
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_page(site):
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in site.glob("*.html")}


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?([^\s\">]+)", text)
        loaded += [link for link in re.findall(r"<link[^>]*>", text) if 'rel="canonical"' not in link]
        assert not [item for item in loaded if re.search(r"(^|[\"=])(https?:)?//", item)], page.name


@pytest.mark.slow
def test_the_reference_holds_every_setting_command_and_job(site):
    settings = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    assert [info.key for info in iter_settings(Config) if f"<code>{info.key}</code>" not in settings] == []
    told = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for command in build_parser()._subparsers._group_actions[0].choices:
        assert f"usage: rayner {command} " in told
    jobs = (site / "reference" / "jobs.html").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "jobs").glob("*.py") if f"<code>jobs/{path.name}</code>" not in jobs] == []
    assert "read_labelled" in (site / "reference" / "python.html").read_text(encoding="utf-8")
