//! The `checks` and `lookups` tables as they stand in a configuration file. Unknown keys are errors.

use serde::{Deserialize, Serialize};

/// `[routes.NAME.checks]`: absent = on with its default, `false` = off and said so by `check`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChecksSpec {}

/// `[lookups.NAME.fields]`: how to read an authority's reply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupFields {}
