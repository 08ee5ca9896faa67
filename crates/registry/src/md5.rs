//! MD5 (RFC 1321): by it Confluent's registry tells schemas apart, and its schemas' guids are it. No secret depends on it.

/// A digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    /// As a UUID: a schema's `guid`.
    pub(crate) fn guid(self) -> String {
        let hex: String = self.0.iter().map(|b| format!("{b:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// Of a UUID, or of 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
        let mut digest = [0; 16];
        for (byte, digits) in digest.iter_mut().zip(hex.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        (hex.len() == 32).then_some(Self(digest))
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }
}

/// A digest in the making.
#[derive(Debug, Clone)]
pub(crate) struct Md5 {
    state: [u32; 4],
    block: [u8; 64],
    length: u64,
}

/// The digest of these bytes.
pub(crate) fn of(bytes: &[u8]) -> Digest {
    let mut md5 = Md5::new();
    md5.update(bytes);
    md5.finish()
}

/// The integer parts of `2^32 * |sin(i + 1)|`.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

impl Md5 {
    pub(crate) fn new() -> Self {
        Self { state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476], block: [0; 64], length: 0 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let at = (self.length % 64) as usize;
        self.length += bytes.len() as u64;
        if at > 0 {
            let taken = bytes.len().min(64 - at);
            self.block[at..at + taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if at + taken < 64 {
                return;
            }
            compress(&mut self.state, &self.block);
        }
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            compress(&mut self.state, block);
        }
        self.block[..rest.len()].copy_from_slice(rest);
    }

    pub(crate) fn finish(mut self) -> Digest {
        let bits = self.length.wrapping_mul(8);
        let padding = 1 + (119 - (self.length % 64) as usize) % 64;
        let mut end = [0; 72];
        end[0] = 0x80;
        end[padding..padding + 8].copy_from_slice(&bits.to_le_bytes());
        self.update(&end[..padding + 8]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Digest(digest)
    }
}

fn compress(state: &mut [u32; 4], block: &[u8; 64]) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut mixed = *state;
    round::<0>(&mut mixed, &words, |b, c, d| (b & c) | (!b & d));
    round::<1>(&mut mixed, &words, |b, c, d| (d & b) | (!d & c));
    round::<2>(&mut mixed, &words, |b, c, d| b ^ c ^ d);
    round::<3>(&mut mixed, &words, |b, c, d| c ^ (b | !d));
    for (word, add) in state.iter_mut().zip(mixed) {
        *word = word.wrapping_add(add);
    }
}

/// One of the four rounds, of sixteen steps: what depends on the round and the step is known when this is compiled.
#[inline(always)]
fn round<const N: usize>(state: &mut [u32; 4], words: &[u32; 16], mix: impl Fn(u32, u32, u32) -> u32) {
    let [mut a, mut b, mut c, mut d] = *state;
    for i in 0..16 {
        let word = match N {
            0 => i,
            1 => (5 * i + 1) % 16,
            2 => (3 * i + 5) % 16,
            _ => (7 * i) % 16,
        };
        let sum = a.wrapping_add(mix(b, c, d)).wrapping_add(SINES[16 * N + i]).wrapping_add(words[word]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(TURNS[N][i % 4]));
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold_however_the_bytes_come() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            for step in [1, 7, 64, 1000] {
                let mut md5 = Md5::new();
                text.as_bytes().chunks(step).for_each(|part| md5.update(part));
                assert_eq!(Some(md5.finish()), Digest::parse(digest), "{text} by {step}");
            }
        }
        let digest = Digest::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap();
        assert_eq!(digest.guid(), "d41d8cd9-8f00-b204-e980-0998ecf8427e");
        assert_eq!(Digest::parse(&digest.guid()), Some(digest));
        assert_eq!(Digest::parse("d41d8cd9"), None);
    }
}
