//! The pages that the server itself makes: plain HTML, one style, no script.

use crate::Problem;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use causeway_types::Coded;
use std::fmt::{Display, Write};
use std::sync::LazyLock;

/// The pages' whole style; its hash stands in the policy.
const STYLE: &str = include_str!("html/style.css");

/// What a page may do: its own style, and nothing else. Where its forms may go and who may frame it
/// is added.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    let hash = data_encoding::BASE64.encode(digest.as_ref());
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'")
});

/// A piece of HTML. What is not written in this source gets in only with its markup escaped.
#[derive(Default)]
pub(crate) struct Markup(String);

impl Markup {
    /// A piece made of one template.
    pub(crate) fn of(template: &'static str, texts: &[&dyn Display]) -> Self {
        let mut markup = Self::default();
        markup.add(template, texts);
        markup
    }

    /// Adds a template in which each `{}` stands for the next of the texts. A text may stand
    /// between tags and in quoted attributes; one too many is left out.
    pub(crate) fn add(&mut self, template: &'static str, texts: &[&dyn Display]) -> &mut Self {
        let mut texts = texts.iter();
        for (index, literal) in template.split("{}").enumerate() {
            if index > 0
                && let Some(text) = texts.next()
            {
                // Writing to a text that grows cannot fail.
                let _ = write!(Escaped(&mut self.0), "{text}");
            }
            self.0.push_str(literal);
        }
        self
    }

    /// Adds another piece.
    pub(crate) fn join(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// Says what is wrong, so that screen readers say it at once.
    pub(crate) fn alert(text: impl Display) -> Self {
        Self::of("<p role=\"alert\">{}</p>", &[&text])
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes text so that none of it is markup, in and outside of quoted attributes.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// A whole page.
pub(crate) struct Document {
    title: String,
    body: Markup,
    status: StatusCode,
    wide: bool,
    leaves: bool,
    branded: bool,
    ancestors: Vec<String>,
}

impl Document {
    /// A page whose forms are sent to this server alone.
    pub(crate) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self {
            title: title.into(),
            body,
            status: StatusCode::OK,
            wide: false,
            leaves: false,
            branded: true,
            ancestors: Vec::new(),
        }
    }

    /// Another status than 200.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The status that it has.
    pub(crate) fn status_code(&self) -> StatusCode {
        self.status
    }

    /// With more below.
    pub(crate) fn more(mut self, more: &Markup) -> Self {
        self.body.join(more);
        self
    }

    /// A page for customers of whoever runs Causeway, who need not know its name.
    pub(crate) fn for_customers(mut self) -> Self {
        self.branded = false;
        self
    }

    /// A page that pages of these origins may show in a frame; nobody may without.
    pub(crate) fn framed_by(mut self, origins: Vec<String>) -> Self {
        self.ancestors = origins;
        self
    }

    /// With room for lists.
    pub(crate) fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// A page with a form whose answer leads elsewhere. Browsers hold every stop on the way
    /// against `form-action` (Content Security Policy Level 3 section 6.4.1), and through which
    /// addresses a provider sends its users is its own affair.
    pub(crate) fn leaves(mut self) -> Self {
        self.leaves = true;
        self
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let mut html = Markup::of(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{}",
            &[&self.title],
        );
        if self.branded {
            html.add(" · Causeway", &[]);
        }
        html.add("</title><style>", &[]);
        html.0.push_str(STYLE);
        html.add("</style></head><body>", &[]);
        html.add(if self.wide { "<main class=\"wide\">" } else { "<main>" }, &[]);
        if self.branded {
            html.add("<p class=\"brand\">Causeway</p>", &[]);
        }
        html.add("<h1>{}</h1>", &[&self.title]).join(&self.body).add("</main></body></html>", &[]);
        let mut response = (self.status, Html(html.0)).into_response();
        let forms = if self.leaves { "" } else { "; form-action 'self'" };
        let ancestors = ancestors(&self.ancestors);
        let policy = format!("{}; frame-ancestors {ancestors}{forms}", *POLICY);
        if let Ok(policy) = HeaderValue::try_from(policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

/// Who may frame a page, as its policy says it.
pub(crate) fn ancestors(origins: &[String]) -> String {
    if origins.is_empty() { "'none'".to_owned() } else { origins.join(" ") }
}

/// What a failure looks like on a page, with its title and its status.
pub(crate) fn refusal(error: impl Coded + 'static) -> Document {
    problem(&Problem::from(error))
}

/// What a problem looks like on a page.
pub(crate) fn problem(problem: &Problem) -> Document {
    let mut body = Markup::alert(problem.detail());
    if let Some(id) = problem.request_id().filter(|_| problem.status().is_server_error()) {
        body.add("<p class=\"note\">Request {}</p>", &[&id]);
    }
    Document::new(problem.title(), body).status(problem.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_cannot_become_markup() {
        let hostile = "<b onx='1'>&\"{}";
        let markup = Markup::of("<i title=\"{}\">{}</i>", &[&hostile, &7]);
        let expected = "<i title=\"&lt;b onx=&#39;1&#39;&gt;&amp;&quot;{}\">7</i>";
        assert_eq!(markup.as_str(), expected);
    }

    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<') && !STYLE.contains("url("));
    }
}
