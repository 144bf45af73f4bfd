//! The code of expressions: what a manifest says in `{{ … }}` and beside it becomes modules of the
//! version, so that it runs where all of its code runs.

use crate::manifest::{
    Arm, ForEachSpec, Kind, Manifest, RequestSpec, RespondSpec, StepSpec, SwitchSpec, Template,
    literal, write_expression,
};
use causeway_sandbox::SourceFile;
use std::fmt::Write as _;

/// The folder of these modules. A version has no files of its own in there.
pub(crate) const FOLDER: &str = ".causeway/";
/// What they share.
const SUPPORT: &str = include_str!("generated/support.mjs");

/// The modules of a manifest: none if it has no expression.
pub(crate) fn modules(manifest: &Manifest) -> Vec<SourceFile> {
    let mut modules: Vec<SourceFile> =
        manifest.all_steps().into_iter().filter_map(module).collect();
    if !modules.is_empty() {
        let path = format!("{FOLDER}support.mjs");
        modules.push(SourceFile { path, contents: SUPPORT.as_bytes().to_vec() });
    }
    modules
}

/// The path of a step's module.
pub(crate) fn path(step: &StepSpec) -> String {
    format!("{FOLDER}steps/{}.mjs", step.name)
}

fn module(step: &StepSpec) -> Option<SourceFile> {
    let kinds = step.kinds();
    let body = match kinds.first()? {
        Kind::Run(_) | Kind::Delay(_) | Kind::Parallel(_) => return None,
        Kind::Value(value) => format!("return {};", value.code()),
        Kind::Request(request) => request_body(request),
        Kind::Respond(respond) => respond_body(respond),
        Kind::Filter(condition) => called("return filter($, ", condition.code(), ");"),
        Kind::End(reason) => format!("$.flow.exit(text({}));", reason.code()),
        Kind::Break(condition) => called("return condition(", condition.code(), ");"),
        Kind::Branch(arms) => branch_body(arms),
        Kind::Switch(switch) => switch_body(switch),
        Kind::ForEach(ForEachSpec { items, .. }) => called("return items(", items.code(), ");"),
    };
    let contents = format!(
        "import {{ choose, condition, filter, items, request, text }} from '../support.mjs';\n\
         export default async ({{ event, steps, connections, $ }}) => {{\n{body}\n}};\n"
    );
    Some(SourceFile { path: path(step), contents: contents.into_bytes() })
}

fn called(before: &str, expression: &str, after: &str) -> String {
    let mut code = before.to_owned();
    write_expression(expression, &mut code);
    code.push_str(after);
    code
}

/// Gives the number of the arm that is taken, or null.
fn branch_body(arms: &[Arm]) -> String {
    let mut code = String::new();
    for (index, arm) in arms.iter().enumerate() {
        match &arm.condition {
            Some(condition) => {
                code.push_str(&called("if (condition(", condition.code(), "))"));
                let _ = writeln!(code, " return {index};");
            }
            None => {
                let _ = writeln!(code, "return {index};");
            }
        }
    }
    if arms.last().is_some_and(|arm| arm.condition.is_some()) {
        code.push_str("return null;");
    }
    code
}

/// Gives the number of the case that is taken, that of the default behind the last, or null.
fn switch_body(switch: &SwitchSpec) -> String {
    let mut code = called("return choose(", switch.on.code(), ", [");
    for case in &switch.cases {
        code.push('[');
        for value in case.is.values() {
            let _ = write!(code, "{value},");
        }
        code.push_str("],");
    }
    let otherwise = switch.cases.len();
    let _ = if switch.default.is_empty() {
        write!(code, "], null);")
    } else {
        write!(code, "], {otherwise});")
    };
    code
}

fn request_body(request: &RequestSpec) -> String {
    let field = |template: &Option<Template>| optional(template.as_ref());
    format!(
        "return request({{ url: {}, method: {}, query: {}, headers: {}, body: {}, anyStatus: {} }});",
        request.url.code(),
        request.method.as_deref().map_or_else(|| "undefined".to_owned(), literal),
        field(&request.query),
        field(&request.headers),
        field(&request.body),
        request.any_status,
    )
}

fn respond_body(respond: &RespondSpec) -> String {
    let field = |template: &Option<Template>| optional(template.as_ref());
    format!(
        "$.respond({{ status: {}, headers: {}, body: {} }});",
        field(&respond.status),
        field(&respond.headers),
        field(&respond.body),
    )
}

fn optional(template: Option<&Template>) -> String {
    template.map_or_else(|| "undefined".to_owned(), Template::code)
}
