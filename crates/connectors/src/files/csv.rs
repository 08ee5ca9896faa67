//! Records of CSV (RFC 4180): fields between delimiters, quoted ones may hold delimiters, line breaks and doubled quotes.

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CsvField {
    pub(super) text: Vec<u8>,
    pub(super) quoted: bool,
}

/// What a line did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fed {
    /// It ends a record.
    Record(Vec<CsvField>),
    /// A quoted field goes on in the next line.
    Open,
    /// It is no record.
    Bad(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a field.
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of a pair.
    Quote,
}

/// Reads records line by line.
#[derive(Debug)]
pub(super) struct Parser {
    delimiter: u8,
    quote: u8,
    state: State,
    fields: Vec<CsvField>,
    text: Vec<u8>,
}

impl Parser {
    pub(super) fn new(delimiter: u8, quote: u8) -> Self {
        Self { delimiter, quote, state: State::Start, fields: Vec::new(), text: Vec::new() }
    }

    /// Forgets an open record.
    pub(super) fn reset(&mut self) {
        self.state = State::Start;
        self.fields.clear();
        self.text.clear();
    }

    /// Reads a line without its `\n`; a `\r` before it belongs to the break.
    pub(super) fn feed(&mut self, line: &[u8]) -> Fed {
        let last = line.len().wrapping_sub(1);
        for (at, byte) in line.iter().copied().enumerate() {
            let is_break = byte == b'\r' && at == last;
            self.state = match self.state {
                State::Quoted if byte == self.quote => State::Quote,
                State::Quoted => self.push(byte, State::Quoted),
                _ if is_break => self.state,
                State::Start if byte == self.quote => State::Quoted,
                State::Quote if byte == self.quote => self.push(byte, State::Quoted),
                State::Start | State::Plain | State::Quote if byte == self.delimiter => self.end_field(),
                State::Start | State::Plain => self.push(byte, State::Plain),
                State::Quote => {
                    self.reset();
                    return Fed::Bad("there is text after the closing quote of a field");
                }
            };
        }
        if self.state == State::Quoted {
            self.text.push(b'\n');
            return Fed::Open;
        }
        self.end_field();
        Fed::Record(std::mem::take(&mut self.fields))
    }

    fn push(&mut self, byte: u8, state: State) -> State {
        self.text.push(byte);
        state
    }

    fn end_field(&mut self) -> State {
        let quoted = self.state == State::Quote;
        self.fields.push(CsvField { text: std::mem::take(&mut self.text), quoted });
        self.state = State::Start;
        State::Start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut parser = Parser::new(b',', b'"');
        text.split('\n')
            .map(|line| match parser.feed(line.as_bytes()) {
                Fed::Record(fields) => {
                    let shown = fields.iter().map(|f| {
                        let text = String::from_utf8_lossy(&f.text).into_owned();
                        if f.quoted { format!("'{text}'") } else { text }
                    });
                    shown.collect::<Vec<_>>().join("|")
                }
                Fed::Open => "open".to_owned(),
                Fed::Bad(reason) => reason.to_owned(),
            })
            .collect()
    }

    #[test]
    fn records_are_read_as_rfc_4180_says() {
        let after = "there is text after the closing quote of a field";
        for (text, wanted) in [
            ("a,b,c", vec!["a|b|c"]),
            ("a,,\r", vec!["a||"]),
            ("", vec![""]),
            ("\"a,\"\"b\"\"\",\"\",x", vec!["'a,\"b\"'|''|x"]),
            ("\"two\nlines\",z\nnext", vec!["open", "'two\nlines'|z", "next"]),
            ("\"crlf\r\nkept\"\r", vec!["open", "'crlf\r\nkept'"]),
            ("5\" pipe,x", vec!["5\" pipe|x"]),
            ("\"a\"b,c\nd", vec![after, "d"]),
            (" \"a\",b", vec![" \"a\"|b"]),
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
    }
}
