//! The links by which people answer from their mail.
//!
//! A link carries a token that follows from the question, the answer and the installation's secret
//! key: nothing that could be stolen is stored. The texts of a mail have marks where its links go,
//! which are filled in when it is sent, so that they stand in no queue, table or log.

use crate::Vault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use smarttasks_model::{ApprovalId, Timestamp};
use std::fmt;

/// Where the link to say yes goes.
pub(super) const YES: &str = "[the link for yes]";
/// Where the link to say no goes.
pub(super) const NO: &str = "[the link for no]";

/// Makes and verifies links.
#[derive(Clone)]
pub struct Links {
    key: [u8; 32],
    public_url: String,
}

impl Links {
    /// Links to the pages below `public_url`, signed with a key that follows from the vault's.
    pub fn new(vault: &Vault, public_url: &str) -> Self {
        Self {
            key: vault.derive_key("approval links"),
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// `text` with the links of a question in it.
    pub fn fill(&self, text: &str, id: ApprovalId, expires_at: Timestamp) -> String {
        text.replace(YES, &self.url(id, expires_at, true))
            .replace(NO, &self.url(id, expires_at, false))
    }

    /// The same for HTML.
    pub fn fill_html(&self, html: &str, id: ApprovalId, expires_at: Timestamp) -> String {
        let url = |approved| self.url(id, expires_at, approved).replace('&', "&amp;");
        html.replace(YES, &url(true)).replace(NO, &url(false))
    }

    /// The link by which `id` is answered.
    pub fn url(&self, id: ApprovalId, expires_at: Timestamp, approved: bool) -> String {
        let answer = if approved { "yes" } else { "no" };
        let token = self.mac(id, expires_at, approved).finalize().into_bytes();
        let token = URL_SAFE_NO_PAD.encode(token);
        format!(
            "{}/approvals/{id}?answer={answer}&token={token}",
            self.public_url
        )
    }

    /// Whether `token` is of the link by which `id` is answered so; takes the same time for every
    /// wrong one.
    pub(super) fn verify(
        &self,
        id: ApprovalId,
        expires_at: Timestamp,
        approved: bool,
        token: &str,
    ) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|token| {
            self.mac(id, expires_at, approved)
                .verify_slice(&token)
                .is_ok()
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length: RFC 2104, section 2"
    )]
    fn mac(&self, id: ApprovalId, expires_at: Timestamp, approved: bool) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        mac.update(id.as_bytes());
        mac.update(&expires_at.unix_millis().to_be_bytes());
        mac.update(&[u8::from(approved)]);
        mac
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links").field(&self.public_url).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_millis(1_772_442_000_000);

    fn links(key: u8) -> Links {
        Links::new(&Vault::new([key; 32]), "https://tasks.example.com/")
    }

    fn token(url: &str) -> &str {
        url.split_once("&token=").unwrap().1
    }

    #[test]
    fn a_link_answers_its_own_question_in_its_own_way_only() {
        let (links, id) = (links(1), ApprovalId::derived(AT, &[b"a"]));
        let yes = links.url(id, AT, true);
        let start = format!("https://tasks.example.com/approvals/{id}?answer=yes&token=");
        assert!(yes.starts_with(&start), "{yes}");
        let yes = token(&yes).to_owned();
        assert_eq!(yes.len(), 43);
        assert!(links.verify(id, AT, true, &yes));

        let other = ApprovalId::derived(AT, &[b"b"]);
        let later = Timestamp::from_unix_millis(AT.unix_millis() + 1);
        assert!(!links.verify(id, AT, false, &yes));
        assert!(!links.verify(other, AT, true, &yes));
        assert!(!links.verify(id, later, true, &yes));
        assert!(!self::links(2).verify(id, AT, true, &yes));
        for wrong in [
            "",
            "AAAA",
            "%",
            &yes[..42],
            &format!("{yes}A"),
            &yes.to_lowercase(),
        ] {
            assert!(!links.verify(id, AT, true, wrong), "{wrong}");
        }
        assert!(!format!("{links:?}").contains('['));
    }

    #[test]
    fn the_links_go_where_their_marks_are() {
        let (links, id) = (links(1), ApprovalId::derived(AT, &[b"a"]));
        let filled = links.fill(&format!("{YES} or {NO}, {YES}"), id, AT);
        let (yes, no) = (links.url(id, AT, true), links.url(id, AT, false));
        assert_eq!(filled, format!("{yes} or {no}, {yes}"));
        let html = links.fill_html(NO, id, AT);
        assert_eq!(html, no.replace("&token", "&amp;token"));
    }
}
