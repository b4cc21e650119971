//! The schema has one text, which is SQLite's; this makes PostgreSQL's of it.
//!
//! | SQLite | PostgreSQL |
//! |---|---|
//! | `INTEGER` | `BIGINT` |
//! | `BLOB` | `BYTEA` |
//! | `TEXT` | `TEXT COLLATE "C"`: text is ordered by its bytes on both |
//! | `WITHOUT ROWID` | nothing |
//! | `randomblob(16)` | `uuid_send(gen_random_uuid())` |
//! | a name that PostgreSQL keeps for itself (`user`, `offset`) | the same in quotes |
//! | a trigger that only refuses | a function that refuses, and its trigger |
//!
//! Everything else must be a text that both understand; a test applies every migration to both.

/// What PostgreSQL says for a word of SQLite's schema.
fn word(word: &str) -> Option<&'static str> {
    Some(match word {
        "INTEGER" => "BIGINT",
        "BLOB" => "BYTEA",
        "TEXT" => "TEXT COLLATE \"C\"",
        "WITHOUT" | "ROWID" => "",
        "user" => "\"user\"",
        "offset" => "\"offset\"",
        _ => return None,
    })
}

/// The schema `sql` as PostgreSQL understands it.
pub(super) fn schema(sql: &str) -> String {
    let sql = sql.replace("randomblob(16)", "uuid_send(gen_random_uuid())");
    let (mut out, mut rest) = (String::with_capacity(sql.len() + 1_024), &*sql);
    while let Some(at) = rest.find("CREATE TRIGGER ") {
        out.push_str(&words(&rest[..at]));
        let (trigger, after) = refusal(&rest[at..]);
        out.push_str(&trigger);
        rest = after;
    }
    out.push_str(&words(rest));
    out
}

/// Replaces words outside of comments and text.
fn words(sql: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(sql.len()), sql);
    while !rest.is_empty() {
        let (piece, is_word) = piece(rest);
        out.push_str(word(piece).filter(|_| is_word).unwrap_or(piece));
        rest = &rest[piece.len()..];
    }
    out
}

/// The next piece of a text that is not empty: a comment, quoted text, a word, or a character.
fn piece(sql: &str) -> (&str, bool) {
    let until = |from: usize, end: &str| {
        sql[from..].find(end).map_or(sql.len(), |at| from + at + end.len())
    };
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    match sql.as_bytes() {
        [b'-', b'-', ..] => (&sql[..until(2, "\n")], false),
        [b'/', b'*', ..] => (&sql[..until(2, "*/")], false),
        [b'\'', ..] => (&sql[..until(1, "'")], false),
        _ => {
            let first = sql.chars().next().unwrap_or(' ');
            if !is_part(first) {
                return (&sql[..first.len_utf8()], false);
            }
            let end = sql.find(|c| !is_part(c)).unwrap_or(sql.len());
            (&sql[..end], true)
        }
    }
}

/// A trigger that refuses, and what follows it: `CREATE TRIGGER name BEFORE event ON table BEGIN SELECT
/// RAISE(ABORT, 'why'); END;`. Another kind of trigger is a bug of the migration.
fn refusal(sql: &str) -> (String, &str) {
    let (trigger, rest) = sql.split_once("END;").unwrap_or((sql, ""));
    let mut parts = trigger.split_whitespace().skip(2);
    let (name, when, event) = (parts.next(), parts.next(), parts.next());
    let (_, table) = (parts.next(), parts.next());
    let why = trigger.split('\'').nth(1);
    let (Some(name), Some("BEFORE"), Some(event), Some(table), Some(why)) =
        (name, when, event, table, why)
    else {
        panic!("not a trigger that only refuses: {trigger}")
    };
    let made = format!(
        "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
         '{why}'; END $$;\nCREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE \
         FUNCTION {name}();"
    );
    (made, rest)
}

#[cfg(test)]
mod tests {
    use super::schema;

    #[test]
    fn types_and_names_are_translated_but_not_in_comments_and_text() {
        let made = schema(
            "CREATE TABLE offset (id INTEGER PRIMARY KEY /* INTEGER */, user INTEGER, body BLOB,
             name TEXT NOT NULL CHECK (name <> 'TEXT user')) WITHOUT ROWID; -- a BLOB\nx INTEGER",
        );
        assert_eq!(
            made,
            "CREATE TABLE \"offset\" (id BIGINT PRIMARY KEY /* INTEGER */, \"user\" BIGINT, body BYTEA,
             name TEXT COLLATE \"C\" NOT NULL CHECK (name <> 'TEXT user'))  ; -- a BLOB\nx BIGINT"
        );
    }

    #[test]
    fn a_trigger_that_refuses_becomes_a_function_and_its_trigger() {
        let made = schema(
            "CREATE TRIGGER kept BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'it stays'); END;\n\
             CREATE TABLE t (id INTEGER);",
        );
        assert_eq!(
            made,
            "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
             'it stays'; END $$;\nCREATE TRIGGER kept BEFORE DELETE ON log FOR EACH ROW EXECUTE \
             FUNCTION kept();\nCREATE TABLE t (id BIGINT);"
        );
    }

    #[test]
    #[should_panic(expected = "not a trigger that only refuses")]
    fn another_trigger_is_not_guessed_at() {
        schema("CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log; END;");
    }
}
