use coursegate::webhook::{Delivery, KeyRing, SignedForm, Signer, Verifier};
use coursegate::{AppId, Secret};
use serde::Deserialize;

use crate::support::start;

#[derive(Deserialize)]
struct Ikhokha {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    path: String,
    body: String,
    hex: String,
}

fn ikhokha() -> Vec<Vector> {
    serde_json::from_str::<Ikhokha>(include_str!("../data/ikhokha.json"))
        .unwrap()
        .vectors
}

fn named(prefix: &str) -> Vector {
    ikhokha()
        .into_iter()
        .find(|vector| vector.name.starts_with(prefix))
        .unwrap()
}

#[test]
fn the_providers_own_steps_give_these_signatures() {
    let vectors = ikhokha();
    assert_eq!(vectors.len(), 14);
    for vector in vectors {
        let secret = Secret::new(vector.secret).unwrap();
        let signature = Signer::new(&secret)
            .sign(&vector.path, vector.body.as_bytes())
            .to_hex();
        assert_eq!(signature, vector.hex, "{}", vector.name);
    }
}

fn form_of(received: &Vector, hex: &str) -> Option<SignedForm> {
    let keys = KeyRing::new("test", Secret::new(received.secret.clone()).unwrap());
    let verifier = Verifier::new(AppId::new("IKTESTAPP").unwrap(), &keys, &received.path).unwrap();
    let headers = [("ik-appid", "IKTESTAPP"), ("ik-sign", hex)];
    let delivery = Delivery::new(received.path.clone(), headers, received.body.as_bytes());
    verifier
        .verify(&delivery, start())
        .ok()
        .map(|verified| verified.form())
}

#[test]
fn the_canonical_form_is_found_where_it_was_signed() {
    let (php, canonical) = (named("V10 "), named("V11 "));
    assert_eq!(form_of(&php, &php.hex), Some(SignedForm::Raw));
    assert_eq!(form_of(&php, &canonical.hex), Some(SignedForm::Canonical));
    assert_eq!(form_of(&canonical, &php.hex), None);

    let (with_text, without) = (named("V13a"), named("V13b"));
    assert_eq!(form_of(&with_text, &with_text.hex), Some(SignedForm::Raw));
    assert_eq!(
        form_of(&with_text, &without.hex),
        Some(SignedForm::Canonical)
    );
    assert_eq!(form_of(&without, &with_text.hex), None);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wycheproof {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    tag_size: usize,
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    tc_id: u32,
    key: String,
    msg: String,
    tag: String,
    result: String,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn wycheproof_hmac_sha256() {
    let suite: Wycheproof =
        serde_json::from_str(include_str!("../data/wycheproof_hmac_sha256.json")).unwrap();
    let mut run = 0;
    for group in &suite.test_groups {
        for case in &group.tests {
            let full = Signer::hmac_sha256(&bytes(&case.key), &bytes(&case.msg));
            let same = full[..group.tag_size / 8] == bytes(&case.tag);
            assert_eq!(same, case.result == "valid", "test {}", case.tc_id);
            run += 1;
        }
    }
    assert_eq!(run, suite.number_of_tests);
}

/// RFC 4231, section 4: test cases 1 to 7 (5 is truncated to 128 bits there).
#[test]
fn rfc_4231() {
    let long_key = [0xaa; 131];
    let cases: [(&[u8], &[u8], &str); 7] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            &bytes("0102030405060708090a0b0c0d0e0f10111213141516171819"),
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            &long_key,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &long_key,
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (number, (key, message, expected)) in (1..).zip(cases) {
        let expected = bytes(expected);
        assert_eq!(
            Signer::hmac_sha256(key, message)[..expected.len()],
            expected,
            "test case {number}"
        );
    }
}
