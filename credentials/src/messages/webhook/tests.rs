//! Webhooks as their services sign them, and what must not pass for one.

use super::*;
use crate::messages::Field;

const NOW: Duration = Duration::from_secs(1_614_265_330);
const TOLERANCE: Duration = Duration::from_secs(300);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn judged(
    profile: Profile,
    fields: &[(&str, &str)],
    secrets: &[&str],
    content: &[u8],
    now: Duration,
) -> Result<Option<usize>, Refused> {
    let fields: Vec<Field<'_>> =
        fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let secrets: Vec<_> =
        secrets.iter().map(|secret| Secret::read(profile, secret.as_bytes()).unwrap()).collect();
    let message = Message::of(&fields).unwrap();
    let Some(presented) = profile.presented(&message, now, TOLERANCE)? else { return Ok(None) };
    presented.made_by(&secrets, content).next().map(Some).ok_or(Refused::Wrong)
}

/// The numbers of the example in GitHub's documentation, "Validating webhook deliveries".
#[test]
fn github_signs_the_content() {
    let secret = "It's a Secret to Everybody";
    let code = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let judge = |code: &str, content: &[u8]| {
        judged(
            Profile::GitHub,
            &[("X-Hub-Signature-256", code)],
            &["another secret, 16+", secret],
            content,
            NOW,
        )
    };
    assert_eq!(judge(code, b"Hello, World!"), Ok(Some(1)));
    assert_eq!(judge(code, b"Hello, World"), Err(Refused::Wrong));
    assert_eq!(judge(&code.replace("757", "758"), b"Hello, World!"), Err(Refused::Wrong));
    for malformed in [
        "",
        "sha256=",
        "757107",
        "sha1=00",
        &code.to_uppercase(),
        &code.replace("sha256=7", "sha256=A"),
        &format!("{code}0"),
    ] {
        assert_eq!(judge(malformed, b"Hello, World!"), Err(Refused::Malformed), "{malformed}");
    }
    assert_eq!(judged(Profile::GitHub, &[("x-hub-signature", "sha1=00")], &[secret], b"", NOW), Ok(None));
}

/// The numbers of the example in the documentation of Svix, whose scheme the standard took over.
#[test]
fn standard_webhooks_sign_id_time_and_content() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let code = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let content = br#"{"test": 2432232314}"#;
    let judge = |id: &str, time: &str, code: &str, now: Duration| {
        let fields = [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", code)];
        judged(Profile::StandardWebhooks, &fields, &[secret], content, now)
    };
    let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
    assert_eq!(judge(id, time, code, NOW), Ok(Some(0)));
    assert_eq!(judge(id, time, &format!("v1a,xx v1,{} {code}", STANDARD.encode([7; 32])), NOW), Ok(Some(0)));
    assert_eq!(judge(id, time, code, NOW + TOLERANCE), Ok(Some(0)));
    assert_eq!(judge(id, time, code, NOW + TOLERANCE + Duration::from_millis(1)), Err(Refused::Late));
    assert_eq!(judge(id, time, code, NOW - TOLERANCE - Duration::from_secs(1)), Err(Refused::Early));
    assert_eq!(judge("msg_2", time, code, NOW), Err(Refused::Wrong));
    assert_eq!(judge(id, "1614265331", code, NOW), Err(Refused::Wrong));
    let many = [code; CODES + 1].join(" ");
    for (id, time, code, why) in [
        ("msg.1", time, code, "a dot in the id"),
        ("", time, code, "no id"),
        (id, "01614265330", code, "a zero in front"),
        (id, "+1614265330", code, "a sign"),
        (id, "1614265330.0", code, "a fraction"),
        (id, time, "v1,AAAA", "a code of another length"),
        (id, time, "v2,AAAA", "no code of this version"),
        (id, time, &many, "too many codes"),
    ] {
        assert_eq!(judge(id, time, code, NOW), Err(Refused::Malformed), "{why}");
    }
    let half = [("webhook-id", id), ("webhook-signature", code)];
    assert_eq!(judged(Profile::StandardWebhooks, &half, &[secret], content, NOW), Err(Refused::Malformed));
    assert_eq!(judged(Profile::StandardWebhooks, &[], &[secret], content, NOW), Ok(None));
}

