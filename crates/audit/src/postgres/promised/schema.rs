//! The promises themselves: each table with the columns that may be null, and its key and CHECKs as PostgreSQL
//! writes them. A test makes the schema and demands that nothing is missing here, and nothing is too much.

/// What a table promises.
pub(super) struct Promise {
    pub(super) table: &'static str,
    /// Every other column is NOT NULL.
    pub(super) nullable: &'static [&'static str],
    /// Texts of constraints, in which casts, parentheses and spaces make no difference.
    pub(super) constraints: &'static [&'static str],
}

/// Triggers that refuse.
pub(super) const TRIGGERS: &[(&str, &str)] =
    &[("audit_log", "audit_log_keeps"), ("audit_log", "audit_log_stays")];

/// Every table of the truth.
pub(super) const PROMISED: &[Promise] = &[
    Promise { table: "account", nullable: &[], constraints: &["PRIMARY KEY (id)"] },
    Promise {
        table: "audit_log",
        nullable: &["before", "after", "correlation"],
        constraints: &["PRIMARY KEY (id)"],
    },
    Promise {
        table: "campaign",
        nullable: &["cap", "valid_until", "valid_for", "scope", "ended_at", "next_at"],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK (kind = ANY (ARRAY[1, 2]))",
            "CHECK value > 0",
            "CHECK minimum >= 0",
            "CHECK total >= 1",
            "CHECK (funding = ANY (ARRAY[1, 2]))",
            "CHECK issued <= total",
            "CHECK used >= 0",
            "CHECK free >= 0",
            "CHECK expired >= 0",
            "CHECK revoked >= 0",
            "CHECK (swept >= 0 AND swept <= issued)",
            "CHECK (issued = (((used + free) + expired) + revoked))",
            "CHECK ((valid_until IS NULL) <> (valid_for IS NULL))",
            "CHECK (funding = 1 OR (scope IS NOT NULL))",
        ],
    },
    Promise {
        table: "category",
        nullable: &["parent"],
        constraints: &["PRIMARY KEY (id)", "CHECK code <> ''", "CHECK (depth >= 1 AND depth <= 5)"],
    },
    Promise { table: "chain", nullable: &[], constraints: &["PRIMARY KEY (commit_no)"] },
    Promise {
        table: "coupon_holder",
        nullable: &[],
        constraints: &["PRIMARY KEY (campaign, user_id)", "CHECK (held >= 1 AND held <= most)"],
    },
    Promise {
        table: "coupon_issue",
        nullable: &[],
        constraints: &["PRIMARY KEY (campaign, position)", "CHECK position >= 1"],
    },
    Promise {
        table: "entry",
        nullable: &[],
        constraints: &["PRIMARY KEY (source, seq, leg)", "CHECK amount <> 0"],
    },
    Promise { table: "idem", nullable: &[], constraints: &["PRIMARY KEY (hash)"] },
    Promise {
        table: "journal",
        nullable: &[],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK who <> ''",
            "CHECK reason <> ''",
            "CHECK postings > 0",
            "CHECK (entries >= (2 * postings))",
        ],
    },
    Promise {
        table: "merchant",
        nullable: &[],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK code <> ''",
            "CHECK name <> ''",
            "CHECK (state = ANY (ARRAY[1, 2]))",
        ],
    },
    Promise {
        table: "movement",
        nullable: &[],
        constraints: &["PRIMARY KEY (id)", "CHECK (kind = ANY (ARRAY[1, 2]))"],
    },
    Promise { table: "offer", nullable: &[], constraints: &["PRIMARY KEY (sku)"] },
    Promise {
        table: "orders",
        nullable: &[
            "outcome",
            "reason",
            "token",
            "next_at",
            "settled_at",
            "correlation",
            "coupon_id",
            "coupon_scope",
            "expects",
            "shipments",
        ],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK (state >= 1 AND state <= 10)",
            "CHECK total >= 0",
            "CHECK (discount >= 0 AND discount <= total)",
            "CHECK ((state <> ALL (ARRAY[3, 4, 5, 6, 8])) OR (((discount + points_paid) + points_earned) <= total))",
        ],
    },
    Promise {
        table: "outbox",
        nullable: &["correlation", "trace"],
        constraints: &["PRIMARY KEY (seq)"],
    },
    Promise {
        table: "payment",
        nullable: &["order_id", "psp_ref", "reason", "sent_at", "deadline", "next_at", "points_of"],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK (state >= 1 AND state <= 9)",
            "CHECK amount >= 0",
            "CHECK pending >= 0",
            "CHECK (authorized <= amount AND captured <= authorized AND ((refunded + pending) <= captured) AND refunded >= 0)",
        ],
    },
    Promise {
        table: "point_account",
        nullable: &["armed"],
        constraints: &[
            "PRIMARY KEY (user_id)",
            "CHECK paid >= 0",
            "CHECK earned >= 0",
            "CHECK ((charged + restored_paid) = ((paid + spent_paid) + expired_paid))",
            "CHECK (((granted + rewarded) + restored_earned) = (((earned + spent_earned) + expired_earned) + clawed))",
            "CHECK (charged >= 0 AND granted >= 0 AND rewarded >= 0 AND clawed >= 0 AND expired_paid >= 0 AND expired_earned >= 0)",
            "CHECK ((restored_paid >= 0 AND restored_paid <= spent_paid) AND (restored_earned >= 0 AND restored_earned <= spent_earned))",
        ],
    },
    Promise {
        table: "point_credit",
        nullable: &["until"],
        constraints: &["PRIMARY KEY (id)", "CHECK (kind = ANY (ARRAY[1, 2]))", "CHECK amount > 0"],
    },
    Promise {
        table: "point_timer",
        nullable: &["next_at"],
        constraints: &["PRIMARY KEY (user_id)"],
    },
    Promise {
        table: "point_use",
        nullable: &["until"],
        constraints: &[
            "PRIMARY KEY (order_id)",
            "CHECK (state = ANY (ARRAY[1, 2, 3]))",
            "CHECK earned >= 0",
        ],
    },
    Promise {
        table: "poison",
        nullable: &["correlation", "payload", "scope", "idem_key", "body"],
        constraints: &["PRIMARY KEY (id)"],
    },
    Promise {
        table: "price",
        nullable: &[],
        constraints: &["PRIMARY KEY (sku, no)", "CHECK amount >= 0"],
    },
    Promise {
        table: "product",
        nullable: &["category"],
        constraints: &["PRIMARY KEY (id)", "CHECK (state = ANY (ARRAY[1, 2]))"],
    },
    Promise { table: "request", nullable: &[], constraints: &["PRIMARY KEY (id)"] },
    Promise {
        table: "reservation",
        nullable: &["next_at"],
        constraints: &["PRIMARY KEY (order_id)", "CHECK (state >= 1 AND state <= 5)"],
    },
    Promise {
        table: "shard",
        nullable: &[],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK id = 0",
            "CHECK (trimmed >= 0 AND trimmed <= events)",
            "CHECK (purged >= 0 AND purged <= requests)",
        ],
    },
    Promise {
        table: "sku",
        nullable: &["code", "next_at"],
        constraints: &["PRIMARY KEY (id)", "CHECK price >= 0"],
    },
    Promise { table: "sku_code", nullable: &[], constraints: &["PRIMARY KEY (id)"] },
    Promise {
        table: "stock",
        nullable: &[],
        constraints: &[
            "PRIMARY KEY (sku)",
            "CHECK available >= 0",
            "CHECK reserved >= 0",
            "CHECK sold >= 0",
            "CHECK written_off >= 0",
            "CHECK (((received + adjusted) + returned) = (((available + reserved) + sold) + written_off))",
        ],
    },
    Promise {
        table: "user_coupon",
        nullable: &["order_id", "reason"],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK position >= 1",
            "CHECK (state >= 1 AND state <= 4)",
            "CHECK discount >= 0",
            "CHECK (state = 2 = (order_id IS NOT NULL))",
            "CHECK (state = 2 = discount > 0)",
        ],
    },
    Promise {
        table: "user_email",
        nullable: &["user"],
        constraints: &["PRIMARY KEY (index_high, index_low)"],
    },
    Promise {
        table: "users",
        nullable: &["phone", "address", "locked_until"],
        constraints: &[
            "PRIMARY KEY (id)",
            "CHECK (state = ANY (ARRAY[1, 2]))",
            "CHECK generation >= 0",
            "CHECK ((barred = ANY (ARRAY[0, 1])) AND (barred = 1 = (state = 2 OR generation > 0)))",
            "CHECK (failures >= 0 AND failures <= 4)",
        ],
    },
];
