//! `produce` without `--json`: a line is a value, or a key, a separator and a value.

/// How a line is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct LineFormat {
    /// Stands between key and value, at its first place in the line.
    pub(crate) key_separator: Option<Vec<u8>>,
    /// A key or value that is exactly this is null.
    pub(crate) null: Option<Vec<u8>>,
}

/// Key and value of a line.
pub(crate) type KeyAndValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

impl LineFormat {
    /// Cuts a line; an error if it should have a separator and has none.
    pub(crate) fn cut<'a>(&self, line: &'a [u8]) -> Result<KeyAndValue<'a>, String> {
        let Some(separator) = &self.key_separator else {
            return Ok((None, self.unless_null(line)));
        };
        let place = line.windows(separator.len()).position(|window| window == separator.as_slice());
        let place = place.ok_or_else(|| {
            format!("no key separator `{}` in it", String::from_utf8_lossy(separator).escape_default())
        })?;
        Ok((self.unless_null(&line[..place]), self.unless_null(&line[place + separator.len()..])))
    }

    fn unless_null<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        (self.null.as_deref() != Some(bytes)).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_counts() {
        let format = LineFormat { key_separator: Some(b"::".to_vec()), null: None };
        assert_eq!(format.cut(b"k::v::w"), Ok((Some(&b"k"[..]), Some(&b"v::w"[..]))));
        assert_eq!(format.cut(b"::"), Ok((Some(&b""[..]), Some(&b""[..]))));
        assert!(format.cut(b"k:v").is_err());
        assert!(format.cut(b"").is_err());
    }

    #[test]
    fn the_marker_is_null_only_as_a_whole() {
        let format = LineFormat { key_separator: Some(b"\t".to_vec()), null: Some(b"NULL".to_vec()) };
        assert_eq!(format.cut(b"NULL\tNULL"), Ok((None, None)));
        assert_eq!(format.cut(b"k\tNULL."), Ok((Some(&b"k"[..]), Some(&b"NULL."[..]))));
        assert_eq!(LineFormat::default().cut(b"NULL"), Ok((None, Some(&b"NULL"[..]))));
    }
}
