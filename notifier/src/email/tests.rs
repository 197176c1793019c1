//! Mails read back by a parser, and handed to mail servers of every kind, on real sockets.

mod server;

use super::*;
use mail_parser::{MessageParser, MimeHeaders};
use server::{Seen, Server};
use tokio::net::TcpListener;

const HOSTILE: [&str; 8] = [
    "a\r\nBcc: eve@example.com\r\n\r\nbody",
    "a\rBcc: eve@example.com",
    "a\nBcc: eve@example.com",
    "a\n.\nMAIL FROM:<eve@example.com>\n",
    "a\r.\rMAIL FROM:<eve@example.com>\r",
    "a\r\n.\r\nMAIL FROM:<eve@example.com>\r\n",
    "=?utf-8?Q?a=0D=0ABcc:_eve@example.com?=",
    "a\0b\u{202e}c",
];

fn from() -> MailFrom {
    "SmartTasks <tasks@mail.example.com>".parse().unwrap()
}

fn mail() -> Mail {
    let created_at: Timestamp = "2026-12-01T09:00:00Z".parse().unwrap();
    Mail {
        delivery_id: DeliveryId::derived(created_at, &[b"delivery"]),
        workspace_id: WorkspaceId::derived(created_at, &[b"workspace"]),
        created_at,
        to: Recipient {
            email: "ann@example.com".parse().unwrap(),
            name: Some("Ann Smith".to_owned()),
            user_id: None,
        },
        subject: "Overdue: Pay invoice".to_owned(),
        text: "Hi Ann,\nit is due.\n".to_owned(),
        html: None,
    }
}

fn rendered(mail: &Mail) -> Vec<u8> {
    message::render(&from(), mail).unwrap().bytes
}

/// Names of all headers before the body, in lower case and in order.
fn header_names(message: &[u8]) -> Vec<String> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let lines = head
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']));
    lines
        .map(|line| line.split_once(':').unwrap().0.to_ascii_lowercase())
        .collect()
}

#[test]
fn a_mail_reads_back_as_it_was_written() {
    let bytes = rendered(&mail());
    let read = MessageParser::default().parse(&bytes).unwrap();
    assert_eq!(read.subject(), Some("Overdue: Pay invoice"));
    let to = read.to().unwrap().first().unwrap();
    assert_eq!(
        (to.name(), to.address()),
        (Some("Ann Smith"), Some("ann@example.com"))
    );
    let from = read.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("SmartTasks"), Some("tasks@mail.example.com"))
    );
    assert_eq!(read.body_text(0).unwrap(), "Hi Ann,\r\nit is due.\r\n");
    assert!(
        read.body_html(0)
            .unwrap()
            .contains("<p>Hi Ann,<br>\r\nit is due.</p>")
    );
    assert_eq!(read.date().unwrap().to_rfc3339(), "2026-12-01T09:00:00Z");
    let mail = mail();
    let id = format!("{}@mail.example.com", mail.delivery_id);
    assert_eq!(read.message_id(), Some(&*id));
    assert_eq!(
        read.header_raw("Auto-Submitted").map(str::trim),
        Some("auto-generated")
    );
    let list = format!("<{}.mail.example.com>", mail.workspace_id);
    assert_eq!(read.header_raw("List-Id").map(str::trim), Some(&*list));
}

#[test]
fn a_repeat_is_the_same_to_the_byte() {
    assert_eq!(rendered(&mail()), rendered(&mail()));
}

#[test]
fn nothing_that_is_written_into_a_header_becomes_another() {
    let expected = header_names(&rendered(&mail()));
    for hostile in HOSTILE {
        let mut mail = mail();
        mail.subject = hostile.to_owned();
        mail.to.name = Some(hostile.to_owned());
        let from = MailFrom {
            name: hostile.to_owned(),
            ..from()
        };
        let bytes = message::render(&from, &mail).unwrap().bytes;
        assert_eq!(header_names(&bytes), expected, "{hostile:?}");
        let read = MessageParser::default().parse(&bytes).unwrap();
        let line = text::header_line(hostile);
        assert_eq!(read.subject(), Some(&*line), "{hostile:?}");
        assert_eq!(
            read.to().unwrap().first().unwrap().name(),
            Some(&*line),
            "{hostile:?}"
        );
        assert_eq!(read.to().unwrap().iter().count(), 1);
        assert!(read.bcc().is_none());
    }
}

