//! Every operation of the API says what it does and which permission it needs: its doc comment is
//! its text in the OpenAPI document, and an argument `Authorized<Action>` is its permission; `Own<…>`
//! says that it is about the caller's own things, which need none, `Client<…>` that a program's OAuth
//! client proves itself in the request.

use super::Finding;
use super::tree::{Tree, is_test, production};

const FOLDER: &str = "crates/api/src/";
const ATTRIBUTE: &str = "#[utoipa::path(";
const PERMISSIONS: &[&str] = &["Authorized<", "Own<", "Client<"];

/// An operation while its attribute and signature are read.
struct Operation {
    line: usize,
    documented: bool,
    signature: String,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust()
        .filter(|(path, _)| path.starts_with(FOLDER) && !is_test(path))
        .flat_map(|(path, text)| operations(text).into_iter().flat_map(|o| judge(path, &o)))
        .collect()
}

fn judge(path: &str, operation: &Operation) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !operation.documented {
        findings.push(Finding::new(
            path,
            operation.line,
            "the operation has no doc comment",
            "The comment is what the API document says about it",
            "Say above the attribute what the operation does, in the indicative",
        ));
    }
    if !PERMISSIONS.iter().any(|named| operation.signature.contains(named)) {
        findings.push(Finding::new(
            path,
            operation.line,
            "the operation names no permission",
            "A route that forgets to ask lets everybody in",
            "Take `Authorized(permit): Authorized<action::…>` and hand the permit on",
        ));
    }
    findings
}

fn operations(text: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    let mut documented = false;
    let mut open: Option<Operation> = None;
    for (line, text) in production(text) {
        let text = text.trim();
        if let Some(mut operation) = open.take() {
            operation.signature.push_str(text);
            if operation.signature.contains("fn ") && text.ends_with('{') {
                found.push(operation);
            } else {
                open = Some(operation);
            }
        } else if text.starts_with(ATTRIBUTE) {
            open = Some(Operation { line, documented, signature: text.to_owned() });
        } else {
            documented = text.starts_with("///") || (documented && text.starts_with("#["));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let tree = Tree::of([("crates/api/src/v1/a/list.rs", text)]);
        check(&tree).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn an_operation_without_a_doc_comment_is_found() {
        let signature = "async fn list(\n    permit: Authorized<A>,\n) -> Json {\n}\n";
        assert_eq!(found(&format!("/// Lists.\n#[utoipa::path(\n    get,\n)]\n{signature}")), []);
        let bare = format!("/// A type.\nstruct A {{\n}}\n\n#[utoipa::path(get)]\n{signature}");
        assert_eq!(found(&bare), [(5, "the operation has no doc comment".to_owned())]);
    }

    #[test]
    fn an_operation_without_a_permission_is_found() {
        let open =
            "/// Lists.\n#[utoipa::path(get)]\npub(crate) async fn list(api: Api) -> Json {\n";
        assert_eq!(found(open), [(2, "the operation names no permission".to_owned())]);
        assert_eq!(found(&open.replace("api: Api", "own: Own<Session>")), []);
    }
}
