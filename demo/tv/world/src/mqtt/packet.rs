//! The packets of MQTT 3.1.1 that a publisher sends and gets (OASIS standard, chapter 3).

use anyhow::{Result, bail};

/// A packet from the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// Connected, or refused with a code.
    ConnAck {
        /// Whether the broker had a session of this client.
        session: bool,
        /// 0: accepted.
        code: u8,
    },
    /// A publish at QoS 2 has arrived.
    PubRec(u16),
    /// A publish at QoS 2 is complete.
    PubComp(u16),
    /// Subscribed.
    SubAck {
        /// The granted QoS; 128: refused.
        granted: u8,
    },
    /// An answer to a ping.
    PingResp,
    /// A packet that a publisher has no use for.
    Other(u8),
}

/// DISCONNECT.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];
/// PINGREQ.
pub(super) const PINGREQ: [u8; 2] = [0xc0, 0];
/// Packets from the broker are small; a larger one is a broken stream (bytes).
const MOST: usize = 1 << 20;

/// The first packet in `bytes` and its length; `None` while it is not there as a whole.
///
/// # Errors
/// The bytes are no MQTT.
pub fn decode(bytes: &[u8]) -> Result<Option<(Packet, usize)>> {
    let mut length = 0;
    let mut at = 1;
    loop {
        let Some(&byte) = bytes.get(at) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            bail!("the broker sent something that is no MQTT: a length of more than four bytes");
        }
    }
    if length > MOST {
        bail!("the broker sent a packet of {length} bytes, which is not expected here");
    }
    let Some(body) = bytes.get(at..at + length) else { return Ok(None) };
    let id = || match body {
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        _ => bail!("the broker sent a packet without its id"),
    };
    let packet = match (bytes[0] >> 4, body) {
        (2, [flags, code]) => Packet::ConnAck { session: flags & 1 == 1, code: *code },
        (5, _) => Packet::PubRec(id()?),
        (7, _) => Packet::PubComp(id()?),
        (9, [_, _, granted]) => Packet::SubAck { granted: *granted },
        (13, _) => Packet::PingResp,
        (kind, _) => Packet::Other(kind),
    };
    Ok(Some((packet, at + length)))
}

/// CONNECT.
pub(super) fn connect(client: &str, clean: bool, keep_alive_seconds: u16) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend([4, if clean { 2 } else { 0 }]);
    body.extend(keep_alive_seconds.to_be_bytes());
    text(&mut body, client);
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter.
pub(super) fn subscribe(id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    text(&mut body, filter);
    body.push(qos);
    packet(0x82, &body)
}

/// Appends PUBLISH at QoS 2.
pub(super) fn publish(out: &mut Vec<u8>, id: u16, again: bool, topic: &str, payload: &[u8]) {
    out.push(if again { 0x3c } else { 0x34 });
    length(out, 2 + topic.len() + 2 + payload.len());
    text(out, topic);
    out.extend(id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends PUBREL.
pub(super) fn release(out: &mut Vec<u8>, id: u16) {
    out.extend([0x62, 2]);
    out.extend(id.to_be_bytes());
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![head];
    length(&mut out, body.len());
    out.extend_from_slice(body);
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    // Topics and client ids are ours, and short.
    out.extend((text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_standard() {
        assert_eq!(connect("a", false, 30), b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x1e\x00\x01a");
        assert_eq!(subscribe(1, "t/+", 2), b"\x82\x08\x00\x01\x00\x03t/+\x02");
        let mut out = Vec::new();
        publish(&mut out, 258, false, "t", b"xy");
        assert_eq!(out, b"\x34\x07\x00\x01t\x01\x02xy");
        out.clear();
        publish(&mut out, 1, true, "t", &[0; 200]);
        assert_eq!(&out[..3], b"\x3c\xcd\x01");
        assert_eq!(
            decode(b"\x20\x02\x01\x00rest").unwrap(),
            Some((Packet::ConnAck { session: true, code: 0 }, 4))
        );
        assert_eq!(decode(b"\x50\x02\x01\x02").unwrap(), Some((Packet::PubRec(258), 4)));
    }

    #[test]
    fn a_part_of_a_packet_waits_and_garbage_is_an_error() {
        for cut in 0..4 {
            assert_eq!(decode(&b"\x70\x02\x00\x07"[..cut]).unwrap(), None);
        }
        assert!(decode(b"\xff\xff\xff\xff\xff\xff").is_err());
        assert!(decode(b"\x50\xff\xff\xff\x7f").is_err());
        assert!(decode(b"\x50\x01\x00").is_err());
    }
}
