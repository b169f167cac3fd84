"""The files of a run have exactly the keys that docs/formats.md lists."""

import pytest

from rayner.runs.json_files import read_json
from tests.docs.pages import first_column_names, table_after

PAGE = "docs/formats.md"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("file", "before", "absent"), [
    ("tagged/run.json", "### run.json", set()),
    ("fusion.json", "## fusion.json", set()),
    ("evaluation.json", "## evaluation.json", set()),
])  # fmt: skip
def test_every_key_of_a_file_is_listed(run, file, before, absent):
    assert read_json(run.path(file)).keys() == first_column_names(PAGE, before) - absent


def test_every_file_of_a_run_is_listed(run):
    listed = {
        key.partition("/")[0]
        for row in table_after(PAGE, "## The run folder")
        for key in row[0].replace("`", "").split(", ")
    }
    assert {path.name for path in run.root.iterdir()} <= listed
