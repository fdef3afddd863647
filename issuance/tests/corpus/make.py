#!/usr/bin/env python3
"""Makes the documents that the reader is tested on: readable ones by several producers, hostile ones by hand.

    python3 issuance/tests/corpus/make.py

Needs reportlab, weasyprint, ghostscript, qpdf, poppler-utils with poppler-data, and fonts-ipaexfont. Every person is made up.
Subsets of IPAex Mincho are embedded in some files, as the IPA Font License 1.0 allows for documents.
readable/*.txt is what poppler reads; hostile/REASON--NAME.pdf must be refused for REASON.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
READABLE = os.path.join(HERE, "readable")
HOSTILE = os.path.join(HERE, "hostile")
MINCHO = "/usr/share/fonts/opentype/ipaexfont-mincho/ipaexm.ttf"

# (text, x and y in millimetres from the top left, size in points)
ROWS = [
    ("住民票の写し", 80, 25, 16),
    ("発行番号　991007-K0001-20261122-00000123", 110, 38, 9),
    ("世帯主", 25, 50, 11), ("見本　太郎", 60, 50, 11),
    ("住所", 25, 58, 11), ("見本県見本市中央一丁目２番３号", 60, 58, 11),
    ("氏名", 25, 72, 11), ("見本　花子", 60, 72, 11),
    ("フリガナ", 25, 80, 11), ("ミホン　ハナコ", 60, 80, 11),
    ("生年月日", 25, 88, 11), ("昭和55年3月12日", 60, 88, 11), ("性別", 120, 88, 11), ("女", 140, 88, 11),
    ("住民となった年月日", 25, 96, 11), ("平成元年4月1日", 75, 96, 11),
    ("備考", 25, 104, 11), ("Sample ABC-123 (x)", 60, 104, 11),
    ("1／1", 98, 265, 10),
    ("発行日　令和8年11月22日", 25, 275, 10),
    ("この写しは、住民票の原本と相違ないことを証明する。", 25, 245, 11),
    ("見本市長　見本　一郎", 120, 255, 12),
]
MM = 72 / 25.4
HEIGHT = 841.89


# ---------------------------------------------------------------- other people's producers

def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def reportlab_canvas(path):
    from reportlab.pdfgen import canvas
    return canvas.Canvas(path, pagesize=(595.28, HEIGHT), invariant=1)


def draw_rows(canvas, font):
    canvas.setLineWidth(0.5)
    canvas.rect(20 * MM, HEIGHT - 110 * MM, 170 * MM, 65 * MM)
    for text, x, y, size in ROWS:
        canvas.setFont(font, size)
        canvas.drawString(x * MM, HEIGHT - y * MM, text)
    canvas.showPage()
    canvas.save()


def reportlab_cid(path):
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    draw_rows(reportlab_canvas(path), "HeiseiMin-W3")


def reportlab_ttf(path):
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    pdfmetrics.registerFont(TTFont("Mincho", MINCHO))
    draw_rows(reportlab_canvas(path), "Mincho")


def weasyprint_html(path):
    import weasyprint
    spans = "".join(
        f'<p style="left:{x}mm;top:{y - size * 0.35}mm;font-size:{size}pt">{text}</p>' for text, x, y, size in ROWS
    )
    html = (
        '<html lang="ja"><style>@page{size:A4;margin:0}body{font-family:"IPAexMincho"}'
        "p{position:absolute;margin:0;white-space:nowrap;line-height:1}</style>" + spans + "</html>"
    )
    weasyprint.HTML(string=html).write_pdf(path)


def redistill(path, source):
    """Ghostscript's own fonts, encodings and structure from somebody else's page."""
    run("gs", "-q", "-dNOPAUSE", "-dBATCH", "-sDEVICE=pdfwrite", "-dCompatibilityLevel=1.5", f"-sOutputFile={path}", source)


def qpdf(source, path, *options):
    run("qpdf", "--static-id", *options, source, path)


# ---------------------------------------------------------------- files by hand

class File:
    """A PDF written object by object, exactly as told."""

    def __init__(self, version="1.7"):
        self.out = bytearray(f"%PDF-{version}\n%\xe2\xe3\xcf\xd3\n".encode("latin-1"))
        self.offsets = {}

    def object(self, number, body, stream=None, listed=True, length=None):
        if isinstance(body, str):
            body = body.encode("latin-1")
        if listed:
            self.offsets[number] = len(self.out)
        if stream is not None:
            length = len(stream) if length is None else length
            body = body[:-2] + f" /Length {length} >>".encode() if body.endswith(b">>") else body
            body += b"\nstream\n" + stream + b"\nendstream"
        self.out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"

    def finish(self, trailer="", startxref=None, root=1):
        at = len(self.out)
        size = max(self.offsets) + 1
        self.out += f"xref\n0 {size}\n".encode()
        for number in range(size):
            if number in self.offsets:
                self.out += f"{self.offsets[number]:010} 00000 n \n".encode()
            else:
                self.out += b"0000000000 65535 f \n"
        self.out += f"trailer\n<< /Size {size} /Root {root} 0 R {trailer} >>\n".encode()
        self.out += f"startxref\n{at if startxref is None else startxref}\n%%EOF\n".encode()
        return bytes(self.out)


HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
NAME = b"BT /F1 12 Tf 100 700 Td (Hanako Mihon) Tj ET\n"


def document(content=NAME, fonts=None, resources="", page="", catalog="", extra=(), media="[0 0 595 842]", finish=None):
    """One page. Objects 1 to 4 are catalog, pages, page and content; `extra` are (number, body, stream)."""
    file = File()
    fonts = fonts or {"F1": HELVETICA}
    font = " ".join(f"/{name} {body}" for name, body in fonts.items())
    file.object(1, f"<< /Type /Catalog /Pages 2 0 R {catalog} >>")
    file.object(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
    file.object(3, f"<< /Type /Page /Parent 2 0 R /MediaBox {media} /Contents 4 0 R {page} "
                   f"/Resources << /Font << {font} >> {resources} >> >>")
    file.object(4, "<< >>", content)
    for number, body, stream in extra:
        file.object(number, body, stream)
    return (finish or File.finish)(file)


def cid_font(encoding, ordering="Japan1", descendant="", to_unicode="", subtype="CIDFontType0"):
    return (f"<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding {encoding} {to_unicode} /DescendantFonts "
            f"[<< /Type /Font /Subtype /{subtype} /BaseFont /Ryumin-Light /DW 1000 /W [1 230 500 231 632 500] "
            f"/CIDSystemInfo << /Registry (Adobe) /Ordering ({ordering}) /Supplement 2 >> {descendant} >>] >>")


def rows(encode, size_scale=1.0, height=HEIGHT):
    out = bytearray(b"BT\n")
    for text, x, y, size in ROWS:
        out += f"/F1 {size} Tf 1 0 0 1 {x * MM:.2f} {height - y * MM:.2f} Tm <{encode(text).hex()}> Tj\n".encode()
    return bytes(out + b"ET\n")


def japan1_cids(text):
    """Adobe-Japan1 CIDs by poppler-data's UniJIS-UTF16-H."""
    table = {}
    mode = None
    for line in open("/usr/share/poppler/cMap/Adobe-Japan1/UniJIS-UTF16-H"):
        words = line.split()
        if len(words) == 2 and words[1].startswith("begincid"):
            mode = words[1]
        elif words and words[0].startswith("endcid"):
            mode = None
        elif mode == "begincidchar":
            table[int(words[0][1:-1], 16)] = int(words[1])
        elif mode == "begincidrange":
            low, high = int(words[0][1:-1], 16), int(words[1][1:-1], 16)
            for code in range(low, high + 1):
                table[code] = int(words[2]) + code - low
    return b"".join(table[ord(char)].to_bytes(2, "big") for char in text)


