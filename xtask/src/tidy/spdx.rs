//! Whether a licence expression can be met with the licences that are allowed.
//!
//! The grammar is that of SPDX 2.3, annex D, as far as packages use it: `AND`, `OR`, `WITH` and
//! parentheses; `/` is cargo's older spelling of `OR`. `AND` binds closer than `OR`.

/// Whether some choice within `expression` uses allowed licences only. An expression that does
/// not parse cannot be met.
pub(super) fn met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut parser = Parser { words: spaced.split_whitespace().peekable(), allowed };
    parser.any() == Some(true) && parser.words.next().is_none()
}

struct Parser<'a> {
    words: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
    allowed: &'a dyn Fn(&str) -> bool,
}

impl Parser<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.words.next_if_eq(&"OR").is_some() {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.words.next_if_eq(&"AND").is_some() {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        match self.words.next()? {
            "(" => {
                let met = self.any()?;
                self.words.next_if_eq(&")").map(|_| met)
            }
            ")" | "AND" | "OR" | "WITH" => None,
            licence => {
                let mut full = licence.to_owned();
                if self.words.next_if_eq(&"WITH").is_some() {
                    full = format!("{licence} WITH {}", self.words.next()?);
                }
                Some((self.allowed)(&full))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::met;

    #[test]
    fn choices_and_demands() {
        let allowed = |licence: &str| ["MIT", "ISC", "Apache-2.0"].contains(&licence);
        for fine in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "ISC AND (GPL-3.0 OR MIT)",
            "GPL-3.0 AND ISC OR MIT",
            "Apache-2.0 WITH LLVM-exception OR MIT",
        ] {
            assert!(met(fine, &allowed), "{fine}");
        }
        for not in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "GPL-3.0 AND (ISC OR MIT)",
            "Apache-2.0 WITH LLVM-exception",
            "(MIT",
            "MIT)",
            "MIT ISC",
            "OR MIT",
        ] {
            assert!(!met(not, &allowed), "{not}");
        }
    }
}
