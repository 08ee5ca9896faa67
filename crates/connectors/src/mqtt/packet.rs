//! MQTT 3.1.1 packets as a subscriber needs them: what it writes, and a decoder of what a broker sends.
//!
//! Source: MQTT 3.1.1, OASIS standard, chapters 2 and 3.
//!
//! ```text
//!  byte 0        bytes 1..=4            rest
//! +------+-----+------------------+---------------------------+
//! | type |flags| remaining length | variable header, payload  |
//! +------+-----+------------------+---------------------------+
//! ```

/// What a session is opened with.
#[derive(Debug)]
pub(super) struct Connect<'a> {
    /// The client identifier.
    pub(super) client_id: &'a str,
    /// Start without, and leave no session.
    pub(super) clean_session: bool,
    /// Seconds between two packets at most.
    pub(super) keep_alive: u16,
    /// Who we are, where the broker asks.
    pub(super) username: Option<&'a str>,
    /// The password; not without a username (MQTT-3.1.2-22).
    pub(super) password: Option<&'a str>,
}

/// An acknowledgement of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ack {
    /// PUBACK: a message of QoS 1 is ours.
    Taken,
    /// PUBREC: a message of QoS 2 is ours.
    Received,
    /// PUBCOMP: the id of a message of QoS 2 is forgotten.
    Complete,
}

/// A message from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    /// The topic it was published to.
    pub(super) topic: &'a str,
    /// 0, 1 or 2.
    pub(super) qos: u8,
    /// It was kept by the broker and existed before the subscription.
    pub(super) retain: bool,
    /// It may have been sent before.
    pub(super) dup: bool,
    /// The packet identifier; 0 at QoS 0.
    pub(super) id: u16,
    /// The payload, or its start where `cut`.
    pub(super) payload: &'a [u8],
    /// The whole payload's length where it was longer than what is kept of a packet.
    pub(super) cut: Option<usize>,
}

/// A packet from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The answer to CONNECT.
    ConnAck {
        /// The broker has a session of ours.
        session_present: bool,
        /// 0: accepted; 1..=5: refused.
        code: u8,
    },
    /// A message.
    Publish(Publish<'a>),
    /// The sender has dropped the message of that id.
    PubRel(u16),
    /// The answer to SUBSCRIBE: the granted QoS or 0x80 of each filter.
    SubAck(u16, &'a [u8]),
    /// The answer to UNSUBSCRIBE.
    UnsubAck(u16),
    /// The answer to PINGREQ.
    PingResp,
}

/// Bytes that are no MQTT packet, or one that a broker must not send.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

fn malformed<T>(reason: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(reason.into()))
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Longer ones do not come here: the configuration is checked.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

fn put_packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    let mut length = body.len();
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
}

/// Writes CONNECT.
pub(super) fn put_connect(out: &mut Vec<u8>, connect: &Connect<'_>) {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4];
    let mut flags = u8::from(connect.clean_session) << 1;
    let password = connect.username.and(connect.password);
    flags |= u8::from(connect.username.is_some()) << 7 | u8::from(password.is_some()) << 6;
    body.push(flags);
    body.extend_from_slice(&connect.keep_alive.to_be_bytes());
    put_text(&mut body, connect.client_id);
    for text in [connect.username, password].into_iter().flatten() {
        put_text(&mut body, text);
    }
    put_packet(out, 0x10, &body);
}

/// Writes SUBSCRIBE for these filters at one QoS.
pub(super) fn put_subscribe(out: &mut Vec<u8>, id: u16, filters: &[&str], qos: u8) {
    let mut body = id.to_be_bytes().to_vec();
    for filter in filters {
        put_text(&mut body, filter);
        body.push(qos);
    }
    put_packet(out, 0x82, &body);
}

/// Writes UNSUBSCRIBE for these filters.
pub(super) fn put_unsubscribe(out: &mut Vec<u8>, id: u16, filters: &[&str]) {
    let mut body = id.to_be_bytes().to_vec();
    for filter in filters {
        put_text(&mut body, filter);
    }
    put_packet(out, 0xA2, &body);
}

/// Writes an acknowledgement.
pub(super) fn put_ack(out: &mut Vec<u8>, ack: Ack, id: u16) {
    let first = match ack {
        Ack::Taken => 0x40,
        Ack::Received => 0x50,
        Ack::Complete => 0x70,
    };
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// PINGREQ.
pub(super) const PINGREQ: [u8; 2] = [0xC0, 0];
/// DISCONNECT.
pub(super) const DISCONNECT: [u8; 2] = [0xE0, 0];

/// The fixed header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Type and flags.
    pub(super) first: u8,
    /// The header's own bytes.
    pub(super) header: usize,
    /// The bytes after it.
    pub(super) remaining: usize,
}

/// Reads the fixed header; `None`: more bytes are needed.
///
/// # Errors
/// A remaining length of more than four bytes.
pub(super) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut remaining = 0usize;
    for (at, byte) in rest.iter().take(4).enumerate() {
        remaining |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some(Head { first, header: at + 2, remaining }));
        }
    }
    if rest.len() >= 4 {
        malformed("the remaining length of a packet has more than four bytes")
    } else {
        Ok(None)
    }
}

fn id_of(body: &[u8]) -> Result<u16, Malformed> {
    match body {
        [0, 0, ..] => malformed("a packet has the identifier 0"),
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        _ => malformed("a packet ends before its identifier"),
    }
}