#[test]
fn names_that_look_like_syntax_are_only_names() {
    for name in [
        "<b>Ann</b>",
        "Ann \"the\" Smith",
        "Smith, Ann",
        "ann@other.example.com",
        "Ann (boss) <eve@example.com>",
        "a\\",
        "Ärger & Söhne",
        "群组: 安;",
    ] {
        let mut mail = mail();
        mail.to.name = Some(name.to_owned());
        let bytes = rendered(&mail);
        let read = MessageParser::default().parse(&bytes).unwrap();
        let to: Vec<_> = read
            .to()
            .unwrap()
            .iter()
            .map(|a| (a.name(), a.address()))
            .collect();
        assert_eq!(to, [(Some(name), Some("ann@example.com"))]);
    }
}

#[test]
fn bodies_of_every_kind_arrive_whole() {
    let long_line = "x".repeat(5_000);
    let dots = ".\n..\n.\r\n".repeat(40);
    let foreign = "安 Приве́т 👋\n".repeat(200);
    let boundary = format!("--=_{}\n--=_{}--\n", mail().delivery_id, mail().delivery_id);
    let bodies = [
        &*long_line,
        &*dots,
        &*foreign,
        &*boundary,
        "",
        "  \n\t\n x \n",
        "=3D=\r\n",
    ];
    for content in bodies.into_iter().chain(HOSTILE) {
        let mut mail = mail();
        mail.text = content.to_owned();
        mail.html = Some(content.to_owned());
        let bytes = rendered(&mail);
        let read = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!((read.text_body_count(), read.html_body_count()), (1, 1));
        let expected = text::body(content);
        let parts = [read.text_part(0).unwrap(), read.html_part(0).unwrap()];
        for part in parts {
            assert_eq!(part.text_contents(), Some(&*expected), "{content:?}");
            let encoding = part.content_transfer_encoding().unwrap();
            assert!(
                ["quoted-printable", "base64"].contains(&encoding),
                "{encoding}"
            );
        }
        let longest = bytes.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
        assert!(longest <= 79, "{longest}");
    }
}

#[test]
fn a_long_subject_is_folded_within_the_limits_of_a_line() {
    for subject in ["x".repeat(900), "word ".repeat(200), "ä".repeat(900)] {
        let mut mail = mail();
        mail.subject = subject.trim().to_owned();
        let bytes = rendered(&mail);
        let longest = bytes.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
        assert!(longest <= 999, "{longest}");
        let read = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(read.subject(), Some(&*mail.subject));
    }
}

#[test]
fn whom_mails_are_from_is_read_from_the_configuration() {
    for (text, name, email) in [
        ("tasks@example.com", "SmartTasks", "tasks@example.com"),
        ("Team <tasks@example.com>", "Team", "tasks@example.com"),
        (
            " \"The Team\" <tasks@example.com> ",
            "The Team",
            "tasks@example.com",
        ),
        ("<tasks@example.com>", "", "tasks@example.com"),
    ] {
        let from: MailFrom = text.parse().unwrap();
        assert_eq!((&*from.name, from.email.as_str()), (name, email));
    }
    let error = "Team <tasks>".parse::<MailFrom>().unwrap_err().to_string();
    assert!(
        error.starts_with("MAIL__FROM: ") && error.contains("ann@example.com"),
        "{error}"
    );
}

fn mailer(url: Option<&str>, directory: PathBuf, timeout: Duration) -> Mailer {
    Mailer::new(MailSettings {
        smtp_url: url.map(SecretString::from),
        from: from(),
        directory,
        timeout,
    })
    .unwrap()
}

const PATIENT: Duration = Duration::from_secs(30);

fn mailer_to(server: &Server, timeout: Duration) -> Mailer {
    let url = format!("smtp://{}/me.example.com", server.address);
    mailer(Some(&url), PathBuf::new(), timeout)
}

