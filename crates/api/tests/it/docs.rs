//! The user's pages say what the code does: limits, commands, settings.

use causeway_flow::Manifest;
use causeway_sandbox::{FailureCode, Limits};
use causeway_types::Code;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of every row of a page's tables that has so many.
fn rows(page: &str, cells: usize) -> Vec<Vec<String>> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split(" |").map(|cell| cell.trim().to_owned()).collect())
        .filter(|row: &Vec<String>| row.len() == cells)
        .collect()
}

/// The value of a constant in a source file: bytes, a count, or seconds.
fn constant(file: &str, name: &str) -> u64 {
    let source = read(file);
    let at =
        source.find(&format!("const {name}:")).unwrap_or_else(|| panic!("no {name} in {file}"));
    let value = source[at..].split_once('=').unwrap().1.split_once(';').unwrap().0.trim();
    let value = value.replace('_', "");
    let number =
        |text: &str| text.trim().parse::<u64>().unwrap_or_else(|_| panic!("{name}: {text}"));
    for (unit, seconds) in [("secs", 1), ("mins", 60), ("hours", 3600)] {
        if let Some(inner) = value.strip_prefix(&format!("Duration::from{unit}(")) {
            return number(inner.trim_end_matches(')')) * seconds;
        }
    }
    if let Some((base, shift)) = value.split_once("<<") {
        return number(base) << number(shift);
    }
    value.split('*').map(number).product()
}

/// The same, as a page writes it: `1 MiB`, `2,000`, `30 min`.
fn written(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.replace(',', "").parse().unwrap_or_else(|_| panic!("`{text}`"));
    number
        * match unit {
            "" | "s" => 1,
            "min" => 60,
            "h" => 3600,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            other => panic!("what is a {other}?"),
        }
}

fn is_code(text: &str) -> bool {
    let Some(word) = text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) else {
        return text.is_empty() || text.starts_with("a page");
    };
    Code::ALL.iter().any(|code| code.as_str() == word)
        || FailureCode::ALL.iter().any(|code| code.as_str() == word)
        || word == "crash_loop"
}

#[test]
fn the_limits_are_those_of_the_code() {
    let page = read("docs/limits.md");
    let mut checked = 0;
    for row in rows(&page, 4).iter().filter(|row| row[0] != "What") {
        let (file, name) = row[2].split_once("` `").unwrap_or_else(|| panic!("{row:?}"));
        let limit = constant(file.trim_matches('`'), name.trim_matches('`'));
        assert_eq!(written(&row[1]), limit, "{row:?}");
        assert!(is_code(&row[3]), "{row:?}");
        checked += 1;
    }
    assert!(checked > 20, "{checked} rows");
    // The public ones cannot be missing.
    for name in [
        "API_BODY_LIMIT",
        "DEPLOY_BODY_LIMIT",
        "TRIGGER_BODY_LIMIT",
        "FORM_BODY_LIMIT",
        "RESPONSE_TIMEOUT",
        "MAX_FILES",
        "MAX_BYTES",
    ] {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_limits_of_sandboxes_are_those_of_the_code() {
    let manifest = |limits: &str| {
        Manifest::parse(&format!(
            "name: a\ntrigger: {{ http: {{ auth: none }} }}\nlimits: {{ {limits} }}\nsteps: [{{ name: s, run: ./s.mjs }}]\n"
        ))
    };
    let page = read("docs/limits.md");
    let rows: Vec<_> = rows(&page, 5).into_iter().filter(|row| row[0] != "Name").collect();
    assert_eq!(rows.len(), 7);
    for row in rows {
        let name = row[0].split('`').nth(1).unwrap();
        let number = |cell: usize| row[cell].parse::<u64>().unwrap();
        let (least, most) = (number(2), number(3));
        for (value, fits) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            let read = manifest(&format!("{name}: {value}"));
            assert_eq!(read.is_ok(), fits, "{name}: {value}: {read:?}");
        }
        let default = manifest(&format!("{name}: {}", number(1))).unwrap();
        assert_eq!(default.sandbox_limits(), Limits::default(), "{name}");
        assert!(is_code(&row[4]), "{row:?}");
    }
}

/// `CamelCase` as the command line writes it.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text.replace('_', "-")
}

/// The variants of an enum of the command line, or the fields of a struct, by the indent of one.
fn members(source: &str, head: &str) -> Vec<String> {
    let body = source.split_once(head).unwrap_or_else(|| panic!("no {head}")).1;
    let body = body.split_once("\n}").unwrap().0;
    let member = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
        let rest = line.get(end..)?;
        (end > 0 && rest.starts_with([':', '(', ' ', ','])).then(|| line[..end].to_owned())
    };
    body.lines().filter_map(member).collect()
}

