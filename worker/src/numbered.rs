//! Maps whose keys nobody outside chooses: our own numbers, keyed digests, configured municipalities. Never for what a request says.

use std::collections::HashMap;

/// A map that need not be guarded against chosen keys, and so hashes them in a few instructions.
pub(crate) type Numbered<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
