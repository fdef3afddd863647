//! What a replay shows: one JSON object a line, a table with live progress, a one-file HTML report. Judges nothing.

mod html;
mod progress;
mod row;
mod table;

pub use html::{Occasion, render};
pub use progress::{Progress, Step};
pub use row::{Path, Row};
pub use table::Table;
