//! From words to a filter: `or` binds least, then `and`, then `not` (RFC 7644 section 3.4.2.2).

use super::lex::{self, Token, TokenKind};
use super::{
    Check, FilterError, MAX_DEPTH, MAX_FILTER, MAX_PATH_TERMS, MAX_TERMS, Node, Operator, Path,
    Test, Which,
};
use crate::email::Email;
use crate::scim::schema::{Attribute, Kind, Named, Type, sub_named};

/// Where names are looked up: at the top of a resource, or inside of one of its attributes.
#[derive(Clone, Copy)]
enum Scope {
    Resource(Kind),
    Value(&'static Attribute),
}

struct Reader {
    tokens: std::vec::IntoIter<Token>,
    next: Option<Token>,
    end: usize,
    depth: usize,
    terms: usize,
    most_terms: usize,
}

/// A value to compare with.
enum Literal {
    Text(String),
    Boolean(bool),
    Null,
    Number,
}

pub(super) fn filter(kind: Kind, text: &str) -> Result<Node, FilterError> {
    let mut reader = Reader::new(text, MAX_TERMS)?;
    let node = reader.any(Scope::Resource(kind))?;
    reader.finish()?;
    Ok(node)
}

pub(super) fn path(kind: Kind, text: &str) -> Result<Path, FilterError> {
    if text.len() > MAX_FILTER {
        return Err(FilterError::TooLong);
    }
    // Of what is not kept, only the name is read: its filters are on attributes unknown here.
    let name = text.split(['[', ' ']).next().unwrap_or_default();
    let Some(local) = kind.without_urn(name) else { return Ok(Path::NotKept) };
    let (top, sub) = split(local);
    let attribute = match kind.attribute(top) {
        Named::Kept(attribute) => attribute,
        Named::NotKept => return Ok(Path::NotKept),
        Named::Unknown => return Err(unknown(name)),
    };
    let mut reader = Reader::new(text, MAX_PATH_TERMS)?;
    reader.word("the name of an attribute")?;
    if reader.next.is_none() {
        let sub = match sub.map(|sub| sub_named(attribute, sub)) {
            None => None,
            Some(Named::Kept(sub)) => Some(sub),
            Some(Named::NotKept) => return Ok(Path::NotKept),
            Some(Named::Unknown) => return Err(unknown(name)),
        };
        return Ok(Path::Kept { attribute, which: None, sub });
    }
    if !attribute.many || sub.is_some() {
        return Err(reader.expected("the end of the path"));
    }
    reader.take(&TokenKind::OpenBracket, "`[`")?;
    let which = Some(Which(reader.inside(Scope::Value(attribute))?));
    reader.take(&TokenKind::CloseBracket, "`]`")?;
    let sub = match reader.sub_after_bracket(attribute)? {
        None => None,
        Some(Named::Kept(sub)) => Some(sub),
        Some(_) => return Ok(Path::NotKept),
    };
    reader.finish()?;
    Ok(Path::Kept { attribute, which, sub })
}

/// `name.givenName` into its two names.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(top, sub)| (top, Some(sub)))
}

fn unknown(name: &str) -> FilterError {
    FilterError::Unknown { name: name.chars().take(100).collect() }
}

