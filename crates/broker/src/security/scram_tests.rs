use super::*;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

fn credential(mechanism: ScramMechanism, password: &str, salt: &[u8]) -> ScramCredential {
    ScramCredential::from_password(mechanism, password, salt.to_vec(), ITERATIONS)
}

/// Runs an exchange with given nonces and messages: the server's two messages, or why it fails.
fn exchange(
    mechanism: ScramMechanism,
    credential: ScramCredential,
    first: &str,
    server_nonce: &str,
    last: &str,
) -> Result<(String, String), ScramError> {
    let first = ClientFirst::parse(first.as_bytes())?;
    let (exchange, answer) = ScramExchange::new(mechanism, first, credential, server_nonce);
    let done = exchange.finish(last.as_bytes())?;
    Ok((String::from_utf8(answer).unwrap(), String::from_utf8(done).unwrap()))
}

#[test]
fn the_example_of_rfc_7677_succeeds() {
    let salt = base64::decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let messages = exchange(
        ScramMechanism::Sha256,
        credential(ScramMechanism::Sha256, "pencil", &salt),
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    let expected = (
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned(),
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned(),
    );
    assert_eq!(messages, Ok(expected));
}

const SALT: &[u8] = b"0123456789abcdef";
const FIRST: &str = "n,,n=us=2Cer=3D,r=fyko+d2lbbFgONRv9qkxdawL";
const SERVER_NONCE: &str = "3rfcNHYJY1ZVvWVs7j";
const NONCES: &str = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
/// Computed with Python's hashlib and hmac.
const PROOF_512: &str =
    "IbYdec/n6JtVvZvpNeUNsObVE5er/2DXoVG5CDgkHTM8yVWnEiOcrkhG1+isQgfwloGQRUc76+nHMJk92AHJrA==";
const SIGNATURE_512: &str =
    "JPKDEjq8NeBKeqn/pdub/HMBE6PVtewRSnJil3OxHCLFdh9e04cfxjOq2vwkupQR/3gbIY+4TtOcZa17UmqgTw==";

fn sha_512(first: &str, last: &str) -> Result<(String, String), ScramError> {
    let credential = credential(ScramMechanism::Sha512, "pencil", SALT);
    exchange(ScramMechanism::Sha512, credential, first, SERVER_NONCE, last)
}

#[test]
fn an_exchange_by_sha_512_and_an_escaped_name_succeeds() {
    let (first, last) = sha_512(FIRST, &format!("c=biws,r={NONCES},p={PROOF_512}")).unwrap();
    assert_eq!(first, format!("r={NONCES},s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"));
    assert_eq!(last, format!("v={SIGNATURE_512}"));
    assert_eq!(ClientFirst::parse(FIRST.as_bytes()).unwrap().user, "us,er=");
}

#[test]
fn a_nonce_that_ends_with_that_of_the_exchange_is_taken_as_kafka_does() {
    let proof = "mtq1xFdbiHeVdW04OChRIpqOg7OgnAscXdrR2qYKWj3rpVkatqfY4E/r6zC7YPSsRu2hU0NuIjkLvkigN82D+A==";
    let last = format!("c=biws,r=fyko+d2lbbFgONRv9qkxdawL{NONCES},p={proof}");
    assert!(sha_512(FIRST, &last).is_ok());
}

#[test]
fn a_wrong_proof_nonce_or_header_fails() {
    let other = PROOF_512.replacen('I', "J", 1);
    let short = base64::encode(&[7; 32]);
    for (last, error) in [
        (format!("c=biws,r={NONCES},p={other}"), ScramError::Proof),
        (format!("c=biws,r={NONCES},p={short}"), ScramError::Proof),
        (format!("c=biws,r={NONCES},p="), ScramError::Proof),
        (format!("c=biws,r={NONCES}x,p={PROOF_512}"), ScramError::Nonce),
        (format!("c=biws,r=fyko+d2lbbFgONRv9qkxdawL,p={PROOF_512}"), ScramError::Nonce),
        (format!("c=eSws,r={NONCES},p={PROOF_512}"), ScramError::ClientFinal),
        (format!("c=biws,r={NONCES},p=%%%"), ScramError::ClientFinal),
        (format!("r={NONCES},p={PROOF_512}"), ScramError::ClientFinal),
        ("p=".into(), ScramError::ClientFinal),
        (String::new(), ScramError::ClientFinal),
        // An extension that was not there when the proof was made.
        (format!("c=biws,r={NONCES},x=y,p={PROOF_512}"), ScramError::Proof),
    ] {
        assert_eq!(sha_512(FIRST, &last), Err(error), "{last}");
    }
}

#[test]
fn first_messages_are_read_strictly() {
    for (message, expected) in [
        ("n,,n=user,r=abc", Ok("user")),
        ("y,,n=user,r=abc", Ok("user")),
        ("n,a=user,n=user,r=abc", Ok("user")),
        ("n,,n=user,r=abc,tokenauth=true", Ok("user")),
        ("n,a=root,n=user,r=abc", Err(ScramError::AuthorizationId)),
        ("p=tls-unique,,n=user,r=abc", Err(ScramError::ChannelBinding)),
        ("n,,m=x,n=user,r=abc", Err(ScramError::ClientFirst)),
        ("n,,n=,r=abc", Err(ScramError::ClientFirst)),
        ("n,,n=u=2Dser,r=abc", Err(ScramError::ClientFirst)),
        ("n,,n=u=,r=abc", Err(ScramError::ClientFirst)),
        ("n,,n=user,r=", Err(ScramError::ClientFirst)),
        ("n,,n=user,r=a b", Err(ScramError::ClientFirst)),
        ("n,,n=user", Err(ScramError::ClientFirst)),
        ("n,,n=user,r=abc,1=2", Err(ScramError::ClientFirst)),
        ("n,n=user,r=abc", Err(ScramError::ClientFirst)),
        ("", Err(ScramError::ClientFirst)),
    ] {
        let user = ClientFirst::parse(message.as_bytes()).map(|m| m.user);
        assert_eq!(user, expected.map(str::to_owned), "{message}");
    }
    assert_eq!(ClientFirst::parse(&[0xff, 0xfe]), Err(ScramError::ClientFirst));
}

#[test]
fn a_password_is_checked_against_a_credential() {
    for mechanism in ScramMechanism::ALL {
        let credential = credential(mechanism, "pencil", SALT);
        assert!(credential.is_password(mechanism, "pencil"));
        assert!(!credential.is_password(mechanism, "pencils"));
        assert!(!credential.is_password(mechanism, ""));
        assert!(!format!("{credential:?}").contains("key"), "secrets are not shown");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        let _ = ClientFirst::parse(&bytes);
        let first = ClientFirst::parse(FIRST.as_bytes()).unwrap();
        let keys = vec![1; 32];
        let credential = ScramCredential {
            salt: SALT.to_vec(), stored_key: keys.clone(), server_key: keys, iterations: ITERATIONS,
        };
        let (exchange, _) = ScramExchange::new(ScramMechanism::Sha256, first, credential, SERVER_NONCE);
        proptest::prop_assert!(exchange.finish(&bytes).is_err());
    }
}
