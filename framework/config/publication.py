"""What a shipped config says of its publication alone, taken out of a copy that begins an own one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from framework.config.yaml_edit import replace_entry

_PUBLISHED: Mapping[tuple[str, ...], str | None] = {
    ("data",): None,  # sizes and cleaning of the published data; one's own data has a file of its own, with how it is trained on
    ("decoding", "prompt"): "prompt: null                         # samples begin with the first words of the text",
    ("decoding", "max_length"): "max_length: null                     # tokens at most; null: twice as many as the input has, and ten more",
}
"""Entries of a recipe that hold for its publication's data, with what stands there for other data; None: nothing."""

_COMMENT = re.compile(r"^(?P<value>.*\S)?(?P<gap>\s+)# (?P<comment>.*)$")
_SAYS_WHOSE = re.compile(r"^(?:the|its) tutorial(?:'s)?(?: way| since \d{4})?: |^likewise: |,? as in the tutorial.*$")
_OF_THE_PUBLICATION = re.compile(r"tutorial|likewise|all of them$")


def for_other_data(text: str, group: str) -> str:
    """The body of a shipped config without what is true of its publication alone; settings of the model and of training stay.

    Args:
        text: YAML without its header.
        group: the config group that it is of.
    """
    if group == "recipe":
        for path, line in _PUBLISHED.items():
            text = replace_entry(text, path, line)
    return "\n".join(map(_without_publication, text.splitlines())) + "\n"


def _without_publication(line: str) -> str:
    """A line whose comment says what the setting is, and not where it was used first."""
    found = _COMMENT.match(line)
    if found is None:
        return line
    clauses = (_SAYS_WHOSE.sub("", clause) for clause in found["comment"].split("; "))
    kept = "; ".join(clause for clause in clauses if clause and not _OF_THE_PUBLICATION.search(clause))
    return f"{found['value'] or ''}{found['gap']}# {kept}" if kept else found["value"] or ""
