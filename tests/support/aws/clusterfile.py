"""cluster.yaml as the tests read it: as it is, with an image filled in, with the section for one node uncommented."""

import yaml

from tests.support import ROOT

PLACEHOLDER = "ami-REPLACE"


def text(image=PLACEHOLDER):
    return (ROOT / "cluster.yaml").read_text().replace(PLACEHOLDER, image)


def one_node(content):
    """The file with the section for one node, its last, uncommented."""
    above, section = content.rsplit("\n\n", 1)
    lines = section.splitlines(keepends=True)
    first = lines.index("# max_workers: 0\n")
    return f"{above}\n\n" + "".join([*lines[:first], *(line.removeprefix("# ") for line in lines[first:])])


def cluster(image=PLACEHOLDER, change=str):
    return yaml.safe_load(change(text(image)))
