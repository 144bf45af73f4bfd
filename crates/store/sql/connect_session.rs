//! connect_session
