"""The command lines and configurations that stand in the documents."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`(qdns [^`\n]+)`")


def blocks(page: Path, *kinds: str) -> list[str]:
    """Return the blocks of a page that are of these kinds."""
    return [text for kind, text in _BLOCK.findall(page.read_text()) if kind in kinds]


def qdns_lines(page: Path) -> list[str]:
    """Return each use of ``qdns``, in blocks and in running text."""
    found = []
    for text in blocks(page, "", "sh", "console", "bash"):
        joined = text.replace("\\\n", " ")
        found += [
            match[1] for line in joined.split("\n") if (match := re.search(r"(?:^|[ (;&|])(qdns .*)", line))
        ]
    outside = _BLOCK.sub("", page.read_text())
    return found + [" ".join(each.split()) for each in _CODE.findall(outside)]


def words_of(line: str) -> list[str]:
    """Return the words of the first qdns command of a line, without what the shell makes of the rest."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = []
    for word in lexer:
        if re.fullmatch(r"[();<>|&]+", word):
            break
        words.append(word)
    return words[1:]
