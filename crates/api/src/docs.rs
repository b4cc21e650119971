//! The OpenAPI document as a page: every endpoint with its parameters, body, example, answers and
//! codes. Rendered from the same table of routes; needs no network and no scripts.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::auth::Role;
use crate::codes::row_of;
use crate::html::{escaped, page};
use crate::openapi;
use crate::reply::Reply;
use crate::route::{self, Doc, Route};

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/docs",
    name: "docs",
    role: Role::Anybody,
    keyed: false,
    run: |_, _| Box::pin(async { Ok(Reply::html(rendered().to_owned())) }),
    doc: Doc {
        summary: "This interface as a page to read",
        query: &[],
        body: None,
        answers: &[(200, "Page", "The page")],
        codes: &[],
    },
}];

/// Schemas within schemas are shown this deep; below that by name.
const DEPTH: usize = 3;

fn rendered() -> &'static str {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(render)
}

fn render() -> String {
    let document = openapi::document();
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let (mut nav, mut body, mut tag) = (String::new(), String::new(), "");
    let mut routes: Vec<&Route> = route::all().collect();
    routes.sort_by_key(|route| tag_of(route));
    for route in routes {
        if tag != tag_of(route) {
            tag = tag_of(route);
            let _ = write!(nav, "<strong>{tag}</strong>");
            let _ = write!(body, "<h2 id=\"{tag}\">{tag}</h2>");
        }
        let _ = write!(nav, "<a href=\"#{0}\">{0}</a>", route.name);
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        endpoint(route, operation, &schemas, &mut body);
    }
    codes(&mut body);
    let head = format!(
        "<h1>Jangbu {}</h1><p class=quiet>{} For machines: <a href=\"/openapi.json\">openapi.json</a>.</p>",
        env!("CARGO_PKG_VERSION"),
        escaped(document["info"]["description"].as_str().unwrap_or_default()),
    );
    nav.push_str("<strong><a href=\"#codes\">error codes</a></strong>");
    page(
        "Jangbu: interface",
        &format!("<div class=api><nav>{nav}</nav><main>{head}{body}</main></div>"),
    )
}

fn tag_of(route: &Route) -> &'static str {
    route.name.split('.').next().unwrap_or_default()
}

fn endpoint(route: &Route, operation: &Value, schemas: &Map<String, Value>, out: &mut String) {
    let _ = write!(
        out,
        "<details id=\"{}\"><summary><span class=verb>{}</span> <span class=path>{}</span> — {}</summary>\
         <p class=quiet>For: {}{}</p>",
        route.name,
        route.method,
        escaped(route.path),
        escaped(route.doc.summary),
        who(route.role),
        if route.keyed { "; wants an Idempotency-Key" } else { "" },
    );
    parameters(operation, out);
    if let Some((schema, example)) = route.doc.body {
        out.push_str("<h3>Body</h3>");
        let (mut rows, wanted) = (Vec::new(), schemas.get(schema).unwrap_or(&Value::Null));
        fields("", wanted, schemas, DEPTH, &mut rows);
        table(&["field", "type", ""], &rows, out);
        let _ = write!(out, "<h3>Example</h3><pre>{}</pre>", escaped(&curl(route, example)));
    }
    out.push_str("<h3>Answers</h3>");
    for (status, schema, meaning) in route.doc.answers {
        let _ = write!(out, "<p><code class=good>{status}</code> {}</p>", escaped(meaning));
        let mut rows = Vec::new();
        if let Some(schema) = schemas.get(*schema) {
            fields("", schema, schemas, DEPTH, &mut rows);
        }
        if !rows.is_empty() {
            table(&["field", "type", ""], &rows, out);
        }
    }
    let _ = write!(out, "<p class=quiet>Refused with ");
    for (at, code) in openapi::codes(route).into_iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(out, "{comma}<a href=\"#code-{code}\"><code>{code}</code></a>");
    }
    out.push_str("</p></details>\n");
}

fn who(role: Role) -> &'static str {
    match role {
        Role::Anybody => "anybody",
        Role::Merchant => "a merchant's signature, the client key, operators",
        Role::Customer => "a customer's session, the client key, operators",
        Role::Client => "the client key, operators",
        Role::Operator => "operators",
    }
}

