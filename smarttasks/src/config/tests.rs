//! The configuration as its users meet it: sources in, values or problems out.

use super::*;
use crate::test_dir::TestDir;
use std::path::Path;
use std::time::Duration;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn flags(settings: &[(&str, &str)]) -> Sources {
    let flag = |(key, value): &(&str, &str)| Flag {
        flag: format!("--set {key}"),
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    Sources {
        flags: settings.iter().map(flag).collect(),
        ..Sources::default()
    }
}

fn env(variables: &[(&str, &str)]) -> Sources {
    let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).into());
    Sources {
        env: variables.iter().map(variable).collect(),
        ..Sources::default()
    }
}

fn file(text: &str) -> Sources {
    Sources {
        file: Some(ConfigFile {
            path: "smarttasks.toml".into(),
            text: text.to_owned(),
        }),
        ..Sources::default()
    }
}

fn config(sources: &Sources) -> Config {
    load(sources).unwrap().config
}

/// The problems as they are printed, one a line.
fn problems(sources: &Sources) -> Vec<String> {
    let Problems(problems) = load(sources).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

/// The one problem, as it is printed.
fn problem(sources: &Sources) -> String {
    let mut problems = problems(sources);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn without_any_source_the_defaults_hold() {
    let config = config(&Sources::default());
    assert_eq!(config.instance.data_dir, Path::new("./data"));
    let database = &config.instance.database_url;
    assert_eq!(database.show(), "sqlite:./data/smarttasks.db");
    assert!(config.instance.roles.are_all());
    assert!(config.instance.smtp_url.is_none() && config.instance.secret_key.is_none());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.http.public_url.as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.http.rate_limit.show(), "600");
    assert_eq!(config.accounts.registration, Registration::Open);
    assert_eq!(config.mail.from.show(), "SmartTasks <smarttasks@localhost>");
    assert!(config.webhooks.allowed_networks.is_empty());
    assert_eq!(config.rules.heap_bytes.bytes(), 32 << 20);
    assert_eq!(config.retention.events, Duration::from_secs(30 * 86_400));
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let text = "[http]\nlisten = '10.0.0.1:1'\nrate_limit = 1\n[bus]\nmax_pending = 1\n";
    let mut sources = file(text);
    sources.env = env(&[
        ("SMARTTASKS_HTTP__LISTEN", "10.0.0.2:2"),
        ("SMARTTASKS_HTTP__RATE_LIMIT", "2"),
    ])
    .env;
    sources.flags = flags(&[("http.listen", "10.0.0.3:3")]).flags;
    let config = config(&sources);
    assert_eq!(config.http.listen.to_string(), "10.0.0.3:3");
    assert_eq!(config.http.rate_limit.show(), "2");
    assert_eq!(config.bus.max_pending.get(), 1);
    assert_eq!(config.notifier.concurrency.get(), 256);
}

#[test]
fn a_file_may_hold_every_kind_of_value() {
    let config = config(&file(
        "data_dir = '/srv/tasks'\n\
         smtp_url = 'smtp://mail:25'\n\
         webhooks.allowed_networks = ['10.0.0.0/8', 'fd00::/8']\n\
         [rules]\noperations = 2_000_000\nheap_bytes = '64MiB'\n\
         [retention]\nevents = '2w'\n",
    ));
    let database = &config.instance.database_url;
    assert_eq!(database.show(), "sqlite:/srv/tasks/smarttasks.db");
    assert_eq!(config.instance.smtp_url.unwrap().expose(), "smtp://mail:25");
    assert_eq!(config.webhooks.allowed_networks.len(), 2);
    assert_eq!(config.rules.operations.get(), 2_000_000);
    assert_eq!(config.rules.heap_bytes.bytes(), 64 << 20);
    assert_eq!(config.retention.events, Duration::from_secs(14 * 86_400));
}

#[test]
fn every_problem_is_reported_at_once_with_its_key_and_source() {
    let mut sources = file("[http]\nlisten = 'here'\n\n[retention]\nruns = 'long'\nevnts = '1d'\n");
    sources.env = env(&[
        ("SMARTTASKS_RULES__WALL_MS", "fast"),
        ("SMARTTASKS_MAIL__FORM", "ann@example.com"),
    ])
    .env;
    sources.flags = flags(&[("http.rate_limit", "-1"), ("htp.listen", "x")]).flags;
    let problems = problems(&sources);
    for expected in [
        "http.listen (smarttasks.toml:2): is \"here\"; expected an IP address and a port",
        "retention.runs (smarttasks.toml:5): is \"long\"; expected a duration",
        "retention.evnts (smarttasks.toml:6): is no key; did you mean retention.events?",
        "rules.wall_ms (SMARTTASKS_RULES__WALL_MS): is \"fast\"; expected a whole number",
        "SMARTTASKS_MAIL__FORM: is no setting; did you mean SMARTTASKS_MAIL__FROM?",
        "http.rate_limit (--set http.rate_limit): is \"-1\"; expected `off`",
        "htp.listen (--set htp.listen): is no key; did you mean http.listen?",
    ] {
        let said = problems.iter().any(|problem| problem.starts_with(expected));
        assert!(said, "{expected}\nis not in {problems:#?}");
    }
    assert_eq!(problems.len(), 7, "{problems:#?}");
}

#[test]
fn a_list_of_problems_says_how_many_there_are() {
    let error = load(&flags(&[("http.listen", "x"), ("bus.prefix", "a b")])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("2 problems in the configuration:\n  http.listen ("),
        "{text}"
    );
}

#[test]
fn unknown_keys_far_from_any_are_errors_too() {
    let text = problem(&file("[kubernetes]\nnodes = 3\n"));
    assert_eq!(
        text,
        "kubernetes.nodes (smarttasks.toml:2): is no key; docs/configuration.md lists all"
    );
    assert!(
        problem(&file("colour = 'red'\n")).starts_with("colour (smarttasks.toml:1): is no key")
    );
    assert!(
        problem(&file("[http.listen]\na = 1\n")).starts_with("http.listen (smarttasks.toml:1)")
    );
}

#[test]
fn unknown_variables_of_ours_without_a_section_are_warnings() {
    let sources = env(&[("SMARTTASKS_DATADIR", "/x"), ("PATH", "/bin"), ("HOME", "")]);
    let loaded = load(&sources).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["SMARTTASKS_DATADIR: is no setting; did you mean SMARTTASKS_DATA_DIR?"]
    );
}