impl Reader {
    fn new(text: &str, most_terms: usize) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER {
            return Err(FilterError::TooLong);
        }
        let mut tokens = lex::tokens(text)?.into_iter();
        let next = tokens.next();
        Ok(Self { tokens, next, end: text.len(), depth: 0, terms: 0, most_terms })
    }

    fn advance(&mut self) -> Option<Token> {
        std::mem::replace(&mut self.next, self.tokens.next())
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        FilterError::Expected { expected, at: self.next.as_ref().map_or(self.end, |next| next.at) }
    }

    fn is(&self, kind: &TokenKind) -> bool {
        self.next.as_ref().is_some_and(|next| next.kind == *kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.next, Some(Token { kind: TokenKind::Word(found), .. }) if found.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, kind: &TokenKind, expected: &'static str) -> Result<(), FilterError> {
        if !self.is(kind) {
            return Err(self.expected(expected));
        }
        self.advance();
        Ok(())
    }

    fn word(&mut self, expected: &'static str) -> Result<String, FilterError> {
        match &self.next {
            Some(Token { kind: TokenKind::Word(_), .. }) => {}
            _ => return Err(self.expected(expected)),
        }
        match self.advance() {
            Some(Token { kind: TokenKind::Word(word), .. }) => Ok(word),
            _ => Err(self.expected(expected)),
        }
    }

    fn finish(&self) -> Result<(), FilterError> {
        if self.next.is_some() { Err(self.expected("the end")) } else { Ok(()) }
    }

    fn any(&mut self, scope: Scope) -> Result<Node, FilterError> {
        let mut parts = vec![self.all(scope)?];
        while self.is_word("or") {
            self.advance();
            parts.push(self.all(scope)?);
        }
        Ok(one_or(parts, Node::Any))
    }

    fn all(&mut self, scope: Scope) -> Result<Node, FilterError> {
        let mut parts = vec![self.part(scope)?];
        while self.is_word("and") {
            self.advance();
            parts.push(self.part(scope)?);
        }
        Ok(one_or(parts, Node::All))
    }

    fn part(&mut self, scope: Scope) -> Result<Node, FilterError> {
        if self.is(&TokenKind::Open) {
            self.advance();
            let inner = self.inside(scope)?;
            self.take(&TokenKind::Close, "`)`")?;
            return Ok(inner);
        }
        if self.is_word("not") {
            self.advance();
            self.take(&TokenKind::Open, "`(`")?;
            let inner = self.inside(scope)?;
            self.take(&TokenKind::Close, "`)`")?;
            return Ok(Node::Not(Box::new(inner)));
        }
        self.comparison(scope)
    }

    /// What stands in parentheses or brackets.
    fn inside(&mut self, scope: Scope) -> Result<Node, FilterError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FilterError::TooDeep);
        }
        let node = self.any(scope)?;
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self, scope: Scope) -> Result<Node, FilterError> {
        self.terms += 1;
        if self.terms > self.most_terms {
            return Err(FilterError::TooMany { most: self.most_terms });
        }
        let name = self.word("the name of an attribute")?;
        let (attribute, sub) = look_up(scope, &name)?;
        if self.is(&TokenKind::OpenBracket) {
            if !attribute.many || sub.is_some() {
                return Err(self.expected("an operator"));
            }
            self.advance();
            let inner = self.inside(Scope::Value(attribute))?;
            self.take(&TokenKind::CloseBracket, "`]`")?;
            return self.after_bracket(attribute, inner);
        }
        // `members eq "…"` is about the values' own `value` (RFC 7643 section 2.4).
        let sub = sub.or_else(|| attribute.many.then(|| attribute.sub("value")).flatten());
        let check = self.check(sub.unwrap_or(attribute))?;
        Ok(Node::Test(Test { attribute, sub, check }))
    }

    /// `emails[type eq "work"].value eq "…"` is not in the RFC's grammar, and Microsoft Entra sends
    /// it: learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups.
    fn after_bracket(
        &mut self,
        attribute: &'static Attribute,
        inner: Node,
    ) -> Result<Node, FilterError> {
        let inner = match self.sub_after_bracket(attribute)? {
            None => inner,
            Some(Named::Kept(sub)) if sub.filterable => {
                let test = Test { attribute: sub, sub: None, check: self.check(sub)? };
                Node::All(vec![inner, Node::Test(test)])
            }
            Some(_) => return Err(self.expected("an attribute that can be compared")),
        };
        Ok(Node::Within(attribute, Box::new(inner)))
    }

    fn sub_after_bracket(
        &mut self,
        attribute: &'static Attribute,
    ) -> Result<Option<Named>, FilterError> {
        match &self.next {
            Some(Token { kind: TokenKind::Word(word), .. }) if word.starts_with('.') => {}
            _ => return Ok(None),
        }
        let word = self.word("the name of an attribute")?;
        match sub_named(attribute, word.trim_start_matches('.')) {
            Named::Unknown => Err(unknown(&word)),
            named => Ok(Some(named)),
        }
    }

    /// An operator, and the value that it compares with.
    fn check(&mut self, attribute: &'static Attribute) -> Result<Check, FilterError> {
        let expected = "an operator";
        let at = self.expected(expected);
        let word = self.word(expected)?;
        if word.eq_ignore_ascii_case("pr") {
            return Ok(Check::Present);
        }
        let operator = Operator::ALL
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(&word))
            .ok_or(at)?;
        let refused = FilterError::Comparison { name: attribute.name, operator: operator.as_str() };
        let literal = self.literal()?;
        compare(attribute, operator, literal).ok_or(refused)
    }

    fn literal(&mut self) -> Result<Literal, FilterError> {
        let expected = "a value: a text in quotation marks, a number, `true`, `false` or `null`";
        let wrong = self.expected(expected);
        match self.advance().ok_or_else(|| wrong.clone())?.kind {
            TokenKind::Text(text) => Ok(Literal::Text(text)),
            TokenKind::Word(word) => match word.as_str() {
                "true" => Ok(Literal::Boolean(true)),
                "false" => Ok(Literal::Boolean(false)),
                "null" => Ok(Literal::Null),
                number if number.parse::<f64>().is_ok() => Ok(Literal::Number),
                _ => Err(wrong),
            },
            _ => Err(wrong),
        }
    }
}