def half_width_sjis(text):
    return text.replace("フリガナ", "ﾌﾘｶﾞﾅ").replace("ミホン　ハナコ", "ﾐﾎﾝ ﾊﾅｺ").encode("cp932")


def legacy():
    """Fonts that are not embedded, as host systems print them."""
    def page(encoding, encode):
        return document(rows(encode), {"F1": cid_font(encoding)}, media="[0 0 595.28 841.89]")
    return {
        "sjis": page("/90ms-RKSJ-H", half_width_sjis),
        "euc": page("/EUC-H", lambda t: t.encode("euc_jp")),
        "ucs2": page("/UniJIS-UCS2-H", lambda t: t.encode("utf-16-be")),
        "ucs2-hw": page("/UniJIS-UCS2-HW-H", lambda t: t.encode("utf-16-be")),
        "utf16": page("/UniJIS-UTF16-H", lambda t: t.encode("utf-16-be")),
        "japan1-cids": page("/Identity-H", japan1_cids),
    }


def latin():
    """Simple encodings, forms in forms, an inline image, inherited and shifted boxes."""
    differences = "<< /Type /Encoding /BaseEncoding /MacRomanEncoding /Differences [65 /Eacute /uni6C0F /one.oldstyle] >>"
    fonts = {
        "F1": HELVETICA,
        "F2": "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /MacRomanEncoding >>",
        "F3": f"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding {differences} >>",
        "F4": "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    }
    content = (b"q 1 0 0 1 50 50 cm /X1 Do Q\n"
               b"BT /F1 12 Tf 100 700 Td (WinAnsi caf\\351 \\200 5) Tj 0 -20 Td /F2 12 Tf (MacRoman caf\\216) Tj\n"
               b"0 -20 Td /F3 12 Tf (ABC) Tj 0 -20 Td /F4 12 Tf (Courier) Tj 120 0 Td (apart) Tj ET\n"
               b"q 20 0 0 20 400 400 cm BI /W 2 /H 2 /BPC 8 /CS /G ID \x00\xffEI EI Q\n"
               b"q 20 0 0 20 450 400 cm BI /W 8 /H 2 /IM true /F /AHx ID 00FF> EI Q\n")
    inner = b"BT /F1 10 Tf 100 100 Td (inside the form) Tj ET /X2 Do\n"
    innermost = b"BT /F1 10 Tf 0 0 Td (inside the inner form) Tj ET\n"
    form = "<< /Type /XObject /Subtype /Form /BBox [0 0 400 400] {} >>"
    extra = [
        (5, form.format(f"/Resources << /Font << /F1 {HELVETICA} >> /XObject << /X2 6 0 R >> >>"), inner),
        (6, form.format("/Matrix [2 0 0 2 100 200]"), innermost),
    ]
    plain = document(content, fonts, "/XObject << /X1 5 0 R >>", extra=extra)
    turned = b"BT /F1 12 Tf 0 1 -1 0 {} Tm (turned) Tj ET"
    shift = b"BT /F1 12 Tf 1 0 0 1 300 400 Tm (shifted) Tj ET\n"
    return {
        "latin": plain,
        "painted": painted(),
        "gaiji": gaiji(),
        "two-pages": two_good_pages(),
        "rotated-90": document(turned.replace(b"{}", b"300 400"), page="/Rotate 90"),
        "rotated-270": document(b"BT /F1 12 Tf 0 -1 1 0 300 400 Tm (turned) Tj ET", page="/Rotate -90"),
        "rotated-180": document(b"BT /F1 12 Tf -1 0 0 -1 300 400 Tm (turned) Tj ET", page="/Rotate 180"),
        "cropped": document(shift, page="/CropBox [100 200 500 700]", media="[50 100 595 842]"),
        "user-unit": document(shift, page="/UserUnit 2"),
        "lzw": lzw_document(),
    }


def painted():
    """What is unusual but visible: light on dark, a shaded table, bold by painting twice, a seal's outline, a mark that agrees."""
    return document(
        b"0 g 90 690 200 30 re f 1 g " + NAME + b"0.9 g 90 590 200 30 re f 0 g " + SHOWN
        + b"BT /F1 12 Tf 100 500 Td (bold) Tj .3 0 Td (bold) Tj ET\n"
        + b"0.8 0 0 RG 3 w 250 480 40 40 re S 0.5 w 90 495 m 200 495 l S\n"
        + b"q 90 380 200 30 re W n BT /F1 12 Tf 100 390 Td (inside its cell) Tj ET Q\n"
        + b"/Span << /ActualText (agreed) >> BDC BT /F1 12 Tf 100 300 Td (agreed) Tj ET EMC\n"
        + b"/OC /L1 BDC BT /F1 12 Tf 100 200 Td (a layer that is on) Tj ET EMC\n",
        resources="/Properties << /L1 5 0 R >>",
        catalog="/OCProperties << /OCGs [5 0 R] /D << /ON [5 0 R] /OFF [] >> >> /OpenAction [3 0 R /Fit]",
        extra=[(5, "<< /Type /OCG /Name (layer) >>", None)])


def gaiji():
    """A character of a private use area: read as it is, for the checks to decide."""
    program = "/FontDescriptor << /Type /FontDescriptor /FontFile3 6 0 R >>"
    return document(
        b"BT /F1 12 Tf 100 700 Td <00010002> Tj ET\n",
        {"F1": cid_font("/Identity-H", "Identity", program, "/ToUnicode 5 0 R")},
        extra=[(5, "<< >>", cmap("2 beginbfchar <0001> <898B> <0002> <E123> endbfchar")),
               (6, "<< /Subtype /CIDFontType0C >>", b"x")])


def two_good_pages():
    file = File()
    file.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
    file.object(2, f"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 /MediaBox [0 0 595 842] "
                   f"/Resources << /Font << /F1 {HELVETICA} >> >> >>")
    file.object(3, "<< /Type /Pages /Parent 2 0 R /Kids [4 0 R] /Count 1 /Rotate 180 >>")
    file.object(4, "<< /Type /Page /Parent 3 0 R /Contents [6 0 R 7 0 R] >>")
    file.object(5, "<< /Type /Page /Parent 2 0 R /Contents 8 0 R /CropBox [0 400 595 842] >>")
    file.object(6, "<< >>", b"BT /F1 12 Tf -1 0 0 -1 300 700 Tm (page one,)")
    file.object(7, "<< >>", b"Tj ET BT /F1 12 Tf -1 0 0 -1 300 600 Tm (continued) Tj ET")
    file.object(8, "<< >>", b"BT /F1 12 Tf 100 700 Td (page two) Tj ET")
    return file.finish()


def lzw(data):
    """LZW as ISO 32000-2, 7.4.4, with early change."""
    table, width, out, bits, held = {bytes([i]): i for i in range(256)}, 9, bytearray(), 0, 0

    def put(code):
        nonlocal bits, held
        bits, held = bits << width | code, held + width
        while held >= 8:
            held -= 8
            out.append(bits >> held & 0xff)
        bits &= (1 << held) - 1

    def grown(size):
        return 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12

    put(256)
    next_code, prefix = 258, b""
    for byte in data:
        longer = prefix + bytes([byte])
        if longer in table:
            prefix = longer
            continue
        put(table[prefix])
        table[longer] = next_code
        next_code += 1
        width = grown(next_code)
        if next_code >= 4094:
            put(256)
            table, next_code, width = {bytes([i]): i for i in range(256)}, 258, 9
        prefix = bytes([byte])
    put(table[prefix])
    width = grown(next_code + 1)
    put(257)
    if held:
        out.append(bits << (8 - held) & 0xff)
    return bytes(out)


def lzw_document():
    content = b"".join(f"BT /F1 9 Tf {40 + i % 4 * 130} {800 - i // 4 * 12} Td (line {i * 7919}) Tj ET\n".encode()
                       for i in range(200))
    file = File()
    file.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
    file.object(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] "
                   f"/Resources << /Font << /F1 {HELVETICA} >> >> >>")
    file.object(3, "<< /Type /Page /Parent 2 0 R /Contents [4 0 R] >>")
    file.object(4, "<< /Filter [/ASCII85Decode /LZWDecode] >>", ascii85(lzw(content)))
    return file.finish()


