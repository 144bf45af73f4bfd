//! The rows that are part of the binary.

macro_rules! rows {
    ($($slug:literal)*) => {
        /// Folder name and text of each row in `apps/`.
        pub(crate) const ROWS: &[(&str, &str)] = &[
            $(($slug, include_str!(concat!("../../../apps/", $slug, "/app.yaml"))),)*
        ];
    };
}

// A test compares this list with the folder.
rows!["demo" "github" "google" "hubspot" "slack"];
