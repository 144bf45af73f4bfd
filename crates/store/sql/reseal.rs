//! reseal
