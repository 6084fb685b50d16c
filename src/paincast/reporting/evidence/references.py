"""Sources as references for a bibliography, in BibTeX or CSL-JSON.

Citations are short, and many hold a description in place of a title. A field is filled only from the citation or the
address, and each entry notes how the source itself was seen.
"""

from __future__ import annotations

import json
import re
import textwrap
from calendar import month_abbr, month_name
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from paincast.evidence.figures import PROVENANCE_TAGS, Source

_NAME = r"(?:(?:van|de|ter|von|Al) )?[^\W\da-z_][\w'’-]*(?: [A-Z][a-z][\w'’-]*)? [A-Z]{1,5}"
_AUTHORS = re.compile(rf"^({_NAME}(?:, {_NAME})*)(,? et al)?\. ")
_DOI = re.compile(r"(?:doi[:=/]|doi/full/|access_num=|term=)(10\.\d{4,}/(?:[^\s;&/]+\.pub\d|[^\s;&]+))")
_PMID = re.compile(r"(?:PMID |pubmed(?:\.ncbi\.nlm\.nih\.gov)?/)(\d{5,})")
_JOURNAL = re.compile(
    r"(?P<journal>[A-Z][A-Za-z&]*(?: (?:[A-Z][A-Za-z&]*|J|of))*),? "
    r"(?P<year>(?:19|20)\d{2})(?:/\d{4})?(?![-\d])"
    r"(?:;(?P<volume>\d+)(?:\(\d+\))?(?::(?P<pages>[A-Za-z]{0,2}\d+[\w-]*))?)?"
)
_COCHRANE = re.compile(r"Cochrane (?P<pages>CD\d+), (?P<year>\d{4})")
_YEAR = re.compile(r"\b(?<!-)((?:19|20)\d{2})(?![-\d])")
_NOT_JOURNALS = frozenset({*month_name, *month_abbr, "Friedly", "Japan", "MRIs"})
_LONE_AUTHOR = re.compile(r"^((?:van |ter )?[^\W\d_]\S*?),? et al\b")
_LONGEST_TITLE = 44


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The fields of a citation.

    Parameters
    ----------
    id : str
        Id of the source.
    title : str
        Title or description.
    authors : tuple of str
        ``Family Initials``.
    more_authors : bool
        Whether the citation ends its authors with *et al*.
    journal, year, volume, pages, doi, pmid, url : str
        Empty where the citation does not give them.
    note : str
        How the source was seen.
    """

    id: str
    title: str
    authors: tuple[str, ...] = ()
    more_authors: bool = False
    journal: str = ""
    year: str = ""
    volume: str = ""
    pages: str = ""
    doi: str = ""
    pmid: str = ""
    url: str = ""
    note: str = ""


def parse_reference(source: Source) -> Reference:
    """Read a source's citation and address.

    Examples
    --------
    >>> from paincast.evidence import load_sources
    >>> parse_reference(load_sources()["mint2017"]).pmid
    '28672319'
    """
    citation = source.citation
    authors = _AUTHORS.match(citation)
    rest = citation[authors.end() :] if authors else citation
    journal = _find_journal(rest)
    title = rest[: journal.start()] if journal else rest
    text = f"{citation} {source.url}"
    doi, pmid = _DOI.search(text), _PMID.search(text)
    fields = {key: value or "" for key, value in journal.groupdict().items()} if journal else {}
    if journal is None and (year := _YEAR.search(rest)):
        fields["year"] = year.group(1)
    if journal is not None and journal.re is _COCHRANE:
        fields["journal"] = "Cochrane Database of Systematic Reviews"
    return Reference(
        id=source.id,
        title=_clean_title(title) or _describe(rest),
        authors=tuple(authors.group(1).split(", ")) if authors else (),
        more_authors=bool(authors and authors.group(2)),
        doi=source.doi or (doi.group(1).rstrip(".,)") if doi else ""),
        pmid=source.pmid or (pmid.group(1) if pmid else ""),
        url=source.url,
        note="; ".join(filter(None, (PROVENANCE_TAGS[source.access], source.note))),
        **fields,
    )


def _find_journal(rest: str) -> re.Match[str] | None:
    if cochrane := _COCHRANE.search(rest):
        return cochrane
    journals = [journal for journal in _JOURNAL.finditer(rest) if journal["journal"] not in _NOT_JOURNALS]
    return journals[-1] if journals else None


def _clean_title(title: str) -> str:
    plain = re.sub(r"\s*\((?:PMID [^)]*|[^)]*)$", "", re.sub(r"(?:data )?doi:\S+", "", title))
    return plain.strip(" .;,(")


def _describe(rest: str) -> str:
    bracketed = re.search(r"\(([^)]{6,})\)$", rest)
    return bracketed.group(1) if bracketed else rest


def shorten_citation(source: Source) -> str:
    """Shorten a citation to the first author, or else the begin of the title, with year and journal.

    Examples
    --------
    >>> from paincast.evidence import load_sources
    >>> shorten_citation(load_sources()["kemler2000"])
    'Kemler 2000, N Engl J Med'
    """
    reference = parse_reference(source)
    lone = _LONE_AUTHOR.match(source.citation)
    named = [author.rpartition(" ")[0] for author in reference.authors] or ([lone.group(1)] if lone else [])
    who = named[0] if named else textwrap.shorten(reference.title, _LONGEST_TITLE, placeholder=" …")
    return ", ".join(filter(None, (" ".join(filter(None, (who, reference.year))), reference.journal)))


def find_link(source: Source) -> tuple[str, str]:
    """Find the name and the address of a publication: its PMID, else its DOI, else the page that was read.

    Returns
    -------
    name, address : str
        Empty where none is known.

    Examples
    --------
    >>> from paincast.evidence import load_sources
    >>> find_link(load_sources()["kemler2000"])
    ('PMID 10965008', 'https://pubmed.ncbi.nlm.nih.gov/10965008/')
    """
    reference = parse_reference(source)
    if reference.pmid:
        return f"PMID {reference.pmid}", f"https://pubmed.ncbi.nlm.nih.gov/{reference.pmid}/"
    if reference.doi:
        return f"doi:{reference.doi}", f"https://doi.org/{reference.doi}"
    page = urlsplit(reference.url)
    if page.scheme not in ("http", "https"):
        return "", ""
    return page.netloc.removeprefix("www."), reference.url


def format_bibtex(sources: Iterable[Source]) -> str:
    """Write sources as BibTeX, keyed by their ids."""
    return "\n".join(_write_entry(parse_reference(source)) for source in sources)


def _write_entry(reference: Reference) -> str:
    authors = " and ".join([*map(_invert, reference.authors), *(["others"] if reference.more_authors else [])])
    fields = {
        "title": f"{{{reference.title}}}",
        "author": authors,
        "journal": reference.journal,
        "year": reference.year,
        "volume": reference.volume,
        "pages": reference.pages.replace("-", "--"),
        "doi": reference.doi,
        "pmid": reference.pmid,
        "url": reference.url,
        "note": reference.note,
    }
    lines = [f"  {name} = {{{_escape(name, value)}}}," for name, value in fields.items() if value.strip("{}")]
    kind = "article" if reference.journal else "misc"
    return "\n".join([f"@{kind}{{{reference.id},", *lines, "}", ""])


def _invert(name: str) -> str:
    family, _, initials = name.rpartition(" ")
    return f"{family}, {'. '.join(initials)}."


def _escape(name: str, value: str) -> str:
    return value if name in ("url", "doi") else re.sub(r"([&%#_$])", r"\\\1", value)


def format_csl(sources: Iterable[Source]) -> str:
    """Write sources as CSL-JSON, which reference managers and citation processors read."""
    return json.dumps([_make_item(parse_reference(source)) for source in sources], indent=2, ensure_ascii=False)


def _make_item(reference: Reference) -> dict[str, Any]:
    authors: list[dict[str, str]] = []
    for name in reference.authors:
        family, _, given = name.rpartition(" ")
        authors.append({"family": family, "given": given})
    if reference.more_authors:
        authors.append({"literal": "et al."})
    item: dict[str, Any] = {
        "id": reference.id,
        "type": "article-journal" if reference.journal else "document",
        "title": reference.title,
        "author": authors,
        "container-title": reference.journal,
        "issued": {"date-parts": [[int(reference.year)]]} if reference.year else {},
        "volume": reference.volume,
        "page": reference.pages,
        "DOI": reference.doi,
        "PMID": reference.pmid,
        "URL": reference.url,
        "note": reference.note,
    }
    return {name: value for name, value in item.items() if value}