#[tokio::test]
async fn a_mail_is_handed_to_the_server_and_its_answer_kept() {
    let mut server = Server::that(&[]).await;
    let attempt = mailer_to(&server, PATIENT).send(&mail()).await;
    assert!(attempt.succeeded(), "{attempt:?}");
    assert_eq!(attempt.status_code, Some(250));
    assert_eq!(attempt.response.as_deref(), Some("2.0.0 queued as 7"));
    let seen = server.so_far();
    let commands = [
        "EHLO me.example.com",
        "MAIL FROM:<tasks@mail.example.com>",
        "RCPT TO:<ann@example.com>",
        "DATA",
    ];
    let commands = commands.map(|command| Seen::Command(command.to_owned()));
    assert_eq!(seen[0], Seen::Connection);
    assert_eq!(seen[1..5], commands);
    let message = [&rendered(&mail())[..], b"\r\n.\r\n"].concat();
    assert_eq!(seen[5..], [Seen::Message(message)]);
}

#[tokio::test]
async fn mails_share_a_connection() {
    let mut server = Server::that(&[]).await;
    let mailer = mailer_to(&server, PATIENT);
    for _ in 0..3 {
        assert!(mailer.send(&mail()).await.succeeded());
    }
    let seen = server.so_far();
    assert_eq!(seen.iter().filter(|s| **s == Seen::Connection).count(), 1);
    assert_eq!(
        seen.iter()
            .filter(|s| matches!(s, Seen::Message(_)))
            .count(),
        3
    );
}

#[tokio::test]
async fn no_text_ends_the_message_for_the_server() {
    let mut server = Server::that(&[]).await;
    let mailer = mailer_to(&server, PATIENT);
    for hostile in HOSTILE {
        let mut mail = mail();
        mail.subject = hostile.to_owned();
        mail.text = hostile.to_owned();
        mail.html = Some(hostile.to_owned());
        mail.to.name = Some(hostile.to_owned());
        assert!(mailer.send(&mail).await.succeeded(), "{hostile:?}");
        let seen = server.so_far();
        let of_mail = |s: &&Seen| matches!(s, Seen::Command(c) if c.starts_with("MAIL"));
        assert_eq!(seen.iter().filter(of_mail).count(), 1, "{hostile:?}");
        let Some(Seen::Message(message)) = seen.last() else {
            panic!("{seen:?}");
        };
        assert!(message.ends_with(b"--\r\n\r\n.\r\n"), "{hostile:?}");
    }
}