def ascii85(data):
    import base64
    return base64.a85encode(data) + b"~>"


# ---------------------------------------------------------------- hostile files

def hostile():
    """(reason, name, bytes): each shows, or may show, something other than what its text says."""
    t = NAME
    yield "no_text", "empty-page", document(b"0 0 m 10 10 l S\n")
    yield "no_text", "only-spaces", document(b"BT /F1 12 Tf 100 700 Td (   ) Tj ET\n")
    yield "no_text", "second-page-is-a-picture", two_pages()
    yield "invisible_text", "render-mode-3", document(b"BT /F1 12 Tf 3 Tr 100 700 Td (Hanako Mihon) Tj ET\n")
    yield "invisible_text", "render-mode-7", document(b"BT /F1 12 Tf 7 Tr 100 700 Td (Hanako Mihon) Tj ET\n")
    for name, colour in [("gray", "0.95 g"), ("rgb", "1 1 0.9 rg"), ("cmyk", "0 0 0.1 0.02 k"),
                         ("icc", "/CS1 cs 1 1 1 scn"), ("ink", "/CS2 cs 0.05 scn")]:
        spaces = ("/ColorSpace << /CS1 [/ICCBased 5 0 R] /CS2 [/Separation /Black /DeviceGray 6 0 R] >>")
        extra = [(5, "<< /N 3 >>", b"profile"), (6, "<< /FunctionType 2 /Domain [0 1] /N 1 /C0 [1] /C1 [0] >>", None)]
        yield "low_contrast", f"white-{name}", document(colour.encode() + b" " + t, resources=spaces, extra=extra)
    yield "low_contrast", "black-on-black", document(b"0 g 90 690 200 30 re f " + t)
    yield "low_contrast", "white-stroke", document(b"1 G BT /F1 12 Tf 1 Tr 100 700 Td (Hanako Mihon) Tj ET\n")
    yield "unknown_background", "over-a-picture", document(
        b"q 300 0 0 40 90 690 cm /X1 Do Q " + t, resources="/XObject << /X1 5 0 R >>", extra=[(5, IMAGE, b"\x00")])
    yield "unknown_colour", "pattern-text", document(
        b"/Pattern cs /P1 scn " + t, resources="/Pattern << /P1 5 0 R >>",
        extra=[(5, "<< /PatternType 2 /Shading << /ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 1 1] "
                   "/Function << /FunctionType 2 /Domain [0 1] /N 1 >> >> >>", None)])
    yield "unknown_colour", "spot-colour-text", document(
        b"/CS1 cs 1 scn " + t,
        resources="/ColorSpace << /CS1 [/Separation /Varnish /DeviceGray << /FunctionType 2 /Domain [0 1] /N 1 >>] >>")
    yield "unknown_colour", "default-space-replaced", document(
        b"0 g " + t, resources="/ColorSpace << /DefaultGray [/Indexed /DeviceRGB 0 <FFFFFF>] >>")
    for name, state in [("fill-alpha", "/ca 0.05"), ("blend-mode", "/BM /Screen"), ("blend-list", "/BM [/Lighten /Normal]"),
                        ("soft-mask", "/SMask << /S /Luminosity /G 5 0 R >>"), ("transfer", "/TR 5 0 R")]:
        yield "transparent_text", name, document(
            b"/G1 gs " + t, resources=f"/ExtGState << /G1 << {state} >> >>", extra=[(5, FORM, b"")])
    yield "transparent_text", "stroke-alpha", document(
        b"/G1 gs 1 Tr " + t.replace(b"BT", b"BT 1 Tr"), resources="/ExtGState << /G1 << /CA 0 >> >>")
    yield "transparent_text", "whole-group", document(
        b"/G1 gs /X1 Do\n", resources="/ExtGState << /G1 << /ca 0 >> /G2 << /ca 1 >> >> /XObject << /X1 5 0 R >>",
        extra=[(5, FORM[:-2] + "/Group << /S /Transparency >> >>", b"/G2 gs " + t)])
    yield "clipped_text", "outside-the-clip", document(b"q 0 0 50 50 re W n " + t + b" Q " + SHOWN)
    yield "clipped_text", "half-the-line", document(b"q 90 690 30 30 re W n " + t + b" Q " + SHOWN)
    yield "clipped_text", "lower-half", document(b"q 90 690 300 13 re W n " + t + b" Q " + SHOWN)
    yield "clipped_text", "empty-clip", document(b"q W n " + t + b" Q " + SHOWN)
    yield "clipped_text", "not-a-rectangle", document(b"q 0 0 m 600 0 l 600 842 l W n " + t + b" Q " + SHOWN)
    yield "clipped_text", "outside-the-form", document(
        b"/X1 Do " + SHOWN, resources="/XObject << /X1 5 0 R >>",
        extra=[(5, "<< /Subtype /Form /BBox [0 0 50 50] >>", t)])
    yield "off_page", "left-of-the-page", document(SHOWN + b"BT /F1 12 Tf -300 700 Td (Hanako Mihon) Tj ET\n")
    yield "off_page", "outside-the-crop-box", document(SHOWN + t, page="/CropBox [0 0 595 600]")
    yield "off_page", "runs-out-of-the-page", document(b"BT /F1 12 Tf 560 700 Td (Hanako Mihon) Tj ET\n")
    yield "tiny_text", "one-point", document(SHOWN + b"BT /F1 1 Tf 100 700 Td (Hanako Mihon) Tj ET\n")
    yield "tiny_text", "scaled-down", document(SHOWN + b"q .1 0 0 .1 0 0 cm BT /F1 12 Tf 1000 7000 Td (Hanako) Tj ET Q\n")
    yield "tiny_text", "squeezed", document(SHOWN + b"BT /F1 12 Tf 5 Tz 100 700 Td (Hanako Mihon) Tj ET\n")
    yield "covered_text", "by-a-white-box", document(t + b"1 g 90 690 200 30 re f\n" + SHOWN)
    yield "covered_text", "by-a-picture", document(
        t + b"q 300 0 0 40 90 690 cm /X1 Do Q\n", resources="/XObject << /X1 5 0 R >>", extra=[(5, IMAGE, b"\xff")])
    yield "covered_text", "by-an-inline-picture", document(
        t + b"q 300 0 0 40 90 690 cm BI /W 1 /H 1 /BPC 8 /CS /G ID \xff EI Q\n")
    yield "covered_text", "by-a-thick-line", document(t + b"1 G 14 w 90 704 m 300 704 l S\n")
    yield "covered_text", "by-a-shading", document(
        t + b"q 90 690 200 30 re W n /S1 sh Q\n",
        resources="/Shading << /S1 << /ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 1 1] "
                  "/Function << /FunctionType 2 /Domain [0 1] /N 1 >> >> >>")
    yield "covered_text", "by-slices", document(
        t + b"1 g " + b"".join(f"90 {698 + i} 200 0.6 re f ".encode() for i in range(12)))
    yield "covered_text", "by-a-form", document(
        t + b"/X1 Do\n", resources="/XObject << /X1 5 0 R >>", extra=[(5, FORM, b"1 g 90 690 200 30 re f\n")])
    yield "overlapping_text", "one-name-over-another", document(t + b"BT /F1 12 Tf 100.5 700 Td (Jiro Tanaka) Tj ET\n")
    yield "rotated_text", "upside-down", document(b"BT /F1 12 Tf -1 0 0 -1 300 700 Tm (Hanako Mihon) Tj ET\n")
    yield "rotated_text", "mirrored", document(b"BT /F1 12 Tf -1 0 0 1 300 700 Tm (Hanako Mihon) Tj ET\n")
    yield "vertical_text", "vertical-map", document(rows(lambda s: s.encode("cp932")), {"F1": cid_font("/90ms-RKSJ-V")})
    yield from hostile_layers()
    yield from hostile_parts()
    yield from hostile_shapes()
    yield from hostile_maps()
    yield from hostile_bombs()


