use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn put(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let file = dir.join("keys").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    file
}

fn refusal(dir: &Path) -> String {
    format!("{:#}", KeyFiles::of(dir).open().unwrap_err())
}

const SECRET: &str = "s-0123456789abcdef0123456789abcdef";

#[test]
fn keys_are_made_once_and_for_their_user_alone() {
    let dir = dir();
    let files = KeyFiles::of(dir.path());
    files.open().unwrap();
    let (client, operator) = (read(&files.client).unwrap(), read(&files.operator).unwrap());
    files.open().unwrap();
    assert_eq!(read(&files.client).unwrap(), client, "made once");
    assert_ne!(client.reveal()[4..], operator.reveal()[4..]);
    let mode = fs::metadata(&files.operator).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_merchant_gets_two_keys_and_what_was_in_its_file_stays() {
    let dir = dir();
    let first = merchant_key(dir.path(), "m-1", false).unwrap();
    let file = KeyFiles::of(dir.path()).merchant("m-1");
    let before = fs::read_to_string(&file).unwrap();
    let second = merchant_key(dir.path(), "m-1", true).unwrap();
    let after = fs::read_to_string(&file).unwrap();
    assert!(after.starts_with(&before) && after.ends_with("legacy = true\n"), "{after}");
    assert_ne!((&first.id, &first.secret), (&second.id, &second.secret));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    KeyFiles::of(dir.path()).open().unwrap();
    let third = format!("{:#}", merchant_key(dir.path(), "m-1", false).unwrap_err());
    assert!(third.contains("at most 2 keys") && third.contains("m-1.toml"), "{third}");
    let bad = format!("{:#}", merchant_key(dir.path(), "../m", false).unwrap_err());
    assert!(bad.contains("is not a merchant"), "{bad}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    for name in ["client.key", "operators/kim.key", "merchants/m-1.toml"] {
        let dir = dir();
        let file = put(dir.path(), name, SECRET, 0o640);
        let why = refusal(dir.path());
        let remedy = format!("chmod 600 {}", file.display());
        assert!(why.contains("mode 640") && why.contains(&remedy), "{why}");
    }
}

#[test]
fn what_is_wrong_with_a_key_is_told_with_its_file_and_without_its_secret() {
    let entry = |id: &str| format!("[[key]]\nid = \"{id}\"\nsecret = \"{SECRET}\"\n");
    let twice = entry("k1") + &entry("k1");
    let typo = entry("k1").replace("secret", "sercet");
    let unquoted = entry("k1").replace('"', "");
    let number = entry("k1").replace("\"k1\"", "7");
    let short = entry("k1").replace(SECRET, "s-short");
    for (name, text, wanted) in [
        ("operators/kim.key", "short", "shorter than 20"),
        ("operators/kim lee.key", SECRET, "is not a name"),
        ("operators/kim.txt", SECRET, "must end with .key"),
        ("merchants/m-1.toml", &*twice, "another key with the id k1"),
        ("merchants/m-1.toml", &*typo, "line 3 is not understood"),
        ("merchants/m-1.toml", &*unquoted, "is not understood"),
        ("merchants/m-1.toml", &*number, "line 2 is not understood"),
        ("merchants/m-1.toml", &*short, "shorter than 32"),
        ("merchants/m 1.toml", &*entry("k1"), "is not a merchant"),
    ] {
        let dir = dir();
        put(dir.path(), name, text, 0o600);
        let why = refusal(dir.path());
        assert!(why.contains(wanted) && why.contains(name.rsplit('/').next().unwrap()), "{why}");
        assert!(!why.contains("s-0123456789abcdef"), "{why}");
    }
}

#[test]
fn no_two_operators_have_one_key_and_no_two_merchants_one_id() {
    let dir = dir();
    put(dir.path(), "operators/kim.key", SECRET, 0o600);
    KeyFiles::of(dir.path()).open().unwrap();
    put(dir.path(), "operators/lee.key", SECRET, 0o600);
    let why = refusal(dir.path());
    assert!(why.contains("lee.key") && why.contains("the same key"), "{why}");
    let dir = self::dir();
    for merchant in ["m-1", "m-2"] {
        let text = format!("[[key]]\nid = \"k1\"\nsecret = \"{SECRET}\"\n");
        put(dir.path(), &format!("merchants/{merchant}.toml"), &text, 0o600);
    }
    let why = refusal(dir.path());
    assert!(why.contains("m-2.toml") && why.contains("another key with the id k1"), "{why}");
}

#[test]
fn keys_of_sessions_and_sealing_are_made_once_and_rotate() {
    let dir = dir();
    let files = KeyFiles::of(dir.path());
    files.open().unwrap();
    let first = files.sealing(false).unwrap();
    let sealed = first.seal("users.name", 7, "Kim");
    assert_eq!(
        files.sealing(true).unwrap().open("users.name", 7, &sealed).unwrap().reveal(),
        "Kim"
    );
    for command in [args::KeysCommand::RotateSealing, args::KeysCommand::RotateSessions] {
        keys(dir.path(), &command).unwrap();
    }
    files.open().unwrap();
    let second = files.sealing(true).unwrap();
    assert_eq!((first.newest(), second.newest()), (1, 2));
    assert_eq!(second.open("users.name", 7, &sealed).unwrap().reveal(), "Kim", "the old one opens");
    assert_eq!(first.index("users.email", "a@b"), second.index("users.email", "a@b"));
    let names: Vec<_> =
        super::files(&files.sessions, "key").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0001", "0002"]);
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    for file in ["index.key", "sealing/002.key", "sessions/0002.key"] {
        assert_eq!(mode(&dir.path().join("keys").join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_shop_whose_sealing_keys_are_lost_does_not_start_with_new_ones() {
    let dir = dir();
    let files = KeyFiles::of(dir.path());
    let why = format!("{:#}", files.sealing(true).unwrap_err());
    assert!(why.contains("are missing") && why.contains("restore"), "{why}");
    files.sealing(false).unwrap();
    for (lost, wanted) in [("index.key", "index.key"), ("sealing/001.key", "no sealing key")] {
        let file = dir.path().join("keys").join(lost);
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        for sealed in [false, true] {
            let why = format!("{:#}", files.sealing(sealed).unwrap_err());
            assert!(why.contains(wanted), "{why}");
        }
        put(dir.path(), lost, &text, 0o600);
    }
    put(dir.path(), "sealing/1.key", &"a".repeat(64), 0o600);
    let why = format!("{:#}", files.sealing(true).unwrap_err());
    assert!(why.contains("names are 001.key to 255.key"), "{why}");
}
