//! What clerks' systems vary, and nothing else, made equal.
