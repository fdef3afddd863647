//! What other producers' documents say is read as poppler reads them, character by character and place by place.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

use std::path::{Path, PathBuf};
use std::process::Command;

use sekisho_issuance::document::{Document, Limits, Line, read};

fn corpus() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/readable");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "pdf"));
    files.sort();
    assert!(files.len() > 20, "the corpus is missing");
    files
}

fn read_file(path: &Path) -> Document {
    let bytes = std::fs::read(path).unwrap();
    read(&bytes, &Limits::default()).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

fn named(name: &str) -> Document {
    read_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpus/readable/{name}.pdf")))
}

/// Lines without white space, the empty ones left out: where poppler pads columns, it pads with spaces. It also takes
/// Adobe-Japan1's half-width hyphen for a non-breaking one.
fn bare(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let plain = |c: char| if c == '\u{2011}' { '-' } else { c };
    let bare = |line: &str| line.chars().filter(|c| !c.is_whitespace()).map(plain).collect::<String>();
    lines.into_iter().map(|line| bare(line.as_ref())).filter(|line| !line.is_empty()).collect()
}

fn our_lines(document: &Document) -> Vec<String> {
    bare(document.pages.iter().flat_map(|page| page.texts().collect::<Vec<_>>()))
}

#[test]
fn every_producer_is_read_as_poppler_reads_it() {
    for path in corpus() {
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        assert_eq!(our_lines(&read_file(&path)), bare(expected.lines()), "{}", path.display());
    }
}

#[test]
fn the_same_page_reads_the_same_in_every_encoding() {
    let texts = |name: &str| our_lines(&named(name));
    let expected = texts("by-hand-utf16");
    assert!(expected.contains(&"氏名見本花子".to_owned()));
    for name in ["by-hand-japan1-cids", "by-hand-ucs2", "reportlab-ttf", "qpdf-aes-256"] {
        assert_eq!(texts(name), expected, "{name}");
    }
}

#[test]
fn a_row_is_one_line_with_one_run_for_each_cell_at_its_place() {
    for name in ["reportlab-ttf", "reportlab-cid", "weasyprint", "gs-from-weasyprint", "by-hand-sjis", "by-hand-euc"] {
        let document = named(name);
        let page = &document.pages[0];
        assert!((page.width_mm - 210.0).abs() < 0.1 && (page.height_mm - 297.0).abs() < 0.1, "{name}");
        let row = page.lines.iter().find(|l| l.runs[0].text == "生年月日").unwrap_or_else(|| panic!("{name}"));
        let cells: Vec<&str> = row.runs.iter().map(|run| run.text.as_str()).collect();
        assert_eq!(cells, ["生年月日", "昭和55年3月12日", "性別", "女"], "{name}");
        for (run, x_mm) in row.runs.iter().zip([25.0, 60.0, 120.0, 140.0]) {
            assert!((run.x_mm - x_mm).abs() < 0.5, "{name}: {run:?}");
            // Baselines stand at 88 mm; the box reaches 0.88 of 11 points above.
            assert!((run.y_mm - 84.6).abs() < 1.0, "{name}: {run:?}");
        }
    }
}

#[test]
fn turned_cropped_and_enlarged_pages_are_measured_as_they_are_seen() {
    let place = |name: &str| {
        let document = named(name);
        let run = &document.pages[0].lines[0].runs[0];
        (run.x_mm, run.y_mm + 0.88 * run.height_mm, document.pages[0].width_mm)
    };
    let mm = |points: f32| points * 25.4 / 72.0;
    let expected = [
        // The point (300, 400) of the user space, seen from the top left of what is shown.
        ("by-hand-rotated-90", (mm(400.0), mm(300.0), mm(842.0))),
        ("by-hand-rotated-180", (mm(295.0), mm(400.0), mm(595.0))),
        ("by-hand-rotated-270", (mm(442.0), mm(295.0), mm(842.0))),
        ("by-hand-cropped", (mm(200.0), mm(300.0), mm(400.0))),
        ("by-hand-user-unit", (mm(600.0), mm(884.0), mm(1190.0))),
    ];
    for (name, (x, y, width)) in expected {
        let found = place(name);
        let near = |a: f32, b: f32| (a - b).abs() < 0.2;
        assert!(
            near(found.0, x) && near(found.1, y) && near(found.2, width),
            "{name}: {found:?} for {:?}",
            (x, y, width)
        );
    }
}

#[test]
fn a_private_use_character_is_kept_for_the_checks_to_decide() {
    assert_eq!(our_lines(&named("by-hand-gaiji")), ["見\u{e123}"]);
}

#[test]
fn pages_are_read_in_order_and_each_has_its_digest() {
    let document = named("by-hand-two-pages");
    assert_eq!(our_lines(&document), ["continued", "pageone,", "pagetwo"]);
    assert_ne!(document.pages[0].digest(), document.pages[1].digest());
}

#[test]
fn encryption_and_object_streams_do_not_change_the_digest() {
    let digest = |name: &str| named(name).content_digest;
    let same = [
        ("by-hand-japan1-cids", &["qpdf-rc4-40", "qpdf-rc4-128", "qpdf-aes-128", "qpdf-aes-256"][..]),
        ("reportlab-ttf", &["qpdf-object-streams"]),
        ("weasyprint", &["qpdf-aes-256-streams"]),
        ("reportlab-cid", &["qpdf-linearized"]),
        ("by-hand-sjis", &["qpdf-linearized-streams"]),
    ];
    for (original, copies) in same {
        for copy in copies {
            assert_eq!(digest(original), digest(copy), "{copy}");
        }
    }
    assert_ne!(digest("reportlab-cid"), digest("reportlab-ttf"));
}

#[test]
fn metadata_does_not_change_the_digest_and_a_picture_does() {
    let with_info = |title: &str, picture: u8| {
        let content =
            format!("BT /F1 12 Tf 10 500 Td (A) Tj ET q 9 0 0 9 9 9 cm BI /W 1 /H 1 /BPC 8 /CS /G ID {picture} EI Q");
        let mut out = b"%PDF-1.4\n".to_vec();
        let mut offsets = Vec::new();
        for body in [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font/Subtype/Type1\
             /BaseFont/Helvetica>>>>>>>>"
                .to_owned(),
            format!("<</Length {}>>\nstream\n{content}\nendstream", content.len()),
            format!("<</Title({title})/CreationDate(D:20261122)>>"),
        ] {
            offsets.push(out.len());
            out.extend(format!("{} 0 obj\n{body}\nendobj\n", offsets.len()).into_bytes());
        }
        let start = out.len();
        out.extend(b"xref\n0 6\n0000000000 65535 f \n");
        offsets.iter().for_each(|o| out.extend(format!("{o:010} 00000 n \n").into_bytes()));
        let trailer = format!(
            "trailer\n<</Size 6/Root 1 0 R/Info 5 0 R/ID[<{0}><{0}>]>>",
            if picture == 1 { "01" } else { "02" }
        );
        out.extend(format!("{trailer}\nstartxref\n{start}\n%%EOF\n").into_bytes());
        read(&out, &Limits::default()).unwrap().content_digest
    };
    assert_eq!(with_info("one", 1), with_info("two", 1));
    assert_ne!(with_info("one", 1), with_info("one", 2));
}

/// Words of `pdftotext -bbox`: text, left edge and middle height in millimetres, page by page.
fn words(html: &str) -> Vec<Vec<(String, f32, f32)>> {
    let attribute = |line: &str, name: &str| -> f32 {
        let value = line.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap();
        value.parse::<f32>().unwrap() * 25.4 / 72.0
    };
    let page = |page: &str| {
        let word = |line: &str| {
            let text = line.split_once('>').unwrap().1.split("</word>").next().unwrap();
            let text = text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            (text, attribute(line, "xMin"), (attribute(line, "yMin") + attribute(line, "yMax")) / 2.0)
        };
        page.lines().filter(|l| l.trim_start().starts_with("<word")).map(word).collect()
    };
    html.split("<page ").skip(1).map(page).collect()
}

#[test]
fn poppler_agrees_today_on_texts_and_places() {
    if Command::new("pdftotext").arg("-v").output().is_err() {
        assert!(std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_none(), "pdftotext is required here and missing");
        return;
    }
    for path in corpus() {
        let run = |option: &str| {
            let output =
                Command::new("pdftotext").args([option, "-nopgbrk", "-cropbox"]).arg(&path).arg("-").output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let document = read_file(&path);
        assert_eq!(our_lines(&document), bare(run("-layout").lines()), "{}", path.display());
        for (page, words) in document.pages.iter().zip(words(&run("-bbox"))) {
            for run in page.lines.iter().flat_map(|line: &Line| &line.runs) {
                // poppler does not know UserUnit.
                let unit = if path.ends_with("by-hand-user-unit.pdf") { 2.0 } else { 1.0 };
                let first = run.text.split_whitespace().next().unwrap();
                let middle = run.y_mm + run.height_mm / 2.0;
                let agrees = words.iter().any(|(text, x, y)| {
                    let text = text.replace('\u{2011}', "-");
                    (text.starts_with(first) || first.starts_with(text.as_str()))
                        && (x * unit - run.x_mm).abs() < 1.0
                        && (y * unit - middle).abs() < 2.5
                });
                assert!(
                    agrees,
                    "{}: {first} at {:.1},{middle:.1} is not where poppler sees it",
                    path.display(),
                    run.x_mm
                );
            }
        }
    }
}
