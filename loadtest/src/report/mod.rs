//! What a replay shows: one JSON object a line, a live view, a one-file HTML report. Judges nothing.

mod chart;
mod exporter;
mod html;
mod live;
mod load_html;
mod load_text;
mod machine;
mod page;
mod progress;
mod row;
mod screen;
mod table;

pub(crate) use chart::COLOURS;
pub use exporter::Exporter;
pub(crate) use html::escape;
pub use html::{Occasion, render};
pub use live::Live;
pub use load_html::load_page;
pub use load_text::{load_line, load_table};
pub(crate) use machine::machine;
pub(crate) use page::page_head;
pub use progress::{Progress, Step, Teller};
pub use row::{Path, Row};
pub use table::Table;