SHOWN = b"BT /F1 12 Tf 100 600 Td (Taro Mihon) Tj ET\n"
IMAGE = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray >>"
FORM = "<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] >>"


def two_pages():
    file = File()
    file.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
    file.object(2, f"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 /MediaBox [0 0 595 842] "
                   f"/Resources << /Font << /F1 {HELVETICA} >> /XObject << /X1 7 0 R >> >> >>")
    file.object(3, "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>")
    file.object(4, "<< >>", NAME)
    file.object(5, "<< /Type /Page /Parent 2 0 R /Contents 6 0 R >>")
    file.object(6, "<< >>", b"q 500 0 0 700 50 50 cm /X1 Do Q\n")
    file.object(7, IMAGE, b"\x7f")
    return file.finish()


def hostile_layers():
    t = b"/OC /L1 BDC " + NAME + b" EMC " + SHOWN
    group = (5, "<< /Type /OCG /Name (layer) {} >>", None)

    def layered(content, configuration, usage=""):
        return document(content, resources="/Properties << /L1 5 0 R /L2 6 0 R >>",
                        catalog=f"/OCProperties << /OCGs [5 0 R] /D << {configuration} >> >>",
                        extra=[(5, group[1].format(usage), None), (6, "<< /Type /OCMD /OCGs 5 0 R >>", None)])
    yield "hidden_layer", "switched-off", layered(t, "/OFF [5 0 R]")
    yield "hidden_layer", "off-by-default", layered(t, "/BaseState /OFF")
    yield "hidden_layer", "not-printed", layered(t, "", "/Usage << /Print << /PrintState /OFF >> >>")
    yield "hidden_layer", "by-event", layered(t, "/AS [<< /Event /Print /OCGs [5 0 R] /Category [/Print] >>]")
    yield "hidden_layer", "membership", layered(t.replace(b"/L1", b"/L2"), "")
    yield "hidden_layer", "undeclared", document(t, resources="/Properties << /L1 5 0 R >>",
                                                 extra=[(5, "<< /Type /OCG /Name (layer) >>", None)])
    yield "hidden_layer", "hidden-form", document(
        b"/X1 Do " + SHOWN, resources="/XObject << /X1 5 0 R >>",
        extra=[(5, FORM[:-2] + " /OC 6 0 R >>", NAME), (6, "<< /Type /OCG /Name (layer) >>", None)])
    for key in ("ActualText", "Alt", "E"):
        yield "replaced_text", f"{key.lower()}-in-content", document(
            f"/Span << /{key} (Taro Tanaka) >> BDC ".encode() + NAME + b" EMC\n")
    yield "replaced_text", "actualtext-in-properties", document(
        b"/Span /P1 BDC " + NAME + b" EMC\n", resources="/Properties << /P1 << /ActualText (Taro Tanaka) >> >>")
    yield "replaced_text", "actualtext-in-structure", document(
        extra=[(5, "<< /Type /StructElem /S /Span /ActualText (Taro Tanaka) /P 5 0 R >>", None)],
        catalog="/StructTreeRoot << /Type /StructTreeRoot /K 5 0 R >>")


