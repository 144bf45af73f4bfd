//! What the pages for users show can be typed.

use super::Cli;
use clap::{CommandFactory as _, Parser as _};
use std::path::Path;

fn read(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a line as a shell reads them, up to a comment or the end of the command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn lines_are_read_as_a_shell_does() {
    assert_eq!(
        words(r#"causeway run a --event '{"a": "b c"}'   # and follow it"#),
        ["causeway", "run", "a", "--event", r#"{"a": "b c"}"#]
    );
    assert_eq!(words("causeway audit export > x.jsonl"), ["causeway", "audit", "export"]);
    assert_eq!(words("causeway x '' a#b"), ["causeway", "x", "", "a#b"]);
}

#[test]
fn every_example_can_be_typed() {
    let mut seen = 0;
    for page in [
        "README.md",
        "docs/api-keys.md",
        "docs/cli.md",
        "docs/configuration.md",
        "docs/first-start.md",
        "docs/hardening.md",
        "docs/vulnerability-reports.md",
        "docs/workflows.md",
    ] {
        let text = read(page);
        let blocks = text.split("```").skip(1).step_by(2);
        for line in blocks.flat_map(str::lines) {
            let command = line.split(" | ").find(|part| part.starts_with("causeway "));
            let Some(command) = command else { continue };
            if let Err(error) = Cli::try_parse_from(words(command)) {
                panic!("{page} shows `{line}`: {error}");
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} examples");
}

#[test]
fn the_declaration_fits_together() {
    Cli::command().debug_assert();
}
