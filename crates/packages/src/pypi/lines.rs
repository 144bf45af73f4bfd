//! The form of requirements files (pip's documentation, "Requirements File Format"), as far as it says
//! which packages there are. Where they come from is the operator's to say, so options are refused.

use super::normal;
use crate::error::PackagesError;

/// One line of requirements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    /// The package's name, as the index compares it.
    pub(super) name: String,
    /// The line without its digests.
    pub(super) asked: String,
    /// The one version that fits, if it says so.
    pub(super) pinned: Option<String>,
    /// SHA-256 of the files that fit, in hexadecimal.
    pub(super) hashes: Vec<String>,
    /// Whether it counts on some machines only.
    pub(super) has_marker: bool,
}

impl Requirement {
    /// Whether it says which files it takes.
    pub(super) fn is_locked(&self) -> bool {
        self.pinned.is_some() && !self.hashes.is_empty()
    }
}

/// Reads a file.
pub(super) fn read(file: &'static str, text: &[u8]) -> Result<Vec<Requirement>, PackagesError> {
    let refuse = |what: String| PackagesError::Lock { file, what };
    let text = std::str::from_utf8(text).map_err(|_| refuse("it is not UTF-8 text".to_owned()))?;
    let mut requirements = Vec::new();
    let mut line = String::new();
    for (index, raw) in text.lines().enumerate() {
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let plain = without_comment(raw);
        // A comment ends a line that would go on, as for pip.
        match plain.strip_suffix('\\') {
            Some(start) if plain.len() == raw.trim_end().len() => {
                line.push_str(start);
                line.push(' ');
                continue;
            }
            _ => line.push_str(plain),
        }
        let whole = std::mem::take(&mut line);
        if let Some(one) =
            parse(whole.trim()).map_err(|what| refuse(format!("line {}: {what}", index + 1)))?
        {
            requirements.push(one);
        }
    }
    let last = parse(line.trim()).map_err(|what| refuse(format!("the last line: {what}")))?;
    requirements.extend(last);
    Ok(requirements)
}

fn without_comment(line: &str) -> &str {
    let is_comment = |(at, _): &(usize, &str)| {
        line.get(..*at).is_none_or(|before| before.is_empty() || before.ends_with([' ', '\t']))
    };
    let end = line.match_indices('#').find(is_comment).map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or_default().trim_end()
}

fn parse(line: &str) -> Result<Option<Requirement>, String> {
    if line.is_empty() {
        return Ok(None);
    }
    let shown: String = line.chars().filter(|letter| !letter.is_control()).take(80).collect();
    if line.starts_with('-') {
        return Err(format!(
            "`{shown}` is an option: take it out; where packages come from is set on the server"
        ));
    }
    let mut words = line.split_ascii_whitespace();
    let mut asked = Vec::new();
    let mut hashes = Vec::new();
    while let Some(word) = words.next() {
        let hash = match word.strip_prefix("--hash") {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) => rest.trim_start_matches('='),
            None if word.starts_with("--") => {
                return Err(format!("`{word}` is an option that is not known here"));
            }
            None => {
                asked.push(word);
                continue;
            }
        };
        let digest = hash.strip_prefix("sha256:").map(str::to_ascii_lowercase);
        let is_hex =
            |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match digest.filter(is_hex) {
            Some(digest) => hashes.push(digest),
            None => return Err("a digest is not `sha256:` and 64 hexadecimal digits".to_owned()),
        }
    }
    let asked = asked.join(" ");
    let (needs, marker) =
        asked.split_once(';').map_or((asked.as_str(), None), |(a, b)| (a, Some(b)));
    if needs.contains('@') || needs.contains("://") {
        return Err(format!(
            "`{shown}` is a place and not a version: packages come from the server's index alone"
        ));
    }
    let end = needs
        .find(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '-' | '_' | '.'))
        .unwrap_or(needs.len());
    let (name, rest) = needs.split_at(end);
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || " <>=!~.*+,_-()[]".contains(letter);
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric());
    if !is_name
        || !rest.chars().all(allowed)
        || marker.is_some_and(|text| text.contains(['\\', '`']))
    {
        return Err(format!(
            "`{shown}` is not a requirement: write `name`, `name==1.2` or the like"
        ));
    }
    let versions = rest.split_once(']').map_or(rest, |(_, after)| after).trim();
    let pinned = versions
        .strip_prefix("==")
        .map(|version| version.trim_start_matches('=').trim())
        .filter(|version| !version.is_empty() && !version.contains(['*', ',', '<', '>', '=']))
        .map(str::to_owned);
    Ok(Some(Requirement {
        name: normal(name),
        pinned,
        hashes,
        has_marker: marker.is_some(),
        asked,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::Coded;

    fn one(text: &str) -> Requirement {
        read("requirements.txt", text.as_bytes()).unwrap().pop().unwrap()
    }

    #[test]
    fn lines_of_every_tool_are_read() {
        let digest = "ab".repeat(32);
        let text = format!(
            "# by hand\r\nRequests[socks] ~= 2.31 # why\n\ncolorama==0.4.6 ; sys_platform == \"win32\" \\\n    \
             --hash=sha256:{digest} \\\n    --hash=sha256:{digest}\n    # via click\n"
        );
        let all = read("requirements.txt", text.as_bytes()).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].name.as_str(), all[0].asked.as_str()),
            ("requests", "Requests[socks] ~= 2.31")
        );
        assert!(!all[0].is_locked());
        assert_eq!(all[1].pinned.as_deref(), Some("0.4.6"));
        assert_eq!(all[1].hashes, [digest.clone(), digest]);
        assert!(all[1].has_marker && all[1].is_locked());
        assert_eq!(one("a[b,c]==1.0").pinned.as_deref(), Some("1.0"));
        for open in ["a==1.*", "a>=1", "a", "a==1,<2"] {
            assert_eq!(one(open).pinned, None, "{open}");
        }
    }

    #[test]
    fn what_says_where_packages_come_from_is_refused() {
        for (line, word) in [
            ("--index-url https://evil.example/simple", "option"),
            ("-r other.txt", "option"),
            ("-e .", "option"),
            ("a @ https://evil.example/a.whl", "place"),
            ("git+https://evil.example/a", "place"),
            ("./a.whl", "requirement"),
            ("a --global-option=x", "option"),
            ("a --hash=md5:00", "digest"),
            ("a; python_version > '3' \\\n --index-url=https://evil.example", "option"),
            ("a \\", "requirement"),
        ] {
            let refused = read("requirements.txt", format!("{line}\n").as_bytes());
            match refused {
                Err(error) => assert!(error.public().contains(word), "{line}: {}", error.public()),
                Ok(read) => assert_eq!((line, read.len()), ("a \\", 1)),
            }
        }
    }
}
