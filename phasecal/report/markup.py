"""HTML from Python, escaped by default.

A plain ``str`` is text and is escaped wherever it goes; only :class:`Html`, which comes out of :func:`tag`
and :func:`raw`, is markup. So nothing a user wrote can become an element, an attribute or a link.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_VOID = frozenset({"br", "col", "hr", "img", "link", "meta"})


class Html(str):
    """Text that is already markup."""

    __slots__ = ()


Child = str | Html | None


def raw(markup: str) -> Html:
    """Declare text as markup. Only for text that this package made."""
    return Html(markup)


def text(content: Child) -> Html:
    """Escape a string unless it is markup already; nothing for ``None``."""
    if content is None:
        return Html("")
    return content if isinstance(content, Html) else Html(escape(content, quote=True))


def join(*children: Child, separator: str = "") -> Html:
    """Put pieces one after the other."""
    return Html(separator.join(text(child) for child in children))


def tag(name: str, /, *children: Child, **attributes: str | None) -> Html:
    """An element.

    Args:
        name: Element name.
        *children: Text (escaped), markup, or ``None`` (nothing).
        **attributes: Attribute values, escaped; a trailing underscore of the name is dropped (``class_``),
            other underscores become hyphens, ``None`` leaves the attribute out.

    Returns:
        The markup.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{pairs}>")
    return Html(f"<{name}{pairs}>{join(*children)}</{name}>")


def table(head: list[Child], rows: Iterable[list[Child]], *, class_: str | None = None) -> Html:
    """A table in a box that scrolls sideways on a narrow screen. The first cell of a row is its header."""
    header = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return tag("div", tag("table", tag("thead", header), tag("tbody", *body), class_=class_), class_="scroll")
