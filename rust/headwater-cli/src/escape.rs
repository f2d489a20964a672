//! Backslash escapes in separators and formats: `\n`, `\t`, `\r`, `\0`, `\\`, `\xHH`.

/// Bytes of an argument, its escapes already read. To clap a bare vector would be an argument that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unescaped(pub(crate) Vec<u8>);

/// Reads an argument that may be empty.
pub(crate) fn argument(text: &str) -> Result<Unescaped, String> {
    unescape(text).map(Unescaped)
}

/// Reads the escapes of `text`.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..place]);
        let (byte, length) = escape(&rest[place + 1..])?;
        bytes.push(byte);
        rest = &rest[place + 1 + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The byte that an escape stands for, and how much of the text behind the backslash belongs to it.
fn escape(after: &str) -> Result<(u8, usize), String> {
    let byte = match after.bytes().next() {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'0') => 0,
        Some(b'\\') => b'\\',
        Some(b'x') => {
            let digits =
                after.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return byte.map(|byte| (byte, 3)).ok_or_else(|| "`\\x` needs two hexadecimal digits".to_owned());
        }
        _ => return Err("a backslash begins `\\n`, `\\t`, `\\r`, `\\0`, `\\\\` or `\\xHH`".to_owned()),
    };
    Ok((byte, 1))
}

/// Reads a separator: escapes, and at least one byte.
pub(crate) fn separator(text: &str) -> Result<Unescaped, String> {
    let bytes = unescape(text)?;
    if bytes.is_empty() { Err("a separator cannot be empty".to_owned()) } else { Ok(Unescaped(bytes)) }
}

/// Reads a separator of exactly one byte.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match unescape(text)?[..] {
        [byte] => Ok(byte),
        _ => Err("expected one byte".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\tb\n\0\\\x7fü").as_deref(), Ok("a\tb\n\0\\\u{7f}ü".as_bytes()));
        for bad in [r"\", r"\q", r"\x", r"\x1", r"\xzz", r"\x+1", r"\xü"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
        assert_eq!(delimiter(r"\0"), Ok(0));
        assert!(delimiter("ab").is_err());
        assert!(separator("").is_err());
    }
}
