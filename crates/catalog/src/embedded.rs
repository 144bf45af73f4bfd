//! The rows that are part of the binary.

/// Folder name and text of each row in `apps/`, by name.
pub(crate) const ROWS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rows.rs"));