fn curl(route: &Route, example: &str) -> String {
    let key = if route.role == Role::Operator { "$OPERATOR" } else { "$KEY" };
    let mut text = format!("curl -s -X {} localhost:7070{} -H \"{key}\"", route.method, route.path);
    if route.keyed {
        text.push_str(" \\\n  -H 'Idempotency-Key: choose-one'");
    }
    let _ = write!(text, " \\\n  -H 'Content-Type: application/json' -d '{example}'");
    text
}

fn parameters(operation: &Value, out: &mut String) {
    let listed = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |parameter: &Value| {
        let text = |field: &str| parameter[field].as_str().unwrap_or_default().to_owned();
        let place = if parameter["required"] == true { "required" } else { "optional" };
        let kind = kind(&parameter["schema"]);
        Some([text("name"), format!("{kind}, {} {place}", text("in")), text("description")])
            .filter(|row| !row[0].is_empty())
    };
    let rows: Vec<[String; 3]> = listed.iter().filter_map(row).collect();
    if !rows.is_empty() {
        out.push_str("<h3>Parameters</h3>");
        table(&["name", "type", ""], &rows, out);
    }
}

/// A row for each field, those of objects within with their path.
fn fields(
    path: &str,
    schema: &Value,
    schemas: &Map<String, Value>,
    depth: usize,
    rows: &mut Vec<[String; 3]>,
) {
    let schema = resolved(schema, schemas);
    if let Some(items) = schema.get("items") {
        return fields(&format!("{path}[]"), items, schemas, depth, rows);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (name, field) in properties {
        let full = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let inner = resolved(field, schemas);
        let must = if required.iter().any(|wanted| wanted == name) { "" } else { ", optional" };
        let about = field["description"].as_str().or_else(|| inner["description"].as_str());
        rows.push([full.clone(), kind(inner) + must, about.unwrap_or_default().to_owned()]);
        if depth > 0 {
            fields(&full, inner, schemas, depth - 1, rows);
        }
    }
}

fn resolved<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    named.and_then(|name| schemas.get(name)).unwrap_or(schema)
}

/// A type in words.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values = values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        return values.collect::<Vec<_>>().join(" | ");
    }
    let one = |kind: &Value| kind.as_str().unwrap_or_default().to_owned();
    let mut text = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" | "),
        kind => one(kind),
    };
    if let Some(format) = schema["format"].as_str().or_else(|| schema["pattern"].as_str()) {
        let _ = write!(text, " ({format})");
    }
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => drop(write!(text, ", {least} to {most}")),
        (Some(least), None) => drop(write!(text, ", from {least}")),
        _ => {}
    }
    text
}

fn codes(out: &mut String) {
    let mut all: Vec<&str> = route::all().flat_map(openapi::codes).collect();
    all.sort_unstable();
    all.dedup();
    out.push_str("<h2 id=codes>Error codes</h2><p>Every refusal is <code>application/problem+json</code> with one of these. API.md says what to do about each.</p><table><thead><tr><th>code<th>status<th>meaning<tbody>");
    for code in all {
        let row = row_of(code);
        let _ = write!(
            out,
            "<tr id=\"code-{code}\"><th><code>{code}</code><td>{}<td>{}",
            row.status,
            escaped(row.title)
        );
    }
    out.push_str("</table>");
}

fn table(head: &[&str; 3], rows: &[[String; 3]], out: &mut String) {
    out.push_str("<table><thead><tr>");
    for name in head {
        let _ = write!(out, "<th>{name}");
    }
    out.push_str("<tbody>");
    for [name, kind, about] in rows {
        let (name, kind, about) = (escaped(name), escaped(kind), escaped(about));
        let _ = write!(out, "<tr><th><code>{name}</code><td>{kind}<td>{about}");
    }
    out.push_str("</table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_and_every_code_is_on_the_page_and_nothing_is_fetched() {
        let page = rendered();
        for route in route::all() {
            assert!(page.contains(&format!("<details id=\"{}\">", route.name)), "{}", route.name);
            for code in openapi::codes(route) {
                assert!(page.contains(&format!("<tr id=\"code-{code}\">")), "{code}");
            }
        }
        for outside in ["<script", "https://", "http://", "<link", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