def hostile_parts():
    note = "/Annots [<< /Type /Annot /Subtype /{} /Rect [90 690 300 720] {} >>]"
    yield "annotations", "free-text", document(page=note.format("FreeText", "/Contents (Taro)"))
    yield "annotations", "stamp", document(page=note.format("Stamp", ""))
    yield "annotations", "link-with-appearance", document(page=note.format("Link", "/AP << /N 5 0 R >>"),
                                                          extra=[(5, FORM, b"1 g 90 690 200 30 re f")])
    yield "annotations", "widget", document(page=note.format("Widget", "/FT /Tx /V (Taro)"))
    yield "form_fields", "text-field", document(
        catalog="/AcroForm << /Fields [5 0 R] >>", extra=[(5, "<< /FT /Tx /T (name) /V (Taro Tanaka) >>", None)])
    yield "xfa", "dynamic-form", document(catalog="/AcroForm << /Fields [] /XFA 5 0 R >>", extra=[(5, "<< >>", b"<xdp/>")])
    yield "xfa", "needs-rendering", document(catalog="/NeedsRendering true")
    yield "active_content", "javascript", document(catalog="/Names << /JavaScript << /Names [] >> >>")
    yield "active_content", "open-action", document(catalog="/OpenAction << /S /Named /N /Print >>")
    yield "active_content", "open-script", document(catalog="/OpenAction << /S /JavaScript /JS (this.print\\(\\)) >>")
    yield "active_content", "page-action", document(page="/AA << /O << /S /Named /N /NextPage >> >>")
    yield "active_content", "launch", document(extra=[(5, "<< /S /Launch /F (x) >>", None)], page="/X 5 0 R")
    yield "embedded_files", "attachment", document(catalog="/Names << /EmbeddedFiles << /Names [(a) 5 0 R] >> >>",
                                                   extra=[(5, "<< /Type /Filespec /F (a) >>", None)])
    yield "embedded_files", "file-specification", document(
        extra=[(5, "<< /Type /Filespec /EF << /F 6 0 R >> >>", None), (6, "<< /Type /EmbeddedFile >>", b"x")])
    yield "alternate_image", "another-picture-for-print", document(
        resources="/XObject << /X1 5 0 R >>", extra=[(5, IMAGE[:-2] + "/Alternates [] >>", b"\xff")])
    yield "external_data", "stream-in-another-file", document(extra=[(5, "<< /F (other.bin) >>", b"")])
    yield "external_data", "page-of-another-file", document(
        b"/X1 Do " + NAME, resources="/XObject << /X1 5 0 R >>",
        extra=[(5, FORM[:-2] + "/Ref << /Page 0 >> >>", b"")])
    yield "type3_font", "drawn-glyphs", document(fonts={
        "F1": "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [.001 0 0 .001 0 0] /CharProcs << /a 5 0 R >> "
              "/Encoding << /Differences [72 /a] >> /FirstChar 72 /LastChar 72 /Widths [1000] >>"},
        extra=[(5, "<< >>", b"1000 0 d0 0 0 500 500 re f")])
    yield "unknown_operator", "unknown-operator", document(NAME + b"1 2 xx\n")
    yield "malformed_content", "unbalanced-restore", document(NAME + b"Q\n")
    yield "malformed_content", "unbalanced-mark", document(b"/Span BMC " + NAME)
    yield "inline_image", "end-inside-the-picture", document(
        b"q BI /W 4 /H 1 /BPC 8 /CS /G ID \n EI BT /F1 12 Tf 100 700 Td (Hanako) Tj ET EI Q " + SHOWN)
    yield "inline_image", "length-unknown", document(b"q BI /W 1 /H 1 /BPC 8 /CS /G /F /DCT ID xx EI Q " + SHOWN)


