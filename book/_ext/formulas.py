"""Formulas as MathML, written when the book is built: readable without scripts, and with a font of the site's own.

math-core translates the TeX.  The font is STIX Two Math (SIL Open Font License 1.1) as ziamath brings it, cut down to
the signs that the pages use.
"""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from math_core import LatexError, LatexToMathML
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
FONT = "STIXTwoMath-Regular.ttf"
FORMULA = re.compile(r"<math.*?</math>", re.S)
ITALIC = [0x210E, *range(0x1D434, 0x1D468), *range(0x1D6A4, 0x1D6A6), *range(0x1D6E2, 0x1D71C)]  # letters by themselves
# A big delimiter with an index would shrink: something else beside it keeps its size.
INDEXED = re.compile(r"(<m(?:sub|sup|subsup)>)(<mo [^>]*minsize[^>]*>[^<]*</mo>)")
PRIMES = {0x2032, 0x2033, 0x2034}
WIDE = 50  # characters of TeX
FENCES = "√()[]{}|‖⟨⟩⌈⌉⌊⌋"
CONVERTER = LatexToMathML(fancy_error=False)


def mathml(tex: str, display: bool) -> str:
    """Translate TeX; raise `LatexError` for what cannot be."""
    tex = re.sub(r"\\\\\[[^]]*\]", r"\\\\", tex)  # rows have their distance by style
    if display and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    found = CONVERTER.convert_with_local_state(tex, displaystyle=display)
    return INDEXED.sub(r"\1<mrow>\2<mi></mi></mrow>", found)


def translated(node) -> str:
    """The MathML of a node; a formula that cannot be translated is a warning, which ends a build."""
    tex = node.astext()
    try:
        return mathml(tex, isinstance(node, nodes.math_block))
    except LatexError as problem:
        logger.warning("the formula %r cannot be shown: %s", tex, str(problem).strip(), location=node)
        return f"<code>{html.escape(tex)}</code>"


def inline(translator, node) -> None:
    """Write a formula of a sentence; a long one may be wider than a phone."""
    wide = " wide" * (len(node.astext()) > WIDE)
    translator.body.append(f'<span class="math notranslate nohighlight{wide}">{translated(node)}</span>')
    raise nodes.SkipNode


def block(translator, node) -> None:
    """Write a formula that stands alone, with its number."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node.get("number"):
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f"{translated(node)}</div>\n")
    raise nodes.SkipNode


# -------------------------------------------------------------------- the font


def narrowed(font: TTFont) -> None:
    """Make tall fences as wide as low ones: Chromium leaves room for the widest size of a sign, whatever it shows."""
    fences = {font.getBestCmap().get(ord(sign)) for sign in FENCES}
    variants, glyphs, widths = font["MATH"].table.MathVariants, font["glyf"], font["hmtx"].metrics
    for low, sizes in zip(variants.VertGlyphCoverage.glyphs, variants.VertGlyphConstruction):
        if low not in fences:
            continue
        tall = [record.VariantGlyph for record in sizes.MathGlyphVariantRecord]
        tall += [part.glyph for part in sizes.GlyphAssembly.PartRecords] if sizes.GlyphAssembly else []
        for name in set(tall):
            factor = widths[low][0] / (widths[name][0] or 1)
            if factor < 1:
                glyphs[name].coordinates.scale((factor, 1))
                glyphs[name].recalcBounds(glyphs)
                widths[name] = (widths[low][0], round(widths[name][1] * factor))


def write_font(signs: set[str], path: Path) -> None:
    """Write the part of the font that has these signs, with its licence in it."""
    options = subset.Options(layout_features=[], name_IDs=["*"], hinting=False, flavor="woff")
    font = subset.load_font(str(Path(find_spec("ziamath").origin).with_name("fonts") / FONT), options)
    for table in font["cmap"].tables:  # primes stand above the line: the larger form, which is meant for that
        table.cmap |= {code: table.cmap[code].removesuffix(".ssty") + ".ssty" for code in PRIMES & table.cmap.keys()}
    cut = subset.Subsetter(options)
    cut.populate(unicodes=sorted({*map(ord, signs), *map(ord, FENCES), *ITALIC}))
    cut.subset(font)
    narrowed(font)
    subset.save_font(font, str(path), options)


def finish(app, exception) -> None:
    """Write the font for the formulas of all pages."""
    if exception is None and app.builder.name == "html":
        pages = [Path(app.builder.get_outfilename(name)).read_text(encoding="utf8") for name in app.env.all_docs]
        formulas = " ".join(one for page in pages for one in FORMULA.findall(page))
        write_font(set(html.unescape(re.sub(r"<[^>]*>", "", formulas))), Path(app.outdir) / "_static" / "math.woff")


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
