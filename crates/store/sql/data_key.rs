//! data_key