#[test]
fn variables_of_the_commands_that_ask_a_server_are_no_settings() {
    let given = [
        ("SMARTTASKS_SERVER", "https://tasks.example.com"),
        ("SMARTTASKS_TOKEN", "secret"),
    ];
    assert!(load(&env(&given)).unwrap().warnings.is_empty());
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let config = config(&env(&[
        ("SMTP_URL", ""),
        ("SMARTTASKS_HTTP__LISTEN", ""),
        ("AMQP_URL", ""),
    ]));
    assert!(config.instance.smtp_url.is_none());
    assert_eq!(config.http.listen.port(), 8080);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    let mut sources = Sources::default();
    let value = std::ffi::OsString::from_vec(vec![0xff]);
    sources.env.push(("SMARTTASKS_DATA_DIR".to_owned(), value));
    assert_eq!(
        problem(&sources),
        "data_dir (SMARTTASKS_DATA_DIR): is not valid UTF-8"
    );
}

#[test]
fn a_key_given_twice_by_one_source_is_an_error() {
    let text = problem(&flags(&[
        ("http.listen", "127.0.0.1:1"),
        ("http.listen", "127.0.0.1:2"),
    ]));
    assert!(text.contains("is given twice"), "{text}");
    assert!(problem(&file("[bus]\nprefix = 'a'\nprefix = 'b'\n")).contains("smarttasks.toml:3"));
}

#[test]
fn a_file_that_is_not_toml_names_the_lines_but_not_what_is_in_them() {
    let problems = problems(&file(
        "[http]\nlisten = '127.0.0.1:1'\n\nsmtp_url = hunter2\n",
    ));
    assert!(
        problems
            .iter()
            .any(|text| text.contains("smarttasks.toml:4")),
        "{problems:#?}"
    );
    assert!(
        problems.iter().all(|text| !text.contains("hunter2")),
        "{problems:#?}"
    );
}

