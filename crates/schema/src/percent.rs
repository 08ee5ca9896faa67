//! Percent-encoding (RFC 3986, 2.1), of text in UTF-8.

/// The text with every `%41` decoded. A `%` that no two hexadecimal digits follow stands for itself; what is no UTF-8 then is replaced.
pub fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match escape(after).filter(|_| *byte == b'%') {
            Some(escaped) => {
                out.push(escaped);
                rest = &after[2..];
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn escape(after: &[u8]) -> Option<u8> {
    let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// The text as a part of a URL: all but letters, digits, `-._~` and the bytes of `also` is encoded.
pub fn percent_encoded(text: &str, also: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || (byte.is_ascii() && also.as_bytes().contains(&byte)) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for text in ["", "a-b_c.d~e", "a b/c:d%", "ü€\u{1f600}", "%41", ":.ctx:x"] {
            for also in ["", ":", "/:"] {
                assert_eq!(percent_decoded(&percent_encoded(text, also)), text);
            }
        }
        assert_eq!(percent_encoded("a:/ü", ":"), "a:%2F%C3%BC");
    }

    #[test]
    fn a_percent_sign_alone_stands_for_itself() {
        for (text, wanted) in
            [("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%+1", "%+1"), ("%c3", "\u{fffd}")]
        {
            assert_eq!(percent_decoded(text), wanted);
        }
    }
}