#[test]
fn stripe_signs_time_and_content_with_the_secret_as_it_is_written() {
    let secret = "whsec_1234567890abcdef";
    let content = br#"{"id": "evt_1"}"#;
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let code = hex(&mac.chain_update(b"1614265330.").chain_update(content).finalize().into_bytes());
    let judge = |field: &str| {
        judged(
            Profile::Stripe,
            &[("stripe-signature", field)],
            &["another secret, 16+", secret],
            content,
            NOW,
        )
    };
    assert_eq!(judge(&format!("t=1614265330,v1={code}")), Ok(Some(1)));
    assert_eq!(judge(&format!("t=1614265330,v1={},v1={code},v0=ff", hex(&[7; 32]))), Ok(Some(1)));
    assert_eq!(judge(&format!("t=1614265331,v1={code}")), Err(Refused::Wrong));
    for (field, why) in [
        (format!("v1={code}"), "no time"),
        ("t=1614265330".to_owned(), "no code"),
        (format!("t=1614265330,t=1614265330,v1={code}"), "two times"),
        (format!("t=1614265330, v1={code},x"), "no pair"),
        (format!("t=1614265330,v1={code}0"), "another length"),
    ] {
        assert_eq!(judge(&field), Err(Refused::Malformed), "{why}");
    }
}

#[test]
fn a_field_that_stands_twice_is_ambiguous() {
    let code = format!("sha256={}", hex(&[1; 32]));
    let twice = [("x-hub-signature-256", code.as_str()), ("x-hub-signature-256", code.as_str())];
    assert_eq!(judged(Profile::GitHub, &twice, &["0123456789abcdef"], b"", NOW), Err(Refused::Ambiguous));
}

#[test]
fn short_secrets_are_none_and_none_is_shown() {
    for profile in [Profile::GitHub, Profile::Stripe] {
        assert!(Secret::read(profile, b"0123456789abcde").is_none());
        assert_eq!(format!("{:?}", Secret::read(profile, b"0123456789abcdef")), "Some(Secret)");
    }
    assert!(Secret::read(Profile::StandardWebhooks, b"whsec_not base64").is_none());
    assert!(Secret::read(Profile::StandardWebhooks, b"whsec_AAAA").is_none());
}

/// Which of two codes is left on a message must not make it another one.
#[test]
fn a_message_is_the_same_whichever_of_its_codes_is_left() {
    let secrets = ["first secret, 16 bytes+", "second secret, 16 bytes"];
    let codes = secrets.map(|secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        hex(&mac.chain_update(b"1614265330.").chain_update(b"x").finalize().into_bytes())
    });
    let secrets = secrets.map(|secret| Secret::read(Profile::Stripe, secret.as_bytes()).unwrap());
    let once = codes.clone().map(|code| {
        let field = format!("t=1614265330,v1={code}");
        let fields: [Field<'_>; 1] = [(b"stripe-signature", field.as_bytes())];
        let presented = Profile::Stripe.presented(&Message::of(&fields).unwrap(), NOW, TOLERANCE);
        let presented = presented.unwrap().unwrap();
        assert_eq!(presented.made_by(&secrets, b"x").count(), 1);
        presented.once(b"x")
    });
    assert_eq!(once[0], once[1]);
    let both = format!("t=1614265330,v1={},v1={}", codes[1], codes[0]);
    let fields: [Field<'_>; 1] = [(b"stripe-signature", both.as_bytes())];
    let presented = Profile::Stripe.presented(&Message::of(&fields).unwrap(), NOW, TOLERANCE);
    assert_eq!(presented.unwrap().unwrap().made_by(&secrets, b"x").collect::<Vec<_>>(), [0, 1]);
}