fn one_or(mut parts: Vec<Node>, several: fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

/// The attribute that a name in a filter stands for.
fn look_up(
    scope: Scope,
    name: &str,
) -> Result<(&'static Attribute, Option<&'static Attribute>), FilterError> {
    let (attribute, sub) = match scope {
        Scope::Value(attribute) => (sub_named(attribute, name), None),
        Scope::Resource(kind) => {
            let (top, sub) = split(kind.without_urn(name).ok_or_else(|| unknown(name))?);
            (kind.attribute(top), sub)
        }
    };
    let Named::Kept(attribute) = attribute else { return Err(unknown(name)) };
    let sub = match sub {
        None => None,
        Some(sub) => Some(attribute.sub(sub).ok_or_else(|| unknown(name))?),
    };
    match [Some(attribute), sub].into_iter().flatten().find(|one| !one.filterable) {
        Some(hidden) => Err(FilterError::NotInFilters { name: hidden.name }),
        None => Ok((attribute, sub)),
    }
}

/// A comparison, if the attribute can be compared so.
fn compare(attribute: &'static Attribute, how: Operator, literal: Literal) -> Option<Check> {
    use Operator::{Contains, Ends, Equal, NotEqual, Starts};
    match (attribute.of, literal) {
        (Type::Complex(_), _) => None,
        (_, Literal::Null) if how == Equal => Some(Check::Absent),
        (_, Literal::Null) if how == NotEqual => Some(Check::Present),
        (Type::Boolean, literal) => {
            let with = match literal {
                Literal::Boolean(with) => with,
                Literal::Text(text) if text.eq_ignore_ascii_case("true") => true,
                Literal::Text(text) if text.eq_ignore_ascii_case("false") => false,
                _ => return None,
            };
            let equal = match how {
                Equal => true,
                NotEqual => false,
                _ => return None,
            };
            Some(Check::Boolean { equal, with })
        }
        (Type::Moment, Literal::Text(text)) if !matches!(how, Contains | Starts | Ends) => {
            Some(Check::Moment { how, with: text.parse().ok()? })
        }
        (Type::Exact | Type::Reference, Literal::Text(with)) => {
            Some(Check::Text { how, exact: true, with })
        }
        (Type::Email, Literal::Text(text)) if matches!(how, Equal | NotEqual) => {
            // As the address stands in the record, if it is one.
            let address: Option<Email> = text.parse().ok();
            let with = address.map_or_else(|| text.to_lowercase(), |email| email.to_string());
            Some(Check::Text { how, exact: false, with })
        }
        (Type::Text | Type::Email, Literal::Text(text)) => {
            Some(Check::Text { how, exact: false, with: text.to_lowercase() })
        }
        _ => None,
    }
}