def hostile_shapes():
    good = document()
    yield "no_header", "garbage-before-the-header", b"\n" + good
    yield "no_header", "not-a-pdf", b"<html>error</html>"
    yield "broken_xref", "empty-file", b"%PDF-1.7\n"
    yield "trailing_bytes", "garbage-after-the-end", good + b"<p>debug</p>\n"
    yield "duplicate_object", "another-file-appended", good + document(NAME.replace(b"Hanako", b"Jiroko"))
    yield "broken_xref", "wrong-startxref", document(finish=lambda f: f.finish(startxref=9))
    yield "broken_xref", "cut-off", good[:-60]

    def shifted(file):
        file.offsets[4] += 1
        return file.finish()
    yield "broken_xref", "wrong-offset", document(finish=shifted)
    yield "garbage", "words-between-objects", document(finish=lambda f: (f.out.extend(b"hello\n"), f.finish())[1])

    def twice(file):
        file.object(4, "<< >>", NAME.replace(b"Hanako", b"Jiroko"), listed=False)
        return file.finish()
    yield "duplicate_object", "content-defined-twice", document(finish=twice)

    def unlisted(file):
        file.object(9, "<< >>", listed=False)
        return file.finish()
    yield "unlisted_object", "unlisted-object", document(finish=unlisted)

    def updated(file):
        body = file.finish()
        at = len(body)
        new = NAME.replace(b"Hanako", b"Jiroko")
        body += b"4 0 obj\n<< /Length %d >>\nstream\n" % len(new) + new + b"\nendstream\nendobj\n"
        section = len(body)
        previous = int(body.split(b"startxref\n")[1].split()[0])
        body += b"xref\n4 1\n%010d 00000 n \n" % at
        body += b"trailer\n<< /Size 5 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (previous, section)
        return body
    yield "revised", "incremental-update", document(finish=updated)

    def prev_loop(file):
        at = len(file.out)
        return file.finish(trailer=f"/Prev {at}")
    yield "revised", "previous-section-is-itself", document(finish=prev_loop)
    yield "hybrid_xref", "hybrid", document(finish=lambda f: f.finish(trailer="/XRefStm 9"))
    yield "revised", "second-generation", good.replace(b"4 0 obj", b"4 1 obj")
    yield "repeated_key", "two-contents", document(page="/Contents 5 0 R", extra=[(5, "<< >>", SHOWN)])
    yield "malformed", "wrong-length", good.replace(b"/Length %d" % len(NAME), b"/Length 12")
    yield "page_tree", "page-is-its-own-parent", document().replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
    yield "page_tree", "page-shown-twice", page_twice()
    yield "page_tree", "wrong-count", document().replace(b"/Count 1", b"/Count 2")
    yield "page_box", "page-without-area", document(media="[0 0 0 0]")
    yield "page_box", "odd-rotation", document(page="/Rotate 45")
    yield "encrypted", "password-needed", locked()


