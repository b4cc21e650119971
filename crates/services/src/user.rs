//! Users' rows, and how those who check sessions hear of what ends them.

use jangbu_domain::user::User;
use jangbu_domain::user::command::{Command, Event};
use jangbu_domain::user::model::{Account, EmailIndex, Holder, Profile, Rows, Sealed, State};
use jangbu_engine::port::{By, Col, Fault, Fields, List, Read, RowWriter, Table};
use jangbu_engine::unit::{Signal, Sink};
use jangbu_kernel::{Ctx, Time, UserId};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::packed;
use crate::queries::Queries;

/// Users some of whose sessions are worth nothing.
const BARRED: &str = "barred";
/// Rows of a page of them.
const PAGE: u32 = 1_000;

/// Users.
pub static USERS: Table = Table {
    rank: 10,
    name: "users",
    key: &["id"],
    cols: &[
        Col::int("state"),
        Col::int("index_high"),
        Col::int("index_low"),
        Col::blob("email"),
        Col::blob("name"),
        Col::blob("phone").or_null(),
        Col::blob("address").or_null(),
        Col::blob("password"),
        Col::int("generation"),
        Col::int("barred"),
        Col::int("failures"),
        Col::int("locked_until").or_null(),
        Col::int("created_at"),
        Col::int("changed_at"),
    ],
    versioned: true,
    due: false,
    lists: &[List { name: BARRED, col: "barred", value: 1 }],
    hot: false,
};

/// Who has which e-mail address.
pub static USER_EMAIL: Table = Table {
    rank: 11,
    name: "user_email",
    key: &["index_high", "index_low"],
    cols: &[Col::int("user").or_null()],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// The columns of personal data and credentials, as they are named when they are sealed.
pub mod column {
    /// The e-mail address; its blind index has this name, too.
    pub const EMAIL: &str = "users.email";
    /// The name.
    pub const NAME: &str = "users.name";
    /// The phone number.
    pub const PHONE: &str = "users.phone";
    /// Where things are sent.
    pub const ADDRESS: &str = "users.address";
    /// The hash of the password.
    pub const PASSWORD: &str = "users.password";
}

fn sealed(bytes: &[u8]) -> Sealed {
    Sealed(bytes.into())
}

/// Null reads as no bytes at all, which no sealed value is.
fn opt_sealed(bytes: &[u8]) -> Option<Sealed> {
    (!bytes.is_empty()).then(|| sealed(bytes))
}

impl Stored for Account {
    type Key = UserId;
    const TABLE: &'static Table = &USERS;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            state: packed::coded("users.state", row.int(1), State::from_code),
            index: EmailIndex([row.int(2), row.int(3)]),
            profile: Profile {
                email: sealed(row.blob(4)),
                name: sealed(row.blob(5)),
                phone: opt_sealed(row.blob(6)),
                address: opt_sealed(row.blob(7)),
            },
            password: sealed(row.blob(8)),
            generation: row.int(9),
            failures: row.int(11),
            locked_until: row.opt_int(12).map(Time),
            created_at: Time(row.int(13)),
            changed_at: Time(row.int(14)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { state, index, profile, password, generation, .. } = self;
        let Self { failures, locked_until, created_at, changed_at, .. } = self;
        let (EmailIndex([high, low]), Profile { email, name, phone, address }) = (index, profile);
        to.int(state.code()).int(*high).int(*low).blob(&email.0).blob(&name.0);
        to.opt_blob(phone.as_ref().map(|sealed| &*sealed.0));
        to.opt_blob(address.as_ref().map(|sealed| &*sealed.0));
        to.blob(&password.0).int(*generation).int(i64::from(self.bar().is_some())).int(*failures);
        to.opt_int(locked_until.map(|at| at.0)).int(created_at.0).int(changed_at.0);
    }
}

impl Stored for Holder {
    type Key = EmailIndex;
    const TABLE: &'static Table = &USER_EMAIL;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self { user: row.opt_int(2).map(UserId) }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { user } = self;
        to.opt_int(user.map(|user| user.0));
    }
}

/// Users in a cell.
#[derive(Debug)]
pub struct UserService;

impl Service for UserService {
    type Domain = User;

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.account);
        each(&mut rows.email);
    }

    fn subject(command: &Command) -> String {
        command.user().to_string()
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        let Account { state, generation, .. } = rows.account.get(command.user())?;
        Some(json!({ "state": state.name(), "generation": generation }))
    }

    fn follow(event: Event, _rows: &Rows, _ctx: &Ctx, sink: &mut Sink) {
        let Event::Barred { user, .. } = event;
        sink.signals.push(Signal { key: user.0, body: Box::new(event) });
    }
}

impl Queries {
    /// A user.
    pub fn user(&self, id: UserId) -> Result<Option<Account>, Fault> {
        self.one(id)
    }

    /// Whether there is any user.
    pub fn has_users(&self) -> Result<bool, Fault> {
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let by = By::Range { from, to, descending: false, limit: 1 };
        Ok(!self.many::<Account>(Read { table: &USERS, by })?.is_empty())
    }

    /// The user with this e-mail address.
    pub fn user_of(&self, index: EmailIndex) -> Result<Option<(UserId, Account)>, Fault> {
        let Some(Holder { user: Some(user) }) = self.one(index)? else { return Ok(None) };
        // Between the two reads it may have given the address to another.
        let account = self.user(user)?.filter(|account| account.index == index);
        Ok(account.map(|account| (user, account)))
    }

    /// Every user some of whose sessions are worth nothing, with the least generation that is good.
    pub fn bars(&self) -> Result<Vec<(UserId, i64)>, Fault> {
        let (mut found, mut after) = (Vec::new(), i64::MIN);
        loop {
            let by = By::Listed { list: BARRED, after, limit: PAGE };
            let page = self.many::<Account>(Read { table: &USERS, by })?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = last.0;
            found.extend(page.iter().filter_map(|(user, account)| Some((*user, account.bar()?))));
        }
    }
}
