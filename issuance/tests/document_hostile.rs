//! What a printer might show differently, or not at all, is refused, each for its own reason.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

use std::path::{Path, PathBuf};

use sekisho_issuance::document::{Limits, Unreadable, read};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/hostile")
}

fn refused(reason: &'static str, names: &[&str]) {
    for name in names {
        let bytes = std::fs::read(folder().join(format!("{reason}--{name}.pdf"))).unwrap();
        let outcome = read(&bytes, &Limits::default()).map(|document| document.pages[0].texts().collect::<Vec<_>>());
        assert_eq!(outcome, Err(Unreadable(reason)), "{name}");
    }
}

macro_rules! hostile {
    ($($test:ident: $reason:literal => [$($name:literal),* $(,)?];)*) => {
        $(#[test]
        fn $test() {
            refused($reason, &[$($name),*]);
        })*

        const ALL: &[(&str, &[&str])] = &[$(($reason, &[$($name),*])),*];
    };
}

hostile! {
    a_page_without_text_is_not_taken_for_read: "no_text" => ["empty-page", "only-spaces", "second-page-is-a-picture"];
    text_that_is_never_painted_cannot_vouch_for_a_page: "invisible_text" => ["render-mode-3", "render-mode-7"];
    text_in_the_colour_of_its_background_cannot_vouch_for_a_page: "low_contrast" => ["black-on-black", "white-cmyk", "white-gray", "white-icc", "white-ink", "white-rgb", "white-stroke"];
    text_on_a_picture_is_not_taken_for_legible: "unknown_background" => ["over-a-picture"];
    text_in_a_colour_nobody_can_tell_is_not_taken_for_legible: "unknown_colour" => ["default-space-replaced", "pattern-text", "spot-colour-text"];
    text_that_fades_away_cannot_vouch_for_a_page: "transparent_text" => ["blend-list", "blend-mode", "fill-alpha", "soft-mask", "stroke-alpha", "transfer", "whole-group"];
    text_that_is_cut_away_cannot_vouch_for_a_page: "clipped_text" => ["empty-clip", "half-the-line", "lower-half", "not-a-rectangle", "outside-the-clip", "outside-the-form"];
    text_beside_the_paper_cannot_vouch_for_a_page: "off_page" => ["left-of-the-page", "outside-the-crop-box", "runs-out-of-the-page"];
    text_too_small_to_see_cannot_vouch_for_a_page: "tiny_text" => ["one-point", "scaled-down", "squeezed"];
    text_painted_over_later_cannot_vouch_for_a_page: "covered_text" => ["by-a-form", "by-a-picture", "by-a-shading", "by-a-thick-line", "by-a-white-box", "by-an-inline-picture", "by-slices"];
    two_names_on_top_of_each_other_are_not_read_as_either: "overlapping_text" => ["one-name-over-another"];
    turned_text_is_not_put_into_lines_it_does_not_stand_in: "rotated_text" => ["mirrored", "upside-down"];
    vertical_text_is_not_read_as_horizontal: "vertical_text" => ["vertical-map"];
    text_in_a_layer_that_may_not_print_cannot_vouch_for_a_page: "hidden_layer" => ["by-event", "hidden-form", "membership", "not-printed", "off-by-default", "switched-off", "undeclared"];
    text_that_claims_to_say_something_else_is_not_believed: "replaced_text" => ["actualtext-in-content", "actualtext-in-properties", "actualtext-in-structure", "alt-in-content", "e-in-content"];
    notes_over_the_page_cannot_change_what_was_checked: "annotations" => ["free-text", "link-with-appearance", "stamp", "widget"];
    field_values_cannot_change_what_was_checked: "form_fields" => ["text-field"];
    a_dynamic_form_cannot_replace_the_page: "xfa" => ["dynamic-form", "needs-rendering"];
    scripts_and_actions_do_not_leave: "active_content" => ["javascript", "launch", "open-action", "open-script", "page-action"];
    attachments_do_not_leave: "embedded_files" => ["attachment", "file-specification"];
    another_picture_for_print_does_not_leave: "alternate_image" => ["another-picture-for-print"];
    content_of_other_files_is_not_taken_for_part_of_this_one: "external_data" => ["page-of-another-file", "stream-in-another-file"];
    glyphs_drawn_by_arbitrary_content_are_not_believed: "type3_font" => ["drawn-glyphs"];
    operators_nobody_knows_are_not_skipped: "unknown_operator" => ["unknown-operator"];
    unbalanced_content_is_not_guessed_at: "malformed_content" => ["unbalanced-mark", "unbalanced-restore"];
    picture_data_cannot_pass_for_text: "inline_image" => ["end-inside-the-picture", "length-unknown"];
    bytes_before_the_header_are_not_skipped: "no_header" => ["garbage-before-the-header", "not-a-pdf"];
    bytes_after_the_end_are_not_skipped: "trailing_bytes" => ["garbage-after-the-end"];
    a_broken_cross_reference_is_not_repaired: "broken_xref" => ["cut-off", "empty-file", "wrong-offset", "wrong-startxref"];
    bytes_between_objects_are_not_skipped: "garbage" => ["words-between-objects"];
    one_object_cannot_be_two: "duplicate_object" => ["another-file-appended", "content-defined-twice"];
    objects_outside_the_cross_reference_are_not_skipped: "unlisted_object" => ["unlisted-object"];
    a_later_revision_cannot_replace_what_was_checked: "revised" => ["incremental-update", "previous-section-is-itself", "second-generation"];
    two_cross_references_cannot_show_two_documents: "hybrid_xref" => ["hybrid"];
    two_readers_cannot_take_different_ones_of_two_entries: "repeated_key" => ["two-contents"];
    malformed_objects_are_not_guessed_at: "malformed" => ["reference-to-itself", "wrong-length"];
    a_page_tree_with_loops_or_wrong_counts_is_not_walked: "page_tree" => ["page-is-its-own-parent", "page-shown-twice", "wrong-count"];
    a_page_without_a_sensible_size_is_not_measured: "page_box" => ["odd-rotation", "page-without-area"];
    a_document_that_needs_a_password_is_not_taken_for_read: "encrypted" => ["password-needed"];
    maps_that_disagree_about_a_character_are_not_chosen_between: "contradicting_maps" => ["font-substituted-by-a-producer", "impostor-of-a-predefined-map", "tounicode-against-encoding", "tounicode-against-itself", "tounicode-against-predefined", "tounicode-against-the-embedded-font"];
    a_character_that_could_not_be_read_is_not_text: "replacement_character" => ["replacement-character"];
    a_code_without_a_character_is_not_left_out: "unmapped_code" => ["code-without-a-character", "glyph-names-that-say-nothing", "half-a-character"];
    glyph_numbers_of_an_absent_font_mean_nothing: "font_not_embedded" => ["glyph-numbers-of-an-absent-font"];
    an_unknown_character_map_is_not_guessed_at: "unknown_cmap" => ["unknown-map"];
    a_broken_character_map_is_not_half_read: "malformed_cmap" => ["broken-tounicode"];
    a_decompression_bomb_is_not_inflated: "too_large" => ["inflates-without-end"];
    an_unknown_filter_is_not_skipped: "unsupported_filter" => ["filters-without-end", "unknown-filter"];
    damaged_data_is_not_half_read: "bad_stream" => ["damaged-flate"];
    endless_content_is_not_run: "too_complex" => ["operators-without-end", "ten-forms-in-each-form"];
    endless_nesting_is_not_followed: "too_deep" => ["arrays-in-arrays", "arrays-in-content", "form-in-itself", "states-without-end"];
}

#[test]
fn no_hostile_file_is_left_untested() {
    let mut tested: Vec<String> =
        ALL.iter().flat_map(|(reason, names)| names.iter().map(move |name| format!("{reason}--{name}.pdf"))).collect();
    let mut present: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    tested.sort();
    present.sort();
    assert_eq!(tested, present);
}

#[test]
fn limits_are_kept_to_and_named() {
    let bytes = std::fs::read(folder().join("../readable/by-hand-two-pages.pdf")).unwrap();
    let refused = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        read(&bytes, &limits).err().map(|reason| reason.0)
    };
    assert_eq!(refused(|_| {}), None);
    assert_eq!(refused(|l| l.max_file_bytes = 100), Some("too_large"));
    assert_eq!(refused(|l| l.max_pages = 1), Some("too_many_pages"));
    assert_eq!(refused(|l| l.max_objects = 3), Some("too_many_objects"));
    assert_eq!(refused(|l| l.max_inflated_bytes = 10), Some("too_large"));
    assert_eq!(refused(|l| l.max_operators = 5), Some("too_complex"));
    assert_eq!(refused(|l| l.max_depth = 1), Some("too_deep"));
}
