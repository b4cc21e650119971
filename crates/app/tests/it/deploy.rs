//! The files for container engines name what there is.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use crate::server::jangbu;

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The keys directly below a section of the compose file.
fn below(text: &str, section: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let keys = lines.filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    keys.filter(|key| !key.starts_with([' ', '#'])).map(str::to_owned).collect()
}

/// What stands between `before` and one of `after`, each time.
fn between<'a>(text: &'a str, before: &str, after: &[char]) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap_or("")).collect()
}

#[test]
fn the_compose_file_sets_settings_and_names_services_that_exist() {
    let text = file("deploy/compose.yaml");
    let printed = jangbu(&["default-config"], &[]).output().unwrap().stdout;
    let defaults: Table = toml::from_str(&String::from_utf8(printed).unwrap()).unwrap();
    let names = between(&text, "JANGBU__", &[':']);
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let (section, setting) = name.split_once("__").unwrap();
        let section = defaults.get(&section.to_lowercase()).and_then(Value::as_table);
        let known = section.is_some_and(|section| section.contains_key(&setting.to_lowercase()));
        assert!(known, "there is no setting {name}");
    }
    let services = below(&text, "services");
    let wanted = ["gateway", "kafka", "postgres", "redis", "shop-1", "shop-2"];
    assert_eq!(services.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    let hosts = ["postgres://jangbu:jangbu@", "BOOTSTRAP: \"", "redis://", "http://"];
    for host in hosts.iter().flat_map(|before| between(&text, before, &[':'])) {
        assert!(services.contains(host), "there is no service {host}");
    }
    let volumes = below(&text, "volumes");
    for volume in between(&text, "[\"", &['"']).iter().filter_map(|v| v.split_once(":/var/lib/")) {
        assert!(volumes.contains(volume.0), "there is no volume {}", volume.0);
    }
}

#[test]
fn the_container_has_the_toolchain_of_the_project_and_no_root() {
    let text = file("deploy/Containerfile");
    let toolchain: Table = toml::from_str(&file("rust-toolchain.toml")).unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let image = between(&text, "docker.io/library/rust:", &['-'])[0];
    assert!(channel.starts_with(image), "{channel} is not {image}");
    let stages: Vec<_> = text.split("\nFROM ").collect();
    assert_eq!(stages.len(), 3, "two stages");
    let user = between(stages[2], "\nUSER ", &['\n'])[0];
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let (before, _) = stages[2].split_once("ENTRYPOINT").unwrap();
    assert!(before.contains("\nUSER "), "what runs does not run as root");
}