#[test]
fn every_command_has_an_example() {
    let page = read("docs/cli.md");
    let mut source = read("crates/causeway/src/cli.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../causeway/src/cli");
    for file in std::fs::read_dir(folder).unwrap() {
        source.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    let examples: Vec<&str> = page
        .split("```")
        .skip(1)
        .step_by(2)
        .flat_map(str::lines)
        .filter_map(|line| line.find("causeway ").map(|at| &line[at..]))
        .collect();
    let mut commands = Vec::new();
    for command in members(&source, "pub(crate) enum Command {") {
        let head = format!("pub(crate) enum {command}Command {{");
        if source.contains(&head) {
            let subs = members(&source, &head);
            commands.extend(subs.iter().map(|sub| format!("{} {}", kebab(&command), kebab(sub))));
        } else {
            commands.push(kebab(&command));
        }
    }
    assert!(commands.len() > 20, "{commands:?}");
    for command in &commands {
        let wanted = format!("causeway {command}");
        let shown = examples.iter().any(|line| {
            line.strip_prefix(&wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert!(shown, "docs/cli.md has no example of `{wanted}`");
        assert!(
            page.contains(&format!("| `{wanted}")),
            "docs/cli.md does not say what `{wanted}` does"
        );
    }
    // And no example of what does not exist.
    for line in examples {
        let known = commands.iter().any(|one| line.starts_with(&format!("causeway {one}")));
        assert!(known, "docs/cli.md shows `{line}`");
        for flag in line.split_whitespace().filter_map(|word| word.strip_prefix("--")) {
            let field = flag.replace('-', "_");
            let known = source.contains(&format!(" {field}: "))
                || source.contains(&format!("long = \"{flag}\""))
                || flag == "json";
            assert!(known, "docs/cli.md shows --{flag}, which no command has");
        }
    }
}

#[test]
fn every_setting_is_in_the_table() {
    let all = |file: &str, parts: &[&str]| {
        let folder = file.trim_end_matches(".rs");
        parts.iter().fold(read(file), |all, name| all + &read(&format!("{folder}/{name}.rs")))
    };
    let cli = all("crates/causeway/src/cli.rs", &["edge", "packages", "machines"]);
    let config = all("crates/causeway/src/config.rs", &["edge", "packages"]);
    let page = read("docs/configuration.md");
    let table = rows(&page, 5);
    let cell = |row: &[String], text: &str| row.iter().any(|cell| cell == &format!("`{text}`"));
    let mut flags = members(&cli, "pub(crate) struct ServerArgs {");
    flags.retain(|field| !["edge", "packages", "machines"].contains(&field.as_str()));
    flags.extend(members(&cli, "pub(crate) struct EdgeArgs {"));
    flags.extend(members(&cli, "pub(crate) struct PackagesArgs {"));
    flags.extend(members(&cli, "pub(crate) struct MachineArgs {"));
    for field in flags {
        let (flag, variable) =
            (format!("--{}", kebab(&field)), format!("CAUSEWAY_{}", field.to_uppercase()));
        let row = table.iter().find(|row| cell(row, &flag));
        let row = row.unwrap_or_else(|| panic!("docs/configuration.md lacks {flag}"));
        assert!(cell(row, &variable), "{row:?}");
        assert!(cli.contains(&format!("\"{variable}\"")), "{variable} is not read");
    }
    let mut fields = members(&config, "struct File {");
    for (table, of) in [
        ("net", "Net"),
        ("sandbox", "SandboxTable"),
        ("rate_limits", "RateLimitTable"),
        ("security", "SecurityTable"),
        ("mail", "MailTable"),
        ("packages", "PackagesTable"),
    ] {
        fields.retain(|field| field != table);
        let own = members(&config, &format!("struct {of} {{"));
        fields.extend(own.iter().map(|field| format!("{table}.{field}")));
    }
    assert!(fields.len() >= 30, "{fields:?}");
    for field in &fields {
        assert!(table.iter().any(|row| cell(row, field)), "docs/configuration.md lacks `{field}`");
    }
    for row in table.iter().filter(|row| row[2].starts_with('`') && row[0].starts_with('`')) {
        let field = row[2].trim_matches('`');
        assert!(fields.iter().any(|known| known == field), "`{field}` is not a setting");
    }
    for field in ["url", "api_key"] {
        assert!(page.contains(&format!("`CAUSEWAY_{}`", field.to_uppercase())));
    }
}
