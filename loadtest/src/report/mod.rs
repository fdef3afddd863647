//! What a replay shows: one JSON object a line, a table with live progress, a one-file HTML report. Judges nothing.

mod chart;
mod exporter;
mod html;
mod load_html;
mod load_text;
mod progress;
mod row;
mod table;

pub use exporter::Exporter;
pub use html::{Occasion, render};
pub use load_html::load_page;
pub use load_text::{load_line, load_table};
pub use progress::{Progress, Step, Teller};
pub use row::{Path, Row};
pub use table::Table;
