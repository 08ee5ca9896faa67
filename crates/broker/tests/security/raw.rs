//! Requests byte by byte, also before a connection is authenticated.

use super::served::{PATIENCE, Served, s};
use bd_client::messages::*;
use bd_client::protocol::{Decodable, Encodable, HeaderVersion};
use bytes::{Buf, Bytes, BytesMut};
use std::io::{Read, Write};
use std::net::TcpStream;

pub struct Raw(pub TcpStream);

impl Raw {
    pub fn open(served: &Served) -> Self {
        let socket = TcpStream::connect(served.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(bytes);
        self.0.write_all(&frame).unwrap();
    }

    /// The next frame; `None` where the broker has closed.
    pub fn receive(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(e) => panic!("{e}"),
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).unwrap();
        Some(frame.into())
    }

    pub fn ask<R: bd_client::protocol::Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        let header_version = R::header_version(version);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(s("raw")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, header_version).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send(&frame);
        let mut answer = self.receive()?;
        assert_eq!(answer.get_i32(), 7);
        if R::Response::header_version(version) >= 1 {
            answer.advance(1);
        }
        Some(R::Response::decode(&mut answer, version).unwrap())
    }

    pub fn handshake(&mut self, mechanism: &str) -> SaslHandshakeResponse {
        self.ask(1, &SaslHandshakeRequest::default().with_mechanism(s(mechanism))).unwrap()
    }

    pub fn token(&mut self, token: &[u8]) -> SaslAuthenticateResponse {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(token));
        self.ask(2, &request).unwrap()
    }

    pub fn metadata(&mut self) -> Option<MetadataResponse> {
        self.ask(12, &MetadataRequest::default().with_topics(Some(vec![])))
    }
}
