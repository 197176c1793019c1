//! Text made safe for where it stands in a message.

/// One line without control characters: what a header may hold.
///
/// Every run of white space and control characters becomes a space, so that no line break reaches
/// a header. Marks that turn the direction of writing are dropped: they make `gpj.exe` read
/// `exe.jpg`. Text that looks like an encoded word (`=?utf-8?Q?…?=`, RFC 2047) is pulled apart,
/// because the reader's program would decode it, line breaks and marks included.
pub(super) fn header_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .filter(|c| !turns_direction(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").replace("=?", "= ?")
}

/// The bidirectional formatting characters of Unicode (UAX #9, section 2).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A body whose every line break is CRLF, without other control characters than tabs.
pub(super) fn body(text: &str) -> String {
    let mut body = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                body.push_str("\r\n");
            }
            '\n' => body.push_str("\r\n"),
            c if c.is_control() && c != '\t' => {}
            c => body.push(c),
        }
    }
    body
}

/// The HTML of a plain text: escaped, a paragraph for each block of lines.
pub(super) fn html(text: &str) -> String {
    let text = body(text).replace("\r\n", "\n");
    let mut html = String::from("<!DOCTYPE html>\n<html><body>\n");
    for paragraph in text.split("\n\n").map(str::trim).filter(|p| !p.is_empty()) {
        html.push_str("<p>");
        html.push_str(&escaped(paragraph).replace('\n', "<br>\n"));
        html.push_str("</p>\n");
    }
    html.push_str("</body></html>\n");
    html
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_without_marks_that_turn_it() {
        for (text, line) in [
            ("Overdue: Pay invoice", "Overdue: Pay invoice"),
            ("a\r\nBcc: eve@example.com", "a Bcc: eve@example.com"),
            ("a\rb\nc\0d\u{85}e\u{2028}f\tg", "a b c d e f g"),
            ("\n.\n", "."),
            ("  two   spaces  ", "two spaces"),
            ("invoice\u{202e}gpj.exe\u{2066}\u{200f}", "invoicegpj.exe"),
            ("שלום", "שלום"),
            ("=?utf-8?Q?=0D=0ABcc?=", "= ?utf-8?Q?=0D=0ABcc?="),
            ("=\u{202e}?utf-8?Q?x?=", "= ?utf-8?Q?x?="),
        ] {
            assert_eq!(header_line(text), line, "{text:?}");
        }
    }

    #[test]
    fn a_body_breaks_its_lines_in_one_way() {
        for (text, expected) in [
            ("a\nb", "a\r\nb"),
            ("a\rb", "a\r\nb"),
            ("a\r\nb", "a\r\nb"),
            ("a\n\rb", "a\r\n\r\nb"),
            ("a\r\r\nb", "a\r\n\r\nb"),
            ("\n.\n", "\r\n.\r\n"),
            ("\r.\r", "\r\n.\r\n"),
            ("a\0\x1bb\tc", "ab\tc"),
        ] {
            assert_eq!(body(text), expected, "{text:?}");
        }
    }

    #[test]
    fn html_made_from_text_shows_the_text() {
        let made = html("Hi <b>Ann</b> & \"co\",\nit's due.\r\n\r\n\nBye");
        assert!(made.contains(
            "<p>Hi &lt;b&gt;Ann&lt;/b&gt; &amp; &quot;co&quot;,<br>\nit&#39;s due.</p>\n<p>Bye</p>"
        ), "{made}");
    }
}
