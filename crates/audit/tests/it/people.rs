//! Every kind of breach of the users 9, who just came, and 10, who is gone: (rule, SQL, subject).

pub(crate) const SQL: &[(&str, &str, &str)] = &[
    ("user.found", "DELETE FROM user_email WHERE user = 9", "usr 9"),
    ("user.found", "UPDATE user_email SET user = NULL WHERE user = 9", "usr 9"),
    ("user.found", "UPDATE users SET index_low = 77 WHERE id = 9", "usr 9"),
    ("user.found", "UPDATE users SET index_high = 11, index_low = 12 WHERE id = 10", "usr 10"),
    ("user.holder", "DELETE FROM users WHERE id = 9", "usr 9"),
    ("user.holder", "UPDATE user_email SET user = 9 WHERE user IS NULL", "usr 9"),
    ("user.holder", "UPDATE user_email SET user = 12345 WHERE user = 9", "usr 12345"),
    ("user.barred", "UPDATE users SET barred = 0 WHERE id = 10", "usr 10"),
    ("user.barred", "UPDATE users SET state = 2 WHERE id = 9", "usr 9"),
    ("user.failures", "UPDATE users SET failures = 5 WHERE id = 9", "usr 9"),
    ("user.failures", "UPDATE users SET failures = 1, locked_until = 5 WHERE id = 9", "usr 9"),
    ("user.time", "UPDATE users SET created_at = 2 WHERE id = 9", "usr 9"),
    ("user.time", "UPDATE users SET changed_at = 9000000000000000 WHERE id = 9", "usr 9"),
    (
        "user.sealed",
        "UPDATE users SET email = CAST('kim@example.com' AS BLOB) WHERE id = 9",
        "usr 9",
    ),
    (
        "user.sealed",
        "UPDATE users SET name = CAST(x'00' || substr(name, 2) AS BLOB) WHERE id = 9",
        "usr 9",
    ),
    ("user.sealed", "UPDATE users SET phone = x'01' WHERE id = 9", "usr 9"),
    ("user.sealed", "UPDATE users SET password = substr(password, 1, 89) WHERE id = 9", "usr 9"),
];
