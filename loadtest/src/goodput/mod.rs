//! Who keeps a backend busy under overload: HAProxy, Envoy, nginx, nobody and the gateway in front of a backend with a knee that
//! is made anew for each measurement, interleaved, at multiples of the capacity that was measured in the same run.

mod bench;
mod city;
mod contest;
mod contestant;
mod load;
mod page;
mod plot;
mod row;
mod scenario;
mod settings;
mod sweep;
mod table;
mod tally;
mod verdict;

pub use bench::{Bench, BenchPlan};
pub use city::{OneCity, one_city, one_city_lasts, one_city_verdict, quick_backend};
pub use contest::{ContestPlan, contest};
pub use contestant::Against;
pub use page::goodput_page;
pub use row::{Contest, Row, Swept, median};
pub use scenario::Scenario;
pub use table::goodput_table;
pub use verdict::{Ruling, verdict};
