"""The process in which backtracking patterns run; see ``pattern``. It ends with its standard input."""

import re
import struct
import sys
from typing import BinaryIO


def main(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions (two lengths, a pattern, a text) with one octet each: found or not."""
    while len(head := questions.read(8)) == 8:
        pattern_octets, text_octets = struct.unpack(">II", head)
        pattern = questions.read(pattern_octets).decode()
        text = questions.read(text_octets).decode()
        answers.write(b"1" if _is_found(pattern, text) else b"0")
        answers.flush()


def _is_found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except (re.error, RecursionError, OverflowError):
        return False


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
