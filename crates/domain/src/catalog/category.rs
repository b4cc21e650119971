//! Categories: a tree of at most five levels. A category has its place for ever, so the tree has no
//! cycles, and its id follows from its place: the same path is the same category, whoever makes it.

use serde::{Deserialize, Serialize};

use jangbu_kernel::{CategoryId, Out};

use super::code::first_bytes;
use super::command::{Event, Reject, Reply};
use super::decide::is_name;
use super::model::Rows;

/// How many levels the tree may have.
pub const DEPTH: i64 = 5;
/// How many characters a code may have.
pub const CODE: usize = 60;

/// A place for products.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The one that it belongs to; none: a root.
    pub parent: Option<CategoryId>,
    /// What it is called in paths: unique below its parent, for ever.
    pub code: Box<str>,
    /// What it is called now.
    pub name: Box<str>,
    /// 1 for a root.
    pub depth: i64,
}

/// The id of the category `code` below `parent`.
pub fn id_of(parent: Option<CategoryId>, code: &str) -> CategoryId {
    let parent = parent.map_or(0, |parent| parent.0).to_be_bytes();
    CategoryId(first_bytes(&[&parent, code.as_bytes()]).max(1))
}

/// Whether this may be a code: text without `/`, which separates the levels of a path.
pub fn is_code(text: &str) -> bool {
    let plain = text.chars().all(|c| c != '/' && !c.is_control());
    plain && text.trim() == text && (1..=CODE).contains(&text.chars().count())
}

/// The ids along a path, the root first.
pub fn along<'a>(path: impl IntoIterator<Item = &'a str>) -> Vec<CategoryId> {
    let mut parent = None;
    let step = |code| {
        let id = id_of(parent, code);
        parent = Some(id);
        id
    };
    path.into_iter().map(step).collect()
}

/// Makes a category, or finds it made; not under another name than it was asked for.
pub(super) fn create(
    id: CategoryId,
    (parent, code, wish): (Option<CategoryId>, &str, Option<&str>),
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    if !is_code(code) {
        return Err(Reject::CategoryInvalid);
    }
    let name = wish.unwrap_or(code);
    if !is_name(name) {
        return Err(Reject::NameInvalid);
    }
    let above = match parent {
        Some(parent) => rows.category.get(parent).ok_or(Reject::CategoryUnknown)?.depth,
        None => 0,
    };
    if above >= DEPTH {
        return Err(Reject::CategoryTooDeep);
    }
    if let Some(old) = rows.category.get(id) {
        if old.parent != parent || *old.code != *code {
            return Err(Reject::CategoryInvalid);
        }
        if wish.is_some_and(|wish| *old.name != *wish) {
            return Err(Reject::CategoryNamed { category: id, name: old.name.clone() });
        }
        return Ok(Reply::Category { id, category: old.clone() });
    }
    let (code, name) = (code.into(), name.into());
    let category = Category { parent, code, name, depth: above.saturating_add(1) };
    rows.category.insert(id, category.clone());
    out.emit(Event::Categorised { id, category: category.clone() });
    Ok(Reply::Category { id, category })
}

/// Gives a category another name; its code and its place stay.
pub(super) fn rename(
    id: CategoryId,
    name: &str,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let old = rows.category.get(id).ok_or(Reject::CategoryUnknown)?;
    if !is_name(name) {
        return Err(Reject::NameInvalid);
    }
    if *old.name == *name {
        return Ok(Reply::Category { id, category: old.clone() });
    }
    let category = rows.category.edit(id).expect("the category was there a moment ago");
    category.name = name.into();
    let category = category.clone();
    out.emit(Event::Categorised { id, category: category.clone() });
    Ok(Reply::Category { id, category })
}
