//! The syntax of `server.properties`: Java's properties files, as text.
//!
//! Comments begin with `#` or `!`; key and value are separated by `=`, `:` or blanks; a backslash at the end of a line
//! joins the next one; `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes, and any other escaped letter is itself.

/// Key and value of every entry, in the order of the file.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let mut entry = line.trim_start().to_owned();
        if entry.is_empty() || entry.starts_with(['#', '!']) {
            continue;
        }
        while is_continued(&entry) {
            entry.pop();
            let Some((_, next)) = lines.next() else { break };
            entry.push_str(next.trim_start());
        }
        let (key, value) = split(&entry);
        let unescaped = |text| unescape(text).map_err(|why| format!("line {}: {why}", number + 1));
        pairs.push((unescaped(key)?, unescaped(value)?));
    }
    Ok(pairs)
}

/// An odd number of backslashes at the end: the last one is not itself escaped.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split(entry: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = entry.find(|letter: char| {
        let found = !escaped && (letter == '=' || letter == ':' || letter.is_whitespace());
        escaped = letter == '\\' && !escaped;
        found
    });
    let Some(end) = end else { return (entry, "") };
    let value = entry[end..].trim_start();
    (&entry[..end], value.strip_prefix(['=', ':']).unwrap_or(value).trim())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        plain.push_str(&rest[..place]);
        rest = &rest[place + 1..];
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else { break };
        rest = letters.as_str();
        plain.push(match letter {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'u' => {
                let digits =
                    rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let found =
                    code.and_then(char::from_u32).ok_or("`\\u` needs four hexadecimal digits of a letter")?;
                rest = &rest[4..];
                found
            }
            other => other,
        });
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_usual_file() {
        let text = "# comment\r\n! another\n\nnode.id=1\n  log.dirs = /a,\\\n     /b  \nlisteners:PLAINTEXT://:9092\nempty=\nalone\n";
        assert_eq!(
            pairs(text),
            [
                pair("node.id", "1"),
                pair("log.dirs", "/a,/b"),
                pair("listeners", "PLAINTEXT://:9092"),
                pair("empty", ""),
                pair("alone", "")
            ]
        );
    }

    #[test]
    fn escapes() {
        assert_eq!(pairs(r"a\=b = c\\d\u00fc\t."), [pair("a=b", "c\\dü\t.")]);
        assert_eq!(pairs("a=b\\\\\nc=d"), [pair("a", "b\\"), pair("c", "d")]);
        assert_eq!(pairs("a=b\\"), [pair("a", "b")]);
        for bad in [r"a=\u12", r"a=\ud800", r"a=\u+123"] {
            assert!(parse(bad).unwrap_err().starts_with("line 1: "), "{bad}");
        }
    }
}
