//! The tree in which products stand.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::catalog::category::{Category, id_of};
use jangbu_domain::catalog::command::{Command, Reply as Answer, UNIT};
use jangbu_engine::port::Fault;
use jangbu_kernel::CategoryId;
use jangbu_services::cache::Group;
use jangbu_services::queries::View;
use serde::{Deserialize, Serialize};

use super::{category_id, kept};
use crate::Api;
use crate::ask::{envelope, normal};
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::problem::Problem;
use crate::reply::{Reply, json};
use crate::text::shown;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateIn<'a> {
    #[serde(borrow, default)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RenameIn<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CategoryOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: CategoryId,
    #[serde(serialize_with = "shown::option")]
    parent_id: Option<CategoryId>,
    code: &'a str,
    name: &'a str,
    depth: i64,
}

impl<'a> CategoryOut<'a> {
    pub(super) fn of(id: CategoryId, category: &'a Category) -> Self {
        let Category { parent, code, name, depth } = category;
        Self { id, parent_id: *parent, code, name, depth: *depth }
    }
}

async fn change(
    api: &Arc<Api>,
    call: &Call,
    command: Command,
    canon: Canon,
    status: u16,
) -> Result<Reply, Problem> {
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let Answer::Category { id, category } = &asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a category"));
    };
    kept::written(api, &[Group::Categories, Group::Shelf]).await;
    Ok(Reply::json(status, &CategoryOut::of(*id, category)).replayed(asked.replayed))
}

pub(super) async fn create(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CreateIn<'_> = call.json()?;
    let parent = body.parent_id.as_deref().map(|text| category_id(text, "parentId"));
    let parent = parent.transpose()?;
    let canon = Canon::new(call.name).int(parent.map_or(0, |parent| parent.0));
    let canon = canon.text(&body.code).text(body.name.as_deref().unwrap_or(&body.code));
    let name = body.name.as_deref().map(Into::into);
    let (category, code) = (id_of(parent, &body.code), (&*body.code).into());
    let command = Command::CreateCategory { category, parent, code, name };
    change(api, call, command, canon, 201).await
}

pub(super) async fn rename(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RenameIn<'_> = call.json()?;
    let category = category_id(call.param(), "id")?;
    let canon = Canon::new(call.name).int(category.0).text(&body.name);
    let command = Command::RenameCategory { category, name: (&*body.name).into() };
    change(api, call, command, canon, 200).await
}

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = category_id(call.param(), "id")?;
    let unknown = || Problem::coded("CATEGORY_UNKNOWN", format!("there is no category {id}"));
    Ok(Reply::written(kept::category(api, call.needs(), id).await?.ok_or_else(unknown)?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<CategoryOut<'a>>,
    next_cursor: Option<String>,
}

/// The body of a page.
fn page(view: &View, after: Option<CategoryId>, limit: u32) -> Result<Vec<u8>, Fault> {
    let found = view.categories(after, limit + 1)?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(json(&Page {
        items: found[..page].iter().map(|(id, category)| CategoryOut::of(*id, category)).collect(),
        next_cursor: last.map(|(id, _)| id.to_string()),
    }))
}

pub(super) async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(CategoryId::parse)?);
    let read = move |view: &View| page(view, after, limit);
    let body = match after {
        None => kept::categories(api, call.needs(), limit, read).await?,
        Some(_) => api.view(call, read).await?.into(),
    };
    Ok(Reply::written(body))
}