/// Reads a packet. `body` is what follows its fixed header, cut where the packet is longer than what is kept of one.
///
/// # Errors
/// Bytes that are no packet of MQTT 3.1.1, or one that only clients send.
pub(super) fn decode(head: Head, body: &[u8]) -> Result<Packet<'_>, Malformed> {
    let kind = head.first >> 4;
    if kind != 3 && body.len() < head.remaining {
        return malformed(format!("a packet of type {kind} has {} bytes", head.remaining));
    }
    match (kind, body) {
        (2, [flags, code]) => Ok(Packet::ConnAck { session_present: flags & 1 == 1, code: *code }),
        (3, _) => decode_publish(head, body).map(Packet::Publish),
        (6, [_, _]) => id_of(body).map(Packet::PubRel),
        (9, [_, _, codes @ ..]) => Ok(Packet::SubAck(id_of(body)?, codes)),
        (11, [_, _]) => id_of(body).map(Packet::UnsubAck),
        (13, []) => Ok(Packet::PingResp),
        _ => malformed(format!("a packet of type {kind} with {} bytes is not expected here", head.remaining)),
    }
}

fn decode_publish(head: Head, body: &[u8]) -> Result<Publish<'_>, Malformed> {
    let qos = head.first >> 1 & 3;
    if qos == 3 {
        return malformed("a message has QoS 3");
    }
    let [high, low, rest @ ..] = body else { return malformed("a message ends before its topic") };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let Some((topic, rest)) = rest.split_at_checked(length) else {
        return malformed("a message ends in its topic");
    };
    let Ok(topic) = std::str::from_utf8(topic) else {
        return malformed("the topic of a message is no UTF-8");
    };
    let (id, payload) = match (qos, rest) {
        (0, payload) => (0, payload),
        (_, [_, _, payload @ ..]) => (id_of(rest)?, payload),
        _ => return malformed("a message ends before its identifier"),
    };
    let missing = head.remaining - body.len();
    Ok(Publish {
        topic,
        qos,
        retain: head.first & 1 == 1,
        dup: head.first & 8 == 8,
        id,
        payload,
        cut: (missing > 0).then(|| payload.len() + missing),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
        let head = head(bytes)?.ok_or_else(|| Malformed("short".into()))?;
        decode(head, &bytes[head.header..])
    }

    #[test]
    fn connect_carries_session_and_credentials() {
        let mut out = Vec::new();
        let connect = Connect {
            client_id: "c",
            clean_session: false,
            keep_alive: 60,
            username: Some("u"),
            password: Some("p"),
        };
        put_connect(&mut out, &connect);
        assert_eq!(out, b"\x10\x13\0\x04MQTT\x04\xC0\0\x3C\0\x01c\0\x01u\0\x01p");
    }

    #[test]
    fn a_password_does_not_go_without_a_username() {
        let mut out = Vec::new();
        let connect = Connect {
            client_id: "c",
            clean_session: true,
            keep_alive: 1,
            username: None,
            password: Some("p"),
        };
        put_connect(&mut out, &connect);
        assert_eq!(out, b"\x10\x0D\0\x04MQTT\x04\x02\0\x01\0\x01c");
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        for (length, bytes) in
            [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (16_384, vec![0x80, 0x80, 1])]
        {
            let mut out = Vec::new();
            put_packet(&mut out, 0x30, &vec![7; length]);
            assert_eq!(out[1..=bytes.len()], bytes);
            let head = head(&out).unwrap().unwrap();
            assert_eq!((head.header, head.remaining), (1 + bytes.len(), length));
        }
        assert_eq!(head(&[0x30]), Ok(None));
        assert_eq!(head(&[0x30, 0x80]), Ok(None));
        assert!(head(&[0x30, 0x80, 0x80, 0x80, 0x80]).is_err());
    }

    #[test]
    fn messages_are_read_with_all_their_flags() {
        let bytes = b"\x3D\x08\0\x03a/b\0\x07x";
        let expected =
            Publish { topic: "a/b", qos: 2, retain: true, dup: true, id: 7, payload: b"x", cut: None };
        assert_eq!(whole(bytes), Ok(Packet::Publish(expected)));
        let expected =
            Publish { topic: "a", qos: 0, retain: false, dup: false, id: 0, payload: b"", cut: None };
        assert_eq!(whole(b"\x30\x03\0\x01a"), Ok(Packet::Publish(expected)));
    }

    #[test]
    fn a_cut_message_knows_its_length() {
        let head = Head { first: 0x30, header: 2, remaining: 103 };
        let Packet::Publish(publish) = decode(head, b"\0\x01axyz").unwrap() else { panic!("a message") };
        assert_eq!((publish.payload, publish.cut), (&b"xyz"[..], Some(100)));
    }

    #[test]
    fn other_packets_are_read_and_broken_ones_refused() {
        assert_eq!(whole(b"\x20\x02\x01\0"), Ok(Packet::ConnAck { session_present: true, code: 0 }));
        assert_eq!(whole(b"\x62\x02\x01\x02"), Ok(Packet::PubRel(258)));
        assert_eq!(whole(b"\x90\x04\0\x01\x02\x80"), Ok(Packet::SubAck(1, &[2, 0x80])));
        assert_eq!(whole(b"\xB0\x02\0\x01"), Ok(Packet::UnsubAck(1)));
        assert_eq!(whole(b"\xD0\0"), Ok(Packet::PingResp));
        for broken in [
            &b"\x20\x01\0"[..],
            b"\x62\x02\0\0",
            b"\x36\x05\0\x01a\0\x01",
            b"\x32\x03\0\x01a",
            b"\x30\x01\0",
            b"\x30\x03\0\x05a",
            b"\x30\x03\0\x01\xFF",
            b"\x10\0",
            b"\xF0\0",
        ] {
            assert!(whole(broken).is_err(), "{broken:?}");
        }
    }
}
