//! The jail launcher by itself, as the server's binary runs it, for the tests of this crate.

fn main() -> std::process::ExitCode {
    causeway_sandbox::jail_main()
}