#[tokio::test]
async fn what_a_server_says_to_a_mail_decides_whether_it_is_tried_again() {
    for (stage, answer, permanent) in [
        ("MAIL", "451 4.3.0 try later", false),
        ("MAIL", "550 5.7.1 not you", true),
        ("RCPT", "450 4.2.1 greylisted", false),
        ("RCPT", "550 5.1.1 no such user", true),
        ("DATA", "452 4.3.1 disk full", false),
        ("DATA", "554 5.6.0 no valid recipients", true),
        ("message", "451 4.7.0 scanner down", false),
        ("message", "552 5.3.4 too big", true),
    ] {
        let server = Server::that(&[(stage, answer)]).await;
        let attempt = mailer_to(&server, PATIENT).send(&mail()).await;
        let code: u16 = answer[..3].parse().unwrap();
        assert_eq!(attempt.status_code, Some(code), "{stage}");
        assert_eq!(
            attempt.is_transient_failure(),
            !permanent,
            "{stage} {answer}"
        );
        let Reason::MailRefused { text, .. } = attempt.error.as_ref().unwrap().reason() else {
            panic!("{attempt:?}");
        };
        assert_eq!(*text, answer[4..]);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_used_costs_no_mail() {
    for (stage, answer) in [
        ("greeting", "421 busy"),
        ("greeting", "554 no service here"),
        ("greeting", ""),
        ("greeting", "SSH-2.0-OpenSSH_9.6"),
        ("EHLO", "550 go away"),
        ("EHLO", ""),
    ] {
        let server = Server::that(&[(stage, answer)]).await;
        let attempt = mailer_to(&server, PATIENT).send(&mail()).await;
        assert!(
            attempt.is_transient_failure(),
            "{stage} {answer:?}: {attempt:?}"
        );
        assert_eq!(*attempt.error.unwrap().reason(), Reason::MailServer);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    let attempt = mailer(Some(&url), PathBuf::new(), PATIENT)
        .send(&mail())
        .await;
    assert!(attempt.is_transient_failure());
}

#[tokio::test]
async fn a_wrong_password_costs_no_mail_and_is_not_told() {
    let script = [
        ("EHLO", "250-me\r\n250 AUTH PLAIN"),
        ("AUTH", "535 5.7.8 bad credentials"),
    ];
    let mut server = Server::that(&script).await;
    let url = format!("smtp://ann:s3cret@{}?tls=none", server.address);
    let attempt = mailer(Some(&url), PathBuf::new(), PATIENT)
        .send(&mail())
        .await;
    assert!(attempt.is_transient_failure());
    let told = format!("{attempt:?}{}", attempt.error.as_ref().unwrap());
    assert!(!told.contains("s3cret") && !told.contains("535"), "{told}");
    let seen = server.so_far();
    assert!(
        seen.iter()
            .any(|s| matches!(s, Seen::Command(c) if c.starts_with("AUTH PLAIN")))
    );
}

#[tokio::test]
async fn a_password_is_not_sent_to_a_server_without_encryption() {
    let mut server = Server::that(&[("EHLO", "250-me\r\n250 AUTH PLAIN")]).await;
    let url = format!("smtp://ann:s3cret@{}?tls=opportunistic", server.address);
    let attempt = mailer(Some(&url), PathBuf::new(), PATIENT)
        .send(&mail())
        .await;
    assert_eq!(*attempt.error.unwrap().reason(), Reason::MailServer);
    let seen = server.so_far();
    assert!(
        !seen
            .iter()
            .any(|s| matches!(s, Seen::Command(c) if c.starts_with("AUTH")))
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_or_falls_silent_after_the_message_is_tried_again_with_the_same_id()
{
    let mut ids = Vec::new();
    for (answer, label) in [("", "interrupted"), ("…", "timed_out")] {
        let mut server = Server::that(&[("message", answer)]).await;
        let attempt = mailer_to(&server, Duration::from_millis(300))
            .send(&mail())
            .await;
        assert!(attempt.is_transient_failure(), "{attempt:?}");
        assert_eq!(attempt.error.unwrap().reason().label(), label);
        for seen in server.so_far() {
            if let Seen::Message(message) = seen {
                let read = MessageParser::default().parse(&message).unwrap();
                ids.push(read.message_id().unwrap().to_owned());
            }
        }
    }
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_connection_on_which_a_mail_failed_is_not_used_again() {
    let mut server = Server::that(&[("message", "451 later")]).await;
    let mailer = mailer_to(&server, PATIENT);
    for _ in 0..2 {
        assert!(mailer.send(&mail()).await.is_transient_failure());
    }
    let seen = server.so_far();
    assert_eq!(seen.iter().filter(|s| **s == Seen::Connection).count(), 2);
}

#[tokio::test]
async fn without_a_server_mails_are_kept_as_files_one_for_each_delivery() {
    let unique = format!(
        "smarttasks-mail-{}",
        smarttasks_model::EventId::new(mail().created_at)
    );
    let directory = std::env::temp_dir().join(unique).join("mail");
    let mailer = mailer(None, directory.clone(), PATIENT);
    for _ in 0..2 {
        let attempt = mailer.send(&mail()).await;
        assert!(attempt.succeeded(), "{attempt:?}");
        let kept = format!("kept as {}.eml", mail().delivery_id);
        assert_eq!((attempt.status_code, attempt.response), (None, Some(kept)));
    }
    let files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(
        files,
        [directory.join(format!("{}.eml", mail().delivery_id))]
    );
    assert_eq!(std::fs::read(&files[0]).unwrap(), rendered(&mail()));

    std::fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    let attempt = mailer.send(&mail()).await;
    assert!(attempt.is_transient_failure());
    assert_eq!(*attempt.error.unwrap().reason(), Reason::MailFile);
}
