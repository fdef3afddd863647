//! A kiosk as the centre's network sees it: one keep-alive connection, one card presence at a time, and a person who
//! gives up. It believes nothing about what it is handed; the auditor judges that.

pub mod arrival;
mod form;
mod line;
mod said;
mod soap;
mod visit;

pub use line::{Line, Reply, Trouble};
pub use said::{Paper, Problem, Said};
pub use visit::{Exchange, Kiosk, Opened, Patience, Scope};