def page_twice():
    file = File()
    file.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
    file.object(2, "<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 >>")
    file.object(3, f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
                   f"/Resources << /Font << /F1 {HELVETICA} >> >> >>")
    file.object(4, "<< >>", NAME)
    return file.finish()


def locked():
    with tempfile.TemporaryDirectory() as place:
        source, target = os.path.join(place, "a.pdf"), os.path.join(place, "b.pdf")
        open(source, "wb").write(document())
        run("qpdf", "--static-aes-iv", "--encrypt", "secret", "owner", "256", "--", source, target)
        return open(target, "rb").read()


def cmap(body, name="Adobe-Identity-UCS"):
    return (f"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /{name} def /CMapType 2 def\n"
            f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{body}\nendcmap end end\n").encode()


def hostile_maps():
    sjis = b"BT /F1 12 Tf 100 700 Td <" + "見本花子".encode("cp932").hex().encode() + b"> Tj ET\n"
    lie = cmap(f"1 beginbfchar <{'見'.encode('cp932').hex()}> <{'田'.encode('utf-16-be').hex()}> endbfchar")
    yield "contradicting_maps", "tounicode-against-predefined", document(
        sjis, {"F1": cid_font("/90ms-RKSJ-H", to_unicode="/ToUnicode 5 0 R")}, extra=[(5, "<< >>", lie)])
    namesake = cmap(f"1 begincidchar <{'見'.encode('cp932').hex()}> 1000 endcidchar", "90ms-RKSJ-H")
    yield "contradicting_maps", "impostor-of-a-predefined-map", document(
        sjis, {"F1": cid_font("5 0 R")}, extra=[(5, "<< /Type /CMap /CMapName /90ms-RKSJ-H >>", namesake)])
    yield "contradicting_maps", "tounicode-against-encoding", document(
        fonts={"F1": HELVETICA[:-2] + "/ToUnicode 5 0 R >>"},
        extra=[(5, "<< >>", cmap("1 beginbfchar <48> <0054> endbfchar"))])
    yield "contradicting_maps", "tounicode-against-itself", document(
        fonts={"F1": HELVETICA[:-2] + "/ToUnicode 5 0 R >>"},
        extra=[(5, "<< >>", cmap("2 beginbfchar <48> <0048> <48> <0054> endbfchar"))])
    yield "contradicting_maps", "tounicode-against-the-embedded-font", lying_subset()
    yield "replacement_character", "replacement-character", document(
        b"BT /F1 12 Tf 100 700 Td <0001> Tj ET\n",
        {"F1": cid_font("/Identity-H", "Identity", "/FontDescriptor << /Type /FontDescriptor /FontFile3 6 0 R >>",
                        "/ToUnicode 5 0 R")},
        extra=[(5, "<< >>", cmap("1 beginbfchar <0001> <FFFD> endbfchar")), (6, "<< /Subtype /CIDFontType0C >>", b"x")])
    yield "unmapped_code", "code-without-a-character", document(
        b"BT /F1 12 Tf 100 700 Td <FCFC> Tj ET\n", {"F1": cid_font("/90ms-RKSJ-H")})
    yield "unmapped_code", "half-a-character", document(
        b"BT /F1 12 Tf 100 700 Td <8A> Tj ET\n", {"F1": cid_font("/90ms-RKSJ-H")})
    yield "unmapped_code", "glyph-names-that-say-nothing", document(fonts={
        "F1": HELVETICA.replace("/WinAnsiEncoding", "<< /Differences [72 /g1 97 /g2] >>")})
    yield "font_not_embedded", "glyph-numbers-of-an-absent-font", document(
        b"BT /F1 12 Tf 100 700 Td <0001> Tj ET\n",
        {"F1": cid_font("/Identity-H", "Identity", "", "/ToUnicode 5 0 R", "CIDFontType2")},
        extra=[(5, "<< >>", cmap("1 beginbfchar <0001> <0041> endbfchar"))])
    yield "unknown_cmap", "unknown-map", document(sjis, {"F1": cid_font("/UniKS-UCS2-H")})
    yield "malformed_cmap", "broken-tounicode", document(
        fonts={"F1": HELVETICA[:-2] + "/ToUnicode 5 0 R >>"}, extra=[(5, "<< >>", b"1 beginbfchar <48> endbfchar")])


def lying_subset():
    """A TrueType font that knows glyph 1 as U+0041, under a ToUnicode that calls it U+0042."""
    subtable = b"\x00\x04\x00\x20\x00\x00\x00\x04\x00\x04\x00\x01\x00\x00\x00\x41\xff\xff\x00\x00\x00\x41\xff\xff" \
               b"\xff\xc0\x00\x01\x00\x00\x00\x00"
    table = b"\x00\x00\x00\x01\x00\x03\x00\x01\x00\x00\x00\x0c" + subtable
    font = b"\x00\x01\x00\x00\x00\x01\x00\x10\x00\x00\x00\x00" + b"cmap" + bytes(4) + (28).to_bytes(4, "big") \
        + len(table).to_bytes(4, "big") + table
    descriptor = "/FontDescriptor << /Type /FontDescriptor /FontFile2 6 0 R >>"
    return document(b"BT /F1 12 Tf 100 700 Td <0001> Tj ET\n",
                    {"F1": cid_font("/Identity-H", "Identity", descriptor, "/ToUnicode 5 0 R", "CIDFontType2")},
                    extra=[(5, "<< >>", cmap("1 beginbfchar <0001> <0042> endbfchar")), (6, "<< >>", font)])


def filtered(data, filters):
    file = File()
    file.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
    file.object(2, f"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] "
                   f"/Resources << /Font << /F1 {HELVETICA} >> >> >>")
    file.object(3, "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>")
    file.object(4, f"<< /Filter {filters} >>", data)
    return file.finish()


def hostile_bombs():
    def twice(data):
        return zlib.compress(zlib.compress(data, 9), 9)
    yield "too_large", "inflates-without-end", filtered(twice(NAME + b" " * (64 << 20)), "[/FlateDecode /FlateDecode]")
    yield "unsupported_filter", "filters-without-end", filtered(NAME, "[" + "/ASCIIHexDecode " * 9 + "]")
    yield "unsupported_filter", "unknown-filter", filtered(NAME, "/Rot13Decode")
    yield "bad_stream", "damaged-flate", filtered(zlib.compress(NAME * 20)[:-9], "/FlateDecode")
    yield "too_complex", "operators-without-end", filtered(zlib.compress(NAME + b"q Q " * 200_000, 9), "/FlateDecode")
    form = [(5, FORM[:-2] + "/Resources << /XObject << /X1 5 0 R >> >> >>", b"/X1 Do")]
    yield "too_deep", "form-in-itself", document(NAME + b"/X1 Do\n", resources="/XObject << /X1 5 0 R >>", extra=form)
    wide = [(n, FORM[:-2] + f"/Resources << /XObject << /X1 {n + 1} 0 R >> >> >>", b"/X1 Do " * 10) for n in range(5, 15)]
    wide.append((15, FORM, b"q Q"))
    yield "too_complex", "ten-forms-in-each-form", document(NAME + b"/X1 Do\n", resources="/XObject << /X1 5 0 R >>", extra=wide)
    yield "too_deep", "arrays-in-arrays", document(page="/X " + "[" * 5000 + "]" * 5000)
    yield "too_deep", "arrays-in-content", document(NAME + b"[" * 5000 + b"]" * 5000 + b" TJ\n")
    yield "too_deep", "states-without-end", document(NAME + b"q " * 5000)
    yield "malformed", "reference-to-itself", document(extra=[(5, "5 0 R", None)], page="/Rotate 5 0 R")


# ---------------------------------------------------------------- all together

def write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def main():
    for folder in (READABLE, HOSTILE):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    at = lambda name: os.path.join(READABLE, name)
    reportlab_cid(at("reportlab-cid.pdf"))
    reportlab_ttf(at("reportlab-ttf.pdf"))
    weasyprint_html(at("weasyprint.pdf"))
    redistill(at("gs-from-weasyprint.pdf"), at("weasyprint.pdf"))
    for name, data in {**legacy(), **latin()}.items():
        write(READABLE, f"by-hand-{name}.pdf", data)
    redistill(at("gs-from-latin.pdf"), at("by-hand-latin.pdf"))
    qpdf(at("reportlab-ttf.pdf"), at("qpdf-object-streams.pdf"), "--object-streams=generate")
    qpdf(at("reportlab-cid.pdf"), at("qpdf-linearized.pdf"), "--linearize")
    qpdf(at("by-hand-sjis.pdf"), at("qpdf-linearized-streams.pdf"), "--linearize", "--object-streams=generate")
    for name, options in {
        "rc4-40": ["--allow-weak-crypto", "--encrypt", "", "owner", "40", "--"],
        "rc4-128": ["--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--"],
        "aes-128": ["--allow-weak-crypto", "--static-aes-iv", "--encrypt", "", "owner", "128", "--use-aes=y", "--"],
        "aes-256": ["--static-aes-iv", "--encrypt", "", "owner", "256", "--"],
        "aes-256-streams": ["--static-aes-iv", "--object-streams=generate", "--encrypt", "", "owner", "256", "--"],
    }.items():
        source = "weasyprint.pdf" if name == "aes-256-streams" else "by-hand-japan1-cids.pdf"
        qpdf(at(source), at(f"qpdf-{name}.pdf"), *options)
    for name in sorted(os.listdir(READABLE)):
        text = subprocess.run(["pdftotext", "-layout", "-nopgbrk", at(name), "-"], check=True, capture_output=True).stdout
        write(READABLE, name.replace(".pdf", ".txt"), text)
    for reason, name, data in hostile():
        write(HOSTILE, f"{reason}--{name}.pdf", data)
    # What Ghostscript makes of a font that is not embedded: other characters on paper, and maps that disagree about them.
    redistill(os.path.join(HOSTILE, "contradicting_maps--font-substituted-by-a-producer.pdf"), at("reportlab-cid.pdf"))


if __name__ == "__main__":
    sys.exit(main())
