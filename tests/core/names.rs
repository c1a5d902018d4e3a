//! Names that look alike are refused, or are the same.

use coursegate::enrollment::Status;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::ErrorKind;
use coursegate::{
    AdminId, ChannelName, CourseId, Email, IdError, LearnerId, PayLinkId, PaymentReference, Title,
};

use crate::support::{World, config};

/// Code points that nobody sees, or that mean nothing to anybody else.
const HIDDEN: &[(u32, u32)] = &[
    (0x00, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x2029),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xe000, 0xf8ff),
    (0xfdd0, 0xfdef),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
    (0xf0000, 0x10ffff),
];

fn is_hidden(c: char) -> bool {
    let c = u32::from(c);
    let listed = |(first, last): &(u32, u32)| (*first..=*last).contains(&c);
    // The last two of each plane are no characters.
    c & 0xfffe == 0xfffe || HIDDEN.iter().any(listed)
}

fn hidden() -> impl Iterator<Item = char> {
    ('\0'..=char::MAX).filter(|c| is_hidden(*c))
}

/// Why each kind of name refuses a text.
fn refusals(text: &str) -> [Option<IdError>; 8] {
    [
        LearnerId::new(text).err(),
        CourseId::new(text).err(),
        PaymentReference::new(text).err(),
        PayLinkId::new(text).err(),
        AdminId::new(text).err(),
        ChannelName::new(text).err(),
        Title::new(text).err(),
        Email::new(format!("{text}@school.example")).err(),
    ]
}

#[test]
fn a_hidden_character_is_refused_wherever_it_stands() {
    for c in hidden() {
        for (text, at) in [
            (format!("ab{c}cd"), 2),
            (format!("{c}abcd"), 0),
            (format!("abcd{c}"), 4),
        ] {
            for refused in refusals(&text) {
                let Some(IdError::BadCharacter { at: found, .. }) = refused else {
                    panic!("U+{:04X} was taken: {refused:?}", u32::from(c));
                };
                assert_eq!(found, at, "U+{:04X}", u32::from(c));
            }
        }
    }
}

#[test]
fn every_other_character_is_taken_in_a_learners_id_but_blanks() {
    for c in ('\0'..=char::MAX).filter(|c| !is_hidden(*c)) {
        let text = format!("ab{c}cd");
        let blank = c.is_whitespace() && c != ' ';
        assert_eq!(
            LearnerId::new(&text).is_err(),
            blank,
            "U+{:04X}",
            u32::from(c)
        );
        assert!(Title::new(&text).is_ok(), "U+{:04X}", u32::from(c));
        assert_eq!(
            AdminId::new(&text).is_ok(),
            c.is_ascii(),
            "U+{:04X}",
            u32::from(c)
        );
    }
}

#[test]
fn titles_hold_emoji_and_the_scripts_that_need_joiners() {
    for title in [
        "Baking \u{2764}\u{fe0f}",
        "Fire \u{2764}\u{fe0f}\u{200d}\u{1f525} safety",
        "For the family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "Teaching \u{1f469}\u{1f3fd}\u{200d}\u{1f3eb}",
        "Step 1\u{fe0f}\u{20e3}",
        // Persian with a non-joiner, Hindi with a joiner.
        "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        "\u{915}\u{94d}\u{200d}\u{937}",
        "Caf\u{e9} au lait",
    ] {
        assert!(Title::new(title).is_ok(), "{title}");
        assert!(AdminId::new(title).is_err());
    }
    // They do nothing there but hide.
    for title in [
        "Ma\u{200d}ths",
        "Maths\u{fe0f}",
        "1\u{fe0f}",
        "\u{2764}\u{200d}",
        "\u{200d}\u{2764}",
        "\u{1f468}\u{200d}\u{200d}\u{1f469}",
        "\u{1f468}\u{200d} and",
        "\u{2764}\u{fe0f}\u{fe0f}",
        "\u{2764}\u{e0067}",
    ] {
        let refused = Title::new(title).unwrap_err();
        assert!(matches!(refused, IdError::BadCharacter { .. }), "{title:?}");
    }
}

/// Pairs that look like one person.
const ALIKE: &[(&str, &str)] = &[
    ("nomsa", "Nomsa"),
    ("nomsa", "NOMSA"),
    ("nomsa dlamini", "Nomsa  Dlamini"),
    ("nomsa", "nomsa "),
    ("nomsa", "n\u{ad}omsa"),
    ("nomsa", "nomsa\u{3164}"),
    ("nomsa", "nomsa\u{fe0f}"),
    ("nomsa", "nomsa\u{e0061}"),
    ("nomsa", "nomsa\u{200d}"),
    ("nomsa", "nomsa\u{2800}"),
    ("nomsa", "noms\u{430}"),
    ("nomsa", "n\u{3bf}msa"),
    ("nomsa", "n\u{585}msa"),
    ("nomsa", "\u{ff4e}omsa"),
    ("nomsa", "\u{1d427}omsa"),
    ("nomsa", "n\u{f8}msa"),
    ("nomsa", "noms\u{e1}"),
    ("nomsa", "nomsa\u{301}"),
    ("nomsa dlamini", "nomsa\u{a0}dlamini"),
    ("nomsa dlamini", "nomsa\u{2007}dlamini"),
    ("kim", "\u{212a}im"),
];

#[test]
fn look_alikes_are_refused_or_the_same_person() {
    for (one, other) in ALIKE {
        let one = AdminId::new(one).unwrap();
        if let Ok(other) = AdminId::new(other) {
            assert!(
                one.is_same_person(&other) && other.is_same_person(&one),
                "{:?}",
                other.as_str()
            );
        }
    }
    let (one, other) = (
        AdminId::new("nomsa").unwrap(),
        AdminId::new("no msa").unwrap(),
    );
    assert!(!one.is_same_person(&other));
    let refused = AdminId::new("noms\u{430}").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the person's id may hold only plain letters, digits, signs and spaces (ASCII), not what is at \
         byte 4; use an account name or number that is written so"
    );
}

#[tokio::test]
async fn nobody_is_the_second_person_by_writing_their_name_another_way() {
    let mut config = config();
    config.rules.dual_approval_above = Some(0);
    let world = World::with(
        coursegate::adapter::simulator::Settings::new(1),
        config,
        |builder| builder,
    );
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let desk = |name: &str| world.registrar.admin(AdminId::new(name).unwrap());
    desk("nomsa dlamini")
        .approvals()
        .approve(id, "")
        .await
        .unwrap();
    for name in ["nomsa dlamini", "Nomsa Dlamini", "NOMSA  dlamini"] {
        let refused = desk(name).approvals().approve(id, "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{name}");
    }
    let approved = desk("sipho").approvals().approve(id, "").await.unwrap();
    assert!(matches!(approved, Status::Approved { .. }));
}
