"""What holds: a page of every claim's verdict, from ``claims.json``; and its publication beside the pages."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections import Counter
from itertools import groupby
from pathlib import Path

from docutils import nodes
from pairs import repository
from sphinx import addnodes
from sphinx.util.docutils import SphinxRole

SCHEMA = "claims.schema.json"
BEYOND = "Beyond the paper: "  # so begins the place of a claim that the paper does not make
COUNTS, CLAIMS = "% how many claims have which verdict", "% the claims, each with its verdict"  # places on the page
SIGNS = {"reproduced": "✓", "in part": "◐", "not reproduced": "✗", "outside this book": "–", "not testable": "?"}
MEANINGS = {
    "reproduced": "we found what the paper says",
    "in part": "on average, in one run, or at a smaller size",
    "not reproduced": "we found something else",
    "outside this book": "left to others, for the reason that is given",
    "not testable": "it rests on text that is not available",
}


def judged(app) -> tuple[Path, dict]:
    """The file that ``make claims`` wrote, and its content."""
    path = Path(app.srcdir) / "_build" / "claims.json"
    if not path.exists():
        raise SystemExit("\nThe claims were not judged yet: make claims.\n\nThe book was not built.")
    return path, json.loads(path.read_text("utf8"))


def slug(text: str) -> str:
    """A place in the paper as a part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def badge(verdict: str) -> str:
    """The words of a verdict, with a class for their look."""
    return f'<span class="verdict {slug(verdict)}">{html.escape(verdict)}</span>'


def sign(verdict: str) -> str:
    """One sign for a verdict, whose words stand nearby."""
    return f'<span class="sign {slug(verdict)}" title="{html.escape(verdict)}">{SIGNS[verdict]}</span>'


def plain(text: str) -> str:
    """Numbers as people write them: 1 × 10⁻⁹, and no 1e-09."""

    def power(match: re.Match) -> str:
        digits = str(int(match[2])).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"10{digits}" if match[1] == "1" else f"{match[1]} × 10{digits}"

    return re.sub(r"\b(\d(?:\.\d+)?)e([-+]?\d+)", power, text)


def number(value: float) -> str:
    """A number as a reader wants it: three digits, and a plain 0."""
    return plain(f"{value:.3g}").replace("-", "−")


def place(text: str, address: str) -> str:
    """A line or a test of the repository, with a link to it where the repository has an address."""
    path, line, number = text.partition(":")
    words = f"<code>{html.escape(text)}</code>"
    to = f"{address}/blob/main/{path}{f'#L{number}' * (line + number).removeprefix(':').isdigit()}"
    return f'<a href="{html.escape(to)}">{words}</a>' if address else words


def asked(entry: dict) -> str:
    """The range of a claim in words."""
    low, _, high = entry["range"].partition(" to ")
    return f"exactly {plain(low)}" if low == high else plain(entry["range"])


def found(entry: dict) -> str:
    """The mean over seeds; of two, too few for its interval, both values."""
    value, worst = entry["value"], entry["worst"]
    both = sorted((worst, round(2 * value - worst, 12)))  # no 10⁻¹⁷ for a 0
    return " and ".join(map(number, both)) if entry["seeds"] == 2 else number(value)


def measured(entry: dict) -> str:
    """What was found, with the interval of a mean and the number of seeds."""
    seeds = entry["seeds"]
    low, high = map(number, entry["interval"] or (0, 0))
    spread = f" (95% interval {low} to {high})" if low != high and seeds > 2 else ""
    return f"<b>{found(entry)}</b>{spread}, {'one run' if seeds == 1 else f'{seeds} seeds'}"


def room(entry: dict) -> str:
    """How far inside the range that is; nothing where it says nothing: of two seeds, and inside a single number."""
    if entry["seeds"] == 2 or (asked(entry).startswith("exactly") and entry["margin"] >= 0):
        return ""
    return f"; {number(abs(entry['margin']))} {'to spare' if entry['margin'] >= 0 else 'short'}"


def evidence(entry: dict, address: str) -> list[str]:
    """What a verdict rests on, in lines of HTML."""
    after = ", after the run" * entry["chosen_after_run"]
    lines = [
        f"{html.escape(plain(entry['quantity']))}: {measured(entry)}.",
        f"Asked for: {asked(entry)}{room(entry)}. The range was chosen on {entry['fixed']}{after}.",
    ]
    if entry["verdict"] == "in part":
        lines += [f"No more than in part: {html.escape(why)}." for why in entry["because"]]
    sizes = f", sizes: {html.escape(entry['sizes'])}" if entry["sizes"] else ""
    source = entry["result"] or "computed when this page was built"
    lines.append(f"{html.escape(source)}: {html.escape(entry['device'])}, {entry['date']}{sizes}.")
    code, test = (place(text, address) for text in (f"src/{entry['code']}", entry["test"]))
    return [*lines, f"Code {code}, test {test}, again <code>{html.escape(entry['command'])}</code>."]


def block(entry: dict, address: str) -> list[str]:
    """One claim as MyST: a line that opens, then its verdict, where it is examined, and its evidence."""
    links = [f"{{ref}}`chapter-{entry['chapter']}`"] * bool(entry["chapter"])
    links += [f"{{numref}}`{entry['figure']}`"] * bool(entry["figure"])
    lines = [f"(claim-{entry['id']})=", f":::{{container}} claim {slug(entry['verdict'])}"]
    lines += [f"{sign(entry['verdict'])} {entry['statement']}", ""]
    lines += [" · ".join([badge(entry["verdict"]), *links, f"`{entry['id']}`"]), ""]
    if "why" in entry:
        return [*lines, f"*{entry['why']}*", ":::", ""]
    told = "".join(f"<p>{line}</p>" for line in evidence(entry, address))
    return [*lines, f'<div class="evidence">{told}</div>', ":::", ""]


