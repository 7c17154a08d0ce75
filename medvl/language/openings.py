"""What of a message is no request of its own: a file that is wanted besides, and beginnings that ask nothing.

Such as "quick question:", "are you sure that", "I wonder whether".
"""

from __future__ import annotations

import re

from . import cues

_CHATTER = re.compile(
    r"^((hey|hi|hello|ok|okay|so|well|um|uh|hm|please|sorry|and|doctor|doc|there|,|:) )*"
    r"((just|only) )?(a |an |one |another |my )?((quick|short|small|stupid|silly|dumb|simple|last|next|more|other|"
    r"first|"
    r"final|basic) )+(q|question|thing|one|request)( for you)?( (is|would be))?( [:,.])*(?= )"
)
_INDIRECT = re.compile(
    r"^((and|so|but|ok|okay|please|also|,) )*"
    r"(are you (really |quite |absolutely )?(sure|certain|positive)|do you (really |also )?(think|believe|reckon)|"
    r"would you say|"
    r"is it (true|correct|right|possible)|(can|could) you (please )?(tell|say|confirm|check|verify)( me| us)?|"
    r"(please )?(tell me|check|confirm|verify|let me know)|i (was |am )?(just )?(wonder|wondering|curious|want to know|"
    r"would like to know|need to know))( if| whether| that)? "
    r"(?P<subject>(?!you |i |we |what |where |which |how |why |who )([^ ?.!,;]+ ){1,5}?)(?P<verb>is|are|was|were|has|"
    r"have)(?= )"
)


# "liver segment and smooth it": the order of a language with the verb behind; a number would make it a noun
_VERB_LAST = re.compile(
    r"^((?:the |both |left |right )*)(?!the|both|left|right|which|what|to|please)(\S+) segment"
    r"(?= (?:and|then|please|,)|$)"
)


# "the smaller one: expand 5 mm"
_ONE_FIRST = re.compile(
    rf"^((?:and )?the \S+ one)(?: [:,])? ({'|'.join(cues.EDIT_VERBS)}|smooth|hide|delete|remove|fill)(?= )"
)


def plain(message: list[str]) -> list[str]:
    """A message without such a beginning; what it asks indirectly is asked directly.

    Args:
        message: words, mended: ``are you sure the lung is on the right``.

    Returns:
        Words: ``is the lung on the right``.
    """
    text = _CHATTER.sub("", " ".join(message)).strip()
    text = _VERB_LAST.sub(r"segment \1\2", text)
    text = _ONE_FIRST.sub(r"\2 \1", text)
    match = _INDIRECT.match(text)
    if match:
        text = f"{match['verb']} {match['subject'].strip()}{text[match.end() :]}"
    return text.split() or message


_FILE = re.compile(r"\b(csv|excel|xlsx|spreadsheet|nifti|nii|dicom seg|stl|pdf|html|json)\b( (file|table|format))?\b")
_WANTED = re.compile(r"\b(as|in|to|into|give|make|create|write|save|export|download|get|want|need|send)\b")


def to_file(message: list[str]) -> bool:
    """Whether a message wants something in a file: "give me a csv with all volumes".

    Args:
        message: words, mended.
    """
    text = " ".join(message)
    return bool(_FILE.search(text) and _WANTED.search(text))