#[test]
fn secrets_may_be_given_as_files() {
    let directory = TestDir::new();
    let path = directory.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let path = path.to_str().unwrap();
    for sources in [
        env(&[("SMARTTASKS_SECRET_KEY_FILE", path)]),
        file(&format!("secret_key_file = '{path}'")),
        flags(&[("secret_key_file", path)]),
    ] {
        let key = config(&sources).instance.secret_key.unwrap();
        assert_eq!(key.expose_base64(), KEY);
    }
}

#[test]
fn a_secret_and_its_file_together_are_an_error() {
    let directory = TestDir::new();
    let path = directory.path().join("key");
    std::fs::write(&path, KEY).unwrap();
    let text = problem(&env(&[
        ("SMARTTASKS_SECRET_KEY", KEY),
        ("SMARTTASKS_SECRET_KEY_FILE", path.to_str().unwrap()),
    ]));
    assert!(
        text.contains("SMARTTASKS_SECRET_KEY_FILE")
            && text.contains("also by SMARTTASKS_SECRET_KEY;"),
        "{text}"
    );
}

#[test]
fn a_secret_file_that_cannot_be_read_is_named() {
    let text = problem(&env(&[("SMTP_URL_FILE", "/nowhere/smtp")]));
    assert!(
        text.starts_with("smtp_url_file (SMTP_URL_FILE): cannot read the file \"/nowhere/smtp\""),
        "{text}"
    );
}

#[test]
fn what_is_no_secret_has_no_file_twin() {
    let text = problem(&env(&[("SMARTTASKS_HTTP__LISTEN_FILE", "/x")]));
    assert!(
        text.starts_with("SMARTTASKS_HTTP__LISTEN_FILE: is no setting"),
        "{text}"
    );
}

#[test]
fn secrets_are_in_no_output() {
    let secrets = [
        ("SMTP_URL", "smtps://apikey:hunter2@mail.example.com:465"),
        ("SMARTTASKS_SECRET_KEY", KEY),
    ];
    let loaded = load(&env(&secrets)).unwrap();
    let shown = show(&loaded.settings);
    let debugged = format!("{loaded:?}");
    for secret in ["apikey", "hunter2", KEY] {
        assert!(
            !shown.contains(secret) && !debugged.contains(secret),
            "{shown}\n{debugged}"
        );
    }
    assert!(
        shown.contains("# smtp_url = \"smtps://[redacted]@mail.example.com:465\""),
        "{shown}"
    );
}

