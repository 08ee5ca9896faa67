//! Requests cut from what arrives in pieces of any size.

use super::super::limits::Network;
use super::super::listener::ListenerConfig;
use super::super::session::Session;
use super::*;
use crate::config::Endpoint;
use proptest::prelude::*;
use std::future::poll_fn;

fn session() -> Session {
    let advertised = Endpoint { host: "localhost".into(), port: 9092 };
    Session::new(Arc::new(ListenerConfig::plaintext(advertised)), ([127, 0, 0, 1], 1).into())
}

fn frames(max: usize) -> Frames {
    Frames::new(Arc::new(Network::new(1, 1, 128 << 20)), Limits { request: max, unauthenticated: max })
}

/// What comes out of `sent`, which arrives in these pieces.
async fn cut(sent: Vec<u8>, pieces: Vec<usize>) -> io::Result<Vec<Vec<u8>>> {
    let (mut here, mut there) = tokio::io::duplex(1 << 20);
    let writer = tokio::spawn(async move {
        let mut rest = &sent[..];
        let mut sizes = pieces.into_iter().cycle();
        while !rest.is_empty() {
            let n = sizes.next().unwrap_or(1 << 16).clamp(1, rest.len());
            tokio::io::AsyncWriteExt::write_all(&mut there, &rest[..n]).await.unwrap();
            tokio::task::yield_now().await;
            rest = &rest[n..];
        }
    });
    let (mut frames, session, mut got) = (frames(4 << 20), session(), Vec::new());
    while let Some(frame) = poll_fn(|cx| frames.poll_next(cx, &mut here, &session)).await? {
        got.push(frame.bytes.to_vec());
    }
    assert_eq!(frames.buffer.capacity(), 0, "nothing is held between requests");
    writer.await.unwrap();
    Ok(got)
}

fn framed(requests: &[Vec<u8>]) -> Vec<u8> {
    let each = requests.iter().flat_map(|r| [&(r.len() as i32).to_be_bytes()[..], r].concat());
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_come_out_as_they_went_in(
        sizes in proptest::collection::vec(prop_oneof![0..50usize, 4_000..20_000usize, 1_000_000..2_500_000usize], 0..6),
        pieces in proptest::collection::vec(prop_oneof![1..10usize, 1_000..300_000usize], 1..5),
    ) {
        // Small pieces of large requests take long.
        let small = pieces.iter().all(|p| *p < 1_000);
        let sizes: Vec<usize> = sizes.into_iter().map(|n| if small { n % 5_000 } else { n }).collect();
        let requests: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime.block_on(cut(framed(&requests), pieces)).unwrap();
        prop_assert!(got == requests);
    }
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_request_is_an_error() {
    let whole = framed(&[vec![1; 10_000]]);
    for end in [1, 3, 4, 5, 9_000, whole.len() - 1] {
        let error = cut(whole[..end].to_vec(), vec![1 << 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
    }
}

#[tokio::test]
async fn memory_is_taken_as_bytes_arrive_and_not_as_the_length_claims() {
    let (mut here, mut there) = tokio::io::duplex(1 << 20);
    let (mut frames, session) = (frames(100 << 20), session());
    let claimed = (100i32 << 20).to_be_bytes();
    tokio::io::AsyncWriteExt::write_all(&mut there, &claimed).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut there, &[0; 1000]).await.unwrap();
    let polled = poll_fn(|cx| Poll::Ready(frames.poll_next(cx, &mut here, &session).is_pending())).await;
    assert!(polled);
    assert!(frames.buffer.capacity() <= TRUSTED + SCRATCH, "{}", frames.buffer.capacity());
    assert!(frames.covered <= TRUSTED);
}