def choice(name: str, words: str, checked: str = "") -> str:
    """One choice of which claims are shown."""
    return f'<label><input type="radio" name="only" id="only-{name}"{checked}> <span>{words}</span></label>'


def shown(verdict: str) -> str:
    """A rule of style that leaves the claims of a verdict, and the places that have some."""
    name = slug(verdict)
    when = f".bd-article:has(#only-{name}:checked)"
    return f"{when} .claim:not(.{name}), {when} section:has(> .place):not(:has(.{name})) {{ display: none }}"


def counts(content: dict) -> list[str]:
    """How many claims have which verdict, and how many of these the paper makes; each a choice, without a script."""
    texts = {}
    for one, meaning in MEANINGS.items():
        here, beyond = (content[part].get(one, 0) for part in ("counts", "beyond"))
        more = f"; {beyond} of these are beyond the paper" * bool(beyond)
        if here or beyond:
            texts[one] = f"{sign(one)} <b>{here + beyond}</b> {badge(one)}: {meaning}{more}"
    papers, beyond = (sum(content[part].values()) for part in ("counts", "beyond"))
    more = f", {papers} of the paper and {beyond} beyond it" * bool(beyond)
    choices = [choice("all", f"all <b>{papers + beyond}</b> claims{more}", " checked")]
    choices += [choice(slug(verdict), text) for verdict, text in texts.items()]
    rules = [shown(verdict) for verdict in texts]
    fields = ['<fieldset class="counts"><legend>Which claims are shown below</legend>', *choices, "</fieldset>"]
    return [*fields, f"<style>{' '.join(rules)}</style>", ""]


def signs(claims: list[dict]) -> str:
    """The signs of a place, each with how many claims have it."""
    many = Counter(claim["verdict"] for claim in claims)
    return " ".join(f"{sign(verdict)} {many[verdict]}" for verdict in SIGNS if many[verdict])


def page(content: dict, address: str) -> list[str]:
    """The claims as MyST: what does not hold, then every place of the paper, which opens; then others' claims."""
    beyond = [one for one in content["claims"] if one["place"].startswith(BEYOND)]
    papers = [one for one in content["claims"] if one not in beyond]
    lines = ["## What we could not reproduce", "", *(failed(papers) or ["Nothing."]), ""]
    lines += ["## The paper, place by place", ""]
    lines += ["A place opens on a click and shows its claims; so does a claim, and shows its evidence.", ""]
    lines += places(papers, address)
    if beyond:
        lines += [
            "## Beyond the paper",
            "",
            "What others say, or what we expected, of which chapters 7 to 11 speak.",
            "",
        ]
        if missed := failed(beyond):
            lines += ["Not reproduced of these:", "", *missed, ""]
        told = [one | {"statement": f"{one['statement']} ({one['place'].removeprefix(BEYOND)})"} for one in beyond]
        lines += places(told, address)
    return lines


def where(entry: dict) -> str:
    """Under which heading a claim stands: its place in the paper, or the chapter that goes beyond it."""
    beyond = entry["place"].startswith(BEYOND)
    return entry["chapter"].replace("-", " ").capitalize() if beyond else entry["place"]


def failed(claims: list[dict]) -> list[str]:
    """A list of the claims that were not reproduced."""
    missed = [one for one in claims if one["verdict"] == "not reproduced"]
    return [f"- [{one['place'].removeprefix(BEYOND)}](#claim-{one['id']}): {one['statement']}" for one in missed]


def places(claims: list[dict], address: str) -> list[str]:
    """Every place, or chapter beyond the paper, with its claims; it opens."""
    lines = []
    for name, group in groupby(claims, key=where):
        one = list(group)
        lines += [f"(place-{slug(name)})=", f"### {name}", ""]
        lines += [":::{container} signs", signs(one), ":::", ""]
        lines += [line for claim in one for line in block(claim, address)]
    return lines


def expand(app, docname: str, source: list[str]) -> None:
    """Replace the places on the page by counts and claims, as if they were written there: these bring headings."""
    if CLAIMS in source[0]:
        path, content = judged(app)
        app.env.note_dependency(str(path))
        claims = page(content, repository(Path(app.srcdir)))
        source[0] = source[0].replace(COUNTS, "\n".join(counts(content))).replace(CLAIMS, "\n".join(claims))


class VerdictRole(SphinxRole):
    """``{claim}`id` ``: the verdict on a claim, with a link to its evidence."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the verdict as a link."""
        path, content = judged(self.env.app)
        self.env.note_dependency(str(path))
        found = [entry["verdict"] for entry in content["claims"] if entry["id"] == self.text]
        if not found:
            return [], [self.inliner.reporter.error(f"there is no claim {self.text!r} in claims.yml", line=self.lineno)]
        link = addnodes.pending_xref(
            "",
            refdomain="std",
            reftype="ref",
            reftarget=f"claim-{self.text}",
            refexplicit=True,
            refdoc=self.env.docname,
        )
        link += nodes.inline("", found[0], classes=["verdict", slug(found[0])])
        return [link], []


def publish(app, exception) -> None:
    """Put the verdicts and their schema beside the pages."""
    schema = Path(app.srcdir) / "book" / SCHEMA
    if exception is None and app.builder.name == "html" and schema.exists():
        shutil.copy(judged(app)[0], app.outdir)
        shutil.copy(schema, app.outdir)


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.add_role("claim", VerdictRole())
    app.connect("source-read", expand)
    app.connect("build-finished", publish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
