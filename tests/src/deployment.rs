//! The files that deploy the product are held against the product: a key, a flag, a metric that is
//! renamed must be renamed there too. No container runs here.

mod files;
mod metrics;
mod promql;

use clap::Parser;
use files::{Compose, Image, Service, dockerfile, required, root, text, word, words, yaml};
use serde_json::Value;
use smarttasks::cli::{Cli, Command};
use smarttasks::config::{Config, Flag, Key, Loaded, Sources, load};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// 32 bytes.
const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ROLES: [&str; 4] = ["api", "engine", "notifier", "scheduler"];

fn compose() -> Compose {
    Compose::with(&[("SMARTTASKS_SECRET_KEY", SECRET_KEY)])
}

/// What the variables, and `--roles`, mean: all must be ours and give no cause for complaint.
fn loaded(variables: &BTreeMap<String, String>, roles: Option<&str>) -> Loaded {
    let known: BTreeSet<_> = Config::keys().map(Key::env).collect();
    let unknown: Vec<_> = variables
        .keys()
        .filter(|name| !known.contains(name.strip_suffix("_FILE").unwrap_or(name)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} are no keys");
    let env = variables.iter();
    let env = env.map(|(name, value)| (name.clone(), value.into()));
    let flag = |roles: &str| Flag {
        flag: "--roles".to_owned(),
        key: "roles".to_owned(),
        value: roles.to_owned(),
    };
    let sources = Sources {
        flags: roles.map(flag).into_iter().collect(),
        env: env.collect(),
        ..Sources::default()
    };
    let loaded = load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded
}

/// The variables of a role's process: the image's, and those of the compose file over them.
fn variables(role: &Service) -> BTreeMap<String, String> {
    let mut variables = Image::read().environment();
    variables.extend(role.environment());
    variables
}

fn parsed(command: &[String]) -> Cli {
    Cli::try_parse_from(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The command of a health check that needs no shell.
fn checked(test: &[String]) -> &[String] {
    let command = test.strip_prefix(&["CMD".to_owned()]);
    command.unwrap_or_else(|| panic!("{test:?} needs a shell"))
}

#[test]
fn every_role_is_a_service_and_its_environment_is_a_configuration_without_a_problem() {
    let compose = compose();
    let roles = compose.roles();
    let names: BTreeSet<_> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ROLES.into());
    for role in &roles {
        let config = loaded(&variables(role), Some(&role.name)).config;
        let roles: Vec<_> = config.instance.roles.names().collect();
        assert_eq!(roles, [role.name.as_str()]);
        let port = config.http.listen.port();
        assert!(role.ports().contains(&port), "{}: {port}", role.name);
    }
}

#[test]
fn only_the_secret_key_must_be_given_and_who_does_not_is_told_how_to_make_one() {
    let required = required();
    let names: Vec<_> = required.keys().collect();
    assert_eq!(names, ["SMARTTASKS_SECRET_KEY"]);
    let message = &required["SMARTTASKS_SECRET_KEY"];
    assert!(message.contains("openssl rand -base64 32"), "{message}");
}

/// Somebody calls this service at this port.
fn assert_reached(compose: &Compose, caller: &str, host: &str, port: u16) {
    let ports = compose.service(host).ports();
    let reached = ports.contains(&port);
    assert!(reached, "{caller}: {host}:{port}, which has {ports:?}");
}

#[test]
fn every_server_is_called_by_the_name_and_port_of_its_service() {
    let compose = compose();
    for role in compose.roles() {
        let mut variables = role.environment();
        let public = variables.remove("SMARTTASKS_HTTP__PUBLIC_URL");
        let urls = variables.iter().filter(|(name, _)| name.ends_with("_URL"));
        let mut called = BTreeSet::new();
        for (name, url) in urls {
            let url = Url::parse(url).unwrap_or_else(|error| panic!("{name}: {error}"));
            let port = url.port().unwrap_or_else(|| panic!("{name}: which port?"));
            let host = url.host_str().unwrap();
            assert_reached(&compose, name, host, port);
            called.insert(host.to_owned());
        }
        let servers = ["mailpit", "postgres", "rabbitmq", "redis"].map(String::from);
        assert_eq!(called, servers.into(), "{}", role.name);
        let public = Url::parse(&public.expect("a public URL")).unwrap();
        assert_eq!(public.host_str(), Some("localhost"));
        let published = compose.service("api").published();
        let outside = public.port().expect("a port");
        let listen = loaded(&variables, None).config.http.listen.port();
        assert!(published.contains(&(outside, listen)), "{public}");
    }
}

#[test]
fn every_role_is_watched_and_its_watchers_are_found() {
    let compose = compose();
    let prometheus = yaml("deploy/prometheus/prometheus.yml");
    let mut scraped = BTreeSet::new();
    for job in prometheus["scrape_configs"].as_array().unwrap() {
        for found in job["dns_sd_configs"].as_array().unwrap() {
            let port = found["port"].as_u64().unwrap().try_into().unwrap();
            for name in words(&found["names"]) {
                assert_reached(&compose, "prometheus.yml", &name, port);
                scraped.insert(name);
            }
        }
    }
    let expected = ROLES.into_iter().chain(["rabbitmq"]).map(String::from);
    assert_eq!(scraped, expected.collect());
    let sources = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let url = Url::parse(&word(&sources["datasources"][0]["url"])).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    assert_reached(&compose, "grafana", host, port);
}

#[test]
fn every_command_and_health_check_of_a_role_is_one_of_the_command_line() {
    let entry = Image::read().list("ENTRYPOINT");
    for role in compose().roles() {
        let command = words(&role.value["command"]);
        assert_eq!(command, ["serve", "--roles", role.name.as_str()]);
        let cli = parsed(&[entry.clone(), command].concat());
        assert!(matches!(cli.command, Some(Command::Serve)));
        assert_eq!(cli.settings.roles.as_deref(), Some(role.name.as_str()));
        let test = words(&role.value["healthcheck"]["test"]);
        let check = checked(&test);
        assert_eq!(check[..1], entry);
        assert!(matches!(parsed(check).command, Some(Command::Healthcheck)));
    }
}

#[test]
fn the_image_serves_checks_itself_and_keeps_its_data_where_its_user_may_write() {
    let image = Image::read();
    let start = [image.list("ENTRYPOINT"), image.list("CMD")].concat();
    assert!(matches!(parsed(&start).command, Some(Command::Serve)));
    let check = image.list("HEALTHCHECK");
    assert!(matches!(parsed(&check).command, Some(Command::Healthcheck)));
    let config = loaded(&image.environment(), None).config;
    let data = config.instance.data_dir.display().to_string();
    assert_eq!(image.list("VOLUME"), [data.as_str()]);
    assert_eq!(
        image.only("EXPOSE"),
        config.http.listen.port().to_string().as_str()
    );
    assert!(config.http.listen.ip().is_unspecified());
    let user = image.only("USER");
    let (uid, gid) = user.split_once(':').expect("uid:gid");
    assert!(uid.parse::<u32>().unwrap() > 0, "{user} is root");
    let copied = dockerfile();
    let owned = format!("--chown={user} ");
    assert!(
        copied
            .iter()
            .any(|(name, argument)| name == "COPY" && argument.contains(&owned)),
        "{data} does not belong to {user}"
    );
    for role in compose().roles() {
        let mounted = words(&role.value["tmpfs"]);
        assert_eq!(mounted, [format!("{data}:mode=0700,uid={uid},gid={gid}")]);
        assert_eq!(role.value["read_only"], true);
    }
}

#[test]
fn the_image_is_built_by_the_toolchain_of_the_project() {
    let (_, base) = dockerfile()
        .into_iter()
        .find(|(name, _)| name == "FROM")
        .unwrap();
    let toolchain = text("rust-toolchain.toml");
    let (_, channel) = toolchain.split_once("channel = \"").unwrap();
    let channel = channel.split('"').next().unwrap();
    let version = base.trim_start_matches("rust:").split('-').next().unwrap();
    assert!(
        channel == version || channel.starts_with(&format!("{version}.")),
        "{base} is not {channel}"
    );
}

#[test]
fn whoever_is_waited_for_tells_that_it_is_healthy_and_a_role_has_time_to_stop() {
    let compose = compose();
    for role in compose.roles() {
        let dependencies = role.value["depends_on"].as_object().unwrap();
        assert!(!dependencies.is_empty());
        for (name, dependency) in dependencies {
            assert_eq!(dependency["condition"], "service_healthy");
            let checks = compose.service(name).value.get("healthcheck").is_some();
            assert!(checks, "{name} never says that it is healthy");
        }
        let grace = word(&role.value["stop_grace_period"]);
        let seconds: u32 = grace.trim_end_matches('s').parse().unwrap();
        assert!(seconds > 25, "{}: {grace}", role.name);
    }
}

#[test]
fn everything_that_is_mounted_or_named_by_a_mounted_file_is_there() {
    let compose = compose();
    let mut volumes = BTreeSet::new();
    for service in compose.services() {
        for (from, _) in service.mounts() {
            match from.starts_with("./") {
                true => assert!(root().join(&from).is_dir(), "{from} is missing"),
                false => drop(volumes.insert(from)),
            }
        }
    }
    assert_eq!(volumes, compose.volumes().into_iter().collect());

    let prometheus = compose.service("prometheus");
    let command = words(&prometheus.value["command"]);
    let flag = |word: &String| word.strip_prefix("--config.file=").map(str::to_owned);
    let path = prometheus.file(&command.iter().find_map(flag).expect("--config.file"));
    let rules = words(&yaml(&path)["rule_files"]);
    assert!(!rules.is_empty());
    for rule in rules {
        let rules = yaml(path.with_file_name(rule));
        assert!(rules["groups"].is_array());
    }

    let grafana = compose.service("grafana");
    let provisioning = grafana.file("/etc/grafana/provisioning");
    let providers = yaml(provisioning.join("dashboards/smarttasks.yml"));
    let dashboards = grafana.file(&word(&providers["providers"][0]["options"]["path"]));
    let home = &grafana.environment()["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    let home = grafana.file(home);
    assert!(home.starts_with(&dashboards), "{}", home.display());
    let dashboard: Value = serde_json::from_str(&text(home)).unwrap();
    let sources = yaml(provisioning.join("datasources/prometheus.yml"));
    let uid = &sources["datasources"][0]["uid"];
    for panel in dashboard["panels"].as_array().unwrap() {
        if panel["type"] != "row" {
            assert_eq!(&panel["datasource"]["uid"], uid, "{}", panel["title"]);
        }
    }
}