#[test]
fn a_faulty_secret_is_not_quoted() {
    for (variable, value) in [
        ("SMTP_URL", "http://apikey:hunter2@mail"),
        ("SMARTTASKS_SECRET_KEY", "hunter2"),
        ("DATABASE_URL", "postgresql:hunter2"),
        ("DATABASE_URL", "mysql://u:hunter2@db/tasks"),
        ("REDIS_URL", "hunter2@cache"),
    ] {
        let text = problem(&env(&[(variable, value)]));
        assert!(
            text.contains(variable) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

/// The address of a broker, a database and a key, which go together.
const SERVERS: [(&str, &str); 3] = [
    ("AMQP_URL", "amqp://guest:hunter2@mq/tasks"),
    (
        "DATABASE_URL",
        "postgres://u:hunter2@db/tasks?password=hunter2",
    ),
    ("SMARTTASKS_SECRET_KEY", KEY),
];

#[test]
fn servers_are_given_together_and_shown_without_their_passwords() {
    let mut all = SERVERS.to_vec();
    all.push(("REDIS_URL", "rediss://:hunter2@cache"));
    all.push(("SMARTTASKS_ROLES", "engine, scheduler"));
    let loaded = load(&env(&all)).unwrap();
    let instance = &loaded.config.instance;
    assert!(matches!(instance.database_url, DatabaseUrl::Server(_)));
    let broker = instance.amqp_url.as_ref().unwrap();
    assert_eq!(broker.expose(), "amqp://guest:hunter2@mq/tasks");
    let roles = &instance.roles;
    assert!(roles.has(Role::Engine) && roles.has(Role::Scheduler) && !roles.has(Role::Api));
    let shown = show(&loaded.settings);
    for line in [
        "# amqp_url = \"amqp://[redacted]@mq/tasks\"",
        "# database_url = \"postgres://[redacted]@db/tasks\"",
        "# redis_url = \"rediss://[redacted]@cache\"",
        "roles = \"engine,scheduler\"",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert!(!format!("{loaded:?}{shown}").contains("hunter2"));
}

#[test]
fn what_does_not_go_together_is_a_problem_of_the_key_that_is_missing() {
    let without = |left_out: &str| {
        let given = SERVERS.iter().copied();
        let given: Vec<_> = given.filter(|(name, _)| *name != left_out).collect();
        problem(&env(&given))
    };
    let text = without("AMQP_URL");
    assert!(
        text.starts_with("amqp_url (default): a PostgreSQL database goes"),
        "{text}"
    );
    let text = without("DATABASE_URL");
    assert!(
        text.starts_with("amqp_url (AMQP_URL): a broker goes"),
        "{text}"
    );
    let text = without("SMARTTASKS_SECRET_KEY");
    assert!(
        text.contains("secret_key") && text.contains("openssl rand"),
        "{text}"
    );
    let text = problem(&flags(&[("roles", "api")]));
    assert!(
        text.contains("roles") && text.contains("AMQP_URL"),
        "{text}"
    );
    let text = problem(&flags(&[("roles", "api,worker")]));
    assert!(text.contains("expected some of api, engine"), "{text}");
    let text = problem(&env(&[("REDIS_URL", "redis://cache")]));
    assert!(
        text.starts_with("redis_url (REDIS_URL): a cache is for"),
        "{text}"
    );
    assert!(problem(&env(&[("AMQP_URL", "http://mq")])).contains("amqp://user:password@"));
}

#[test]
fn a_database_is_a_sqlite_file() {
    let path = |url: &str| match DatabaseUrl::parse(url)? {
        DatabaseUrl::File(path) => Ok(path),
        DatabaseUrl::Server(_) => Err("a server".to_owned()),
    };
    assert_eq!(path("sqlite:a/b.db").unwrap(), Path::new("a/b.db"));
    assert_eq!(path("sqlite:/a/b.db").unwrap(), Path::new("/a/b.db"));
    assert_eq!(path("sqlite:///a/b.db").unwrap(), Path::new("/a/b.db"));
    for bad in [
        "",
        "a.db",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:a.db?mode=ro",
        "mysql://db",
    ] {
        assert!(path(bad).is_err(), "{bad}");
    }
}

#[test]
fn defaults_follow_the_listener() {
    let with = |listen: &str| config(&flags(&[("http.listen", listen)]));
    let public = with("0.0.0.0:8000");
    assert_eq!(public.accounts.registration, Registration::Closed);
    assert_eq!(public.http.public_url.as_str(), "http://localhost:8000");
    let loopback = with("[::1]:9000");
    assert_eq!(loopback.accounts.registration, Registration::Open);
    assert_eq!(loopback.http.public_url.as_str(), "http://[::1]:9000");
}

#[test]
fn a_default_that_follows_from_a_faulty_key_is_no_second_problem() {
    assert!(problem(&flags(&[("http.listen", "localhost")])).starts_with("http.listen "));
    assert!(problem(&flags(&[("data_dir", "")])).starts_with("data_dir "));
}

#[test]
fn values_out_of_their_range_are_refused() {
    for (key, value) in [
        ("http.rate_limit", "0"),
        ("http.rate_limit", "Off"),
        ("rules.heap_bytes", "0"),
        ("rules.heap_bytes", "1MB"),
        ("rules.heap_bytes", "99999999999GiB"),
        ("http.listen", "8080"),
        ("http.public_url", "ftp://example.com"),
        ("http.public_url", "https://u:p@example.com"),
        ("http.public_url", "example.com"),
        ("accounts.registration", "yes"),
        ("webhooks.timeout", "0"),
        ("webhooks.timeout", "-5m"),
        ("mail.from", "nobody"),
        ("mail.from", "A\r\nBcc: eve@example.com <a@example.com>"),
        ("mail.external_per_hour", "4294967296"),
        ("webhooks.allowed_networks", "10.0.0.0"),
        ("rules.workers", "0"),
        ("rules.operations", "1e6"),
        ("rules.workspace_budget", "0"),
        ("rules.workspace_budget", "none"),
        ("rules.min_cron_interval", "60"),
        ("retention.events", "30"),
        ("bus.prefix", ""),
        ("log.filter", ""),
        ("log.filter", "info,=,"),
        ("log.format", "xml"),
    ] {
        let text = problem(&flags(&[(key, value)]));
        assert!(text.starts_with(key) && text.contains("expected"), "{text}");
    }
}

#[test]
fn the_evaluation_time_of_a_workspace_is_bounded_unless_it_is_switched_off() {
    let budget = |settings: &[(&str, &str)]| config(&flags(settings)).rules.workspace_budget;
    assert_eq!(budget(&[]).per_minute(), Some(Duration::from_secs(10)));
    let off = budget(&[("rules.workspace_budget", "off")]);
    assert_eq!((off.per_minute(), off.show().as_str()), (None, "off"));
    let two_minutes = budget(&[("rules.workspace_budget", "2m")]);
    assert_eq!(two_minutes.per_minute(), Some(Duration::from_secs(120)));
}

#[test]
fn mail_servers_are_given_by_scheme() {
    for good in [
        "smtp://localhost:2525",
        "smtps://u:p%40ss@mail.example.com",
        "smtp://u:p@mail.example.com:587?tls=required",
        "smtp://10.0.0.1/our.name?tls=none",
    ] {
        assert!(SmtpUrl::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "mail.example.com:25",
        "smtp:",
        "smtp://mail?tls=maybe",
        "smtp://mail?timeout=1",
        "smtp://user@mail",
    ] {
        assert!(SmtpUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_shown_is_a_configuration_file_that_means_the_same() {
    let given = flags(&[
        ("http.listen", "0.0.0.0:80"),
        ("mail.from", "Ann \u{e4} <ann@example.com>"),
        ("webhooks.allowed_networks", "10.0.0.0/8,fd00::/8"),
        ("http.rate_limit", "off"),
        ("rules.heap_bytes", "65536"),
        ("retention.runs", "48h"),
    ]);
    let values = |loaded: &Loaded| -> Vec<(String, String)> {
        let settings = loaded.settings.iter();
        settings
            .map(|setting| (setting.key.id(), setting.value.clone()))
            .collect()
    };
    let first = load(&given).unwrap();
    let second = load(&file(&show(&first.settings))).unwrap();
    assert_eq!(values(&first), values(&second));
    assert_eq!(values(&first).len(), Config::keys().count());
}

#[test]
fn what_is_shown_says_where_it_came_from() {
    let mut sources = file("[bus]\nprefix = 'a'\n");
    sources.env = env(&[("SMARTTASKS_LOG__FILTER", "debug")]).env;
    let shown = show(&load(&sources).unwrap().settings);
    let line = |start: &str| {
        let line = shown.lines().find(|line| line.starts_with(start)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("bus.prefix"), "bus.prefix = \"a\" # smarttasks.toml:2");
    assert_eq!(
        line("log.filter"),
        "log.filter = \"debug\" # SMARTTASKS_LOG__FILTER"
    );
    assert_eq!(
        line("http.listen"),
        "http.listen = \"127.0.0.1:8080\" # default"
    );
}

#[test]
fn names_of_keys_are_unique_and_as_documented() {
    let mut names: Vec<_> = Config::keys().map(Key::env).collect();
    for expected in [
        "DATABASE_URL",
        "SMTP_URL",
        "SMARTTASKS_DATA_DIR",
        "SMARTTASKS_SECRET_KEY",
        "SMARTTASKS_HTTP__PUBLIC_URL",
        "SMARTTASKS_WEBHOOKS__ALLOWED_NETWORKS",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Rewrites the page instead when `UPDATE_DOCS` is set.
#[test]
fn the_documentation_lists_every_key_as_it_is() {
    const BEGIN: &str = "<!-- The tables below are made from the code: UPDATE_DOCS=1 cargo test -p smarttasks documentation -->\n\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (prose, _) = page.split_once(BEGIN).unwrap();
    let current = format!("{prose}{BEGIN}{}\n", reference().trim_end());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &current).unwrap();
    } else {
        assert!(
            page == current,
            "docs/configuration.md is out of date: run UPDATE_DOCS=1 cargo test -p smarttasks documentation"
        );
    }
}
