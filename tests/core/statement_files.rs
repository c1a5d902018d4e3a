//! The files of South African banks, made up in the layouts that are public: each is guessed and
//! read, and each of its lines is in one count.

use chrono::NaiveDate;
use coursegate::statement::{
    Amounts, BadReason, Mapping, MappingError, ParsedStatement, Preset, StatementDay, detect,
    parse_csv,
};
use proptest::prelude::*;

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, 1, 15).unwrap()
}

fn read(file: &str, mapping: &Mapping) -> ParsedStatement {
    let statement = parse_csv(file.as_bytes(), mapping, today()).unwrap();
    counted(&statement, file);
    statement
}

fn with(mapping: &Mapping, change: impl FnOnce(&mut Mapping)) -> Mapping {
    let mut mapping = mapping.clone();
    change(&mut mapping);
    mapping
}

/// Each line is in one count.
fn counted(statement: &ParsedStatement, shown: &str) {
    let counts = statement.rows.len()
        + statement.outgoing
        + statement.pending
        + statement.skipped
        + statement.bad.len();
    assert_eq!(statement.lines, counts, "{shown}");
}

/// A bank's file, and what it holds.
struct File {
    bytes: &'static [u8],
    preset: Preset,
    /// The day, cents and the reference of what arrived.
    arrived: &'static [(&'static str, i64, &'static str)],
    /// Outgoing, pending, skipped, bad.
    counts: (usize, usize, usize, usize),
}

macro_rules! bank {
    ($name:literal, $preset:ident, $arrived:expr, $counts:expr $(,)?) => {
        File {
            bytes: include_bytes!(concat!("../data/statements/", $name, ".csv")),
            preset: Preset::$preset,
            arrived: $arrived,
            counts: $counts,
        }
    };
}

const FILES: [File; 16] = [
    bank!(
        "fnb_history",
        FnbHistory,
        &[("2026-11-03", 49_900, "CG-0MWF2SBY7KW3")],
        (1, 0, 3, 0)
    ),
    bank!(
        "fnb_short",
        FnbShort,
        &[("2026-11-03", 49_900, "CG-0MWF2SBY7KW3")],
        (1, 0, 6, 0)
    ),
    bank!(
        "fnb_effective_date",
        FnbEffectiveDate,
        &[("2026-11-03", 49_900, "CG-0MWF2SBY7KW3")],
        (1, 0, 6, 0)
    ),
    bank!(
        "fnb_enterprise",
        FnbEnterprise,
        &[
            ("2026-11-04", 49_900, "CG-K21JB5FHVMFQ"),
            ("2026-12-29", 25_000, "CG-K21JB5FHVMFR"),
        ],
        (1, 0, 0, 0)
    ),
    bank!(
        "fnb_email",
        FnbEmail,
        &[("2025-12-29", 49_900, "Cg-Qhm1Mwsx7W9E")],
        (1, 0, 8, 0)
    ),
    bank!(
        "standard_bank_old",
        StandardBankOld,
        &[("2026-11-03", 49_900, "CG-TWCW3CKZ477S")],
        (1, 0, 4, 0)
    ),
    bank!(
        "standard_bank_new",
        StandardBankNew,
        &[("2026-11-03", 49_900, "CG-BMWCXJ11B4M7")],
        (1, 0, 16, 0)
    ),
    bank!(
        "absa",
        Absa,
        &[("2026-11-03", 49_900, "CG-GQHTT4FFPTWY")],
        (1, 0, 2, 0)
    ),
    bank!(
        "nedbank",
        Nedbank,
        &[("2026-11-03", 49_900, "CG-337AEYHM60VF")],
        (1, 0, 7, 0)
    ),
    bank!(
        "capitec",
        CapitecPersonal,
        &[("2026-11-03", 49_900, "CG-FC3M3210YZ62")],
        (1, 1, 2, 0)
    ),
    bank!(
        "capitec_business",
        CapitecBusiness,
        &[("2026-11-03", 49_900, "CG-2KCHPQN62CXR")],
        (1, 0, 5, 0)
    ),
    bank!(
        "investec",
        Investec,
        &[("2026-11-03", 49_900, "CG-ADMTRTYZTXM0")],
        (1, 0, 2, 0)
    ),
    bank!(
        "tymebank",
        TymeBank,
        &[("2026-11-03", 149_900, "CG-WRMWDM1MX179")],
        (1, 0, 1, 0)
    ),
    bank!(
        "bank_zero",
        BankZero,
        &[("2026-11-03", 49_900, "CG-7Q71P3SWATAR")],
        (1, 0, 1, 0)
    ),
    bank!(
        "discovery",
        Discovery,
        &[("2026-11-03", 49_900, "CG-GPBF8ZGM3SFZ")],
        (1, 1, 2, 0)
    ),
    bank!(
        "fnb_excel",
        FnbHistory,
        &[("2026-11-03", 49_900, "CG-GYJ5S390KYQN")],
        (1, 0, 3, 1)
    ),
];

#[test]
fn each_banks_file_is_guessed_and_read() {
    let mut presets = std::collections::HashSet::new();
    for file in &FILES {
        let guesses = detect(file.bytes, today()).unwrap();
        let guess = guesses.first().unwrap();
        assert_eq!(guess.preset, file.preset, "{guesses:?}");
        presets.insert(file.preset);
        let statement = parse_csv(file.bytes, &guess.mapping, today()).unwrap();
        counted(&statement, file.preset.name());
        let rows: Vec<_> = statement
            .rows
            .iter()
            .map(|row| {
                let said = format!("{} {}", row.reference.as_str(), row.description.as_str());
                (row.date.to_string(), row.amount.minor(), said)
            })
            .collect();
        assert_eq!(rows.len(), file.arrived.len(), "{:?}", file.preset);
        for ((date, cents, said), (day, sum, reference)) in rows.iter().zip(file.arrived) {
            assert_eq!((date.as_str(), *cents), (*day, *sum), "{:?}", file.preset);
            assert!(said.contains(reference), "{:?}", file.preset);
        }
        let ParsedStatement {
            outgoing,
            pending,
            skipped,
            ..
        } = statement;
        let counts = (outgoing, pending, skipped, statement.bad.len());
        assert_eq!(counts, file.counts, "{:?}", file.preset);
    }
    assert_eq!(presets.len(), Preset::ALL.len(), "a preset without a file");
}

/// A file that one bank wrote is not read as another's by chance: what is guessed first is alone with
/// its reading, or agrees with the others.
#[test]
fn a_file_of_no_bank_is_not_guessed() {
    for file in [
        "",
        "\n\n",
        "a,b,c\n1,2,3\n",
        "Date,Amount,Reference\nx,y,z\n",
        "hello",
    ] {
        assert_eq!(detect(file.as_bytes(), today()).unwrap(), [], "{file}");
    }
}

#[test]
fn files_of_other_kinds_are_named() {
    for (file, kind) in [
        (&b"%PDF-1.7\n"[..], "a PDF"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "an Excel workbook"),
        (b"OFXHEADER:100\nDATA:OFXSGML\n", "an OFX file"),
        (
            b"<?xml version=\"1.0\"?>\n<?OFX OFXHEADER=\"200\"?>",
            "an OFX file",
        ),
        (b"{1:F01BANKZAJJ0000000000}{2:I940", "an MT940 file"),
        (b":20:STATEMENT\n:25:10000001\n", "an MT940 file"),
        (b"<html><body>Please log in</body>", "a web page"),
    ] {
        let error = parse_csv(file, &Mapping::default(), today()).unwrap_err();
        assert_eq!(error, MappingError::OtherKind(kind));
        assert_eq!(detect(file, today()).unwrap_err(), error);
        assert!(error.to_string().contains("CSV"));
    }
}

fn directed() -> Mapping {
    Mapping::with(
        "Date",
        Amounts::Directed {
            amount: "Amount".into(),
            direction: "Type".into(),
            incoming: vec!["CREDIT".to_owned(), "C".to_owned()],
            outgoing: vec!["DEBIT".to_owned(), "D".to_owned()],
        },
    )
}

#[test]
fn money_that_left_never_counts_as_arrived() {
    let signed = Mapping::new("Date", "Amount");
    let split = Mapping::split("Date", "In", "Out");
    // Cents that arrived, or 0 for outgoing; or what is wrong.
    type Right = Result<i64, BadReason>;
    let both = Err(BadReason::BothDirections);
    let directed = directed();
    let cases: [(&Mapping, &str, &str, Right); 19] = [
        (&signed, "Date,Amount", "499.00Cr", Ok(49_900)),
        (&signed, "Date,Amount", "499.00 DR", Ok(0)),
        (&signed, "Date,Amount", "-499.00 Dr", Ok(0)),
        (&signed, "Date,Amount", "-499.00 Cr", Err(BadReason::NoSum)),
        (&signed, "Date,Amount", "+499.00 Dr", Err(BadReason::NoSum)),
        (&signed, "Date,Amount", "(499.00)", Ok(0)),
        (&split, "Date,In,Out", "499.00,", Ok(49_900)),
        (&split, "Date,In,Out", "499.00,-", Ok(49_900)),
        (&split, "Date,In,Out", ",499.00", Ok(0)),
        (&split, "Date,In,Out", "0.00,-499.00", Ok(0)),
        (&split, "Date,In,Out", "499.00,499.00", both),
        (&split, "Date,In,Out", "-499.00,", both),
        (&split, "Date,In,Out", "499.00,abc1", Err(BadReason::NoSum)),
        (&directed, "Date,Amount,Type", "499.00,credit", Ok(49_900)),
        (&directed, "Date,Amount,Type", "499.00,D", Ok(0)),
        (&directed, "Date,Amount,Type", "-499.00,D", Ok(0)),
        (&directed, "Date,Amount,Type", "-499.00,C", both),
        (
            &directed,
            "Date,Amount,Type",
            "499.00,",
            Err(BadReason::NoDirection),
        ),
        (
            &directed,
            "Date,Amount,Type",
            "499.00,reversal",
            Err(BadReason::NoDirection),
        ),
    ];
    for (mapping, header, row, right) in cases {
        let statement = read(&format!("{header}\n2026-11-03,{row}\n"), mapping);
        let arrived = statement.rows.first().map(|row| row.amount.minor());
        let bad = statement.bad.first().map(|bad| bad.reason);
        let found = match (arrived, statement.outgoing, bad) {
            (Some(cents), 0, None) => Ok(cents),
            (None, 1, None) => Ok(0),
            (None, 0, Some(reason)) => Err(reason),
            other => panic!("{row}: {other:?}"),
        };
        assert_eq!(found, right, "{header} {row}");
    }
}

#[test]
fn a_direction_that_the_mapping_does_not_name_refuses_the_file() {
    let mapping = Mapping::new("Date", "Amount");
    for (file, column) in [
        (
            "Date,Amount,Debit / Credit\n2026-11-03,1.00,x\n",
            "Debit / Credit",
        ),
        ("Date,Amount,D/C\n2026-11-03,1.00,x\n", "D/C"),
        ("Date,Amount,Money Out\n2026-11-03,1.00,\n", "Money Out"),
        (
            "Date,Amount,Kind\n2026-11-03,1.00,CR\n2026-11-03,1.00,dr\n",
            "Kind",
        ),
        ("Date,Amount,\n2026-11-03,1.00,D\n", "3"),
    ] {
        let error = parse_csv(file.as_bytes(), &mapping, today()).unwrap_err();
        assert_eq!(error, MappingError::Direction(column.to_owned()));
        let mut ignoring = mapping.clone();
        ignoring.ignored = match column.parse() {
            Ok(number) => vec![coursegate::statement::Column::Number(number)],
            Err(_) => vec![column.into()],
        };
        assert!(parse_csv(file.as_bytes(), &ignoring, today()).is_ok());
    }
    // Without a header too.
    let numbers = Mapping::new(1, 2);
    let error = parse_csv(b"2026-11-03,1.00,CREDIT\n", &numbers, today()).unwrap_err();
    assert_eq!(error, MappingError::Direction("3".to_owned()));
    // Any other words are none.
    read(
        "Date,Amount,Kind\n2026-11-03,1.00,CR\n2026-11-03,1.00,fee\n",
        &mapping,
    );
}

/// A layout that is chosen by hand takes no balances for sums, whichever file it is put on.
#[test]
fn balances_are_no_sums() {
    for name in [
        "Balance",
        "Running balance (R)",
        "SALDO",
        "Available Balance",
    ] {
        let text = format!("Date,Amount,{name},Description\n2026/02/01,-20.00,1499.00,fee\n");
        for mapping in [
            Mapping::new(1, 3).days_like("%Y/%m/%d"),
            Mapping::new("Date", name).days_like("%Y/%m/%d"),
            Mapping::split(1, 2, 3).days_like("%Y/%m/%d"),
        ] {
            let error = parse_csv(text.as_bytes(), &mapping, today()).unwrap_err();
            assert_eq!(error, MappingError::Balance(name.to_owned()));
        }
    }
}

#[test]
fn days_are_not_guessed() {
    let day = |mapping: &Mapping, written: &str| {
        let statement = read(&format!("Date,Amount\n{written},1.00\n"), mapping);
        match statement.bad.first() {
            Some(bad) => Err(bad.reason),
            None => Ok(statement.rows[0].date.to_string()),
        }
    };
    let base = Mapping::new("Date", "Amount");
    let two = base.clone().days_like("%d/%m/%y");
    assert_eq!(day(&two, "03/11/26"), Err(BadReason::TwoDigitYear));
    let stated = with(&two, |mapping| mapping.century = Some(1990));
    assert_eq!(day(&stated, "03/11/26"), Ok("2026-11-03".to_owned()));
    assert_eq!(day(&stated, "03/11/91"), Err(BadReason::FarDay));
    let windows = (0..100).map(|two| 1990 + (two - 1990_i32).rem_euclid(100));
    for (two, year) in windows.enumerate() {
        let found = day(&stated, &format!("01/01/{two:02}"));
        let right = match year {
            2000..=2027 => Ok(format!("{year}-01-01")),
            2028 => Ok("2028-01-01".to_owned()),
            _ => Err(BadReason::FarDay),
        };
        assert_eq!(found, right, "{two}");
    }
    for (written, right) in [
        ("1999-12-31", Err(BadReason::FarDay)),
        ("2000-01-01", Ok("2000-01-01")),
        ("2028-01-15", Ok("2028-01-15")),
        ("2028-01-16", Err(BadReason::FarDay)),
        ("2026-02-30", Err(BadReason::NoDay)),
        ("2026-11-03 8:20", Ok("2026-11-03")),
        ("2026-11-03T00:00:00", Ok("2026-11-03")),
        ("2026-11-03x", Err(BadReason::NoDay)),
        ("03/11/2026", Err(BadReason::NoDay)),
        ("0026-11-03", Err(BadReason::FarDay)),
        ("2\u{e9}026", Err(BadReason::NoDay)),
        ("", Err(BadReason::NoDay)),
    ] {
        assert_eq!(day(&base, written), right.map(str::to_owned), "{written}");
    }
    let words = base.clone().days_like("%d %b %Y");
    for (number, names) in [
        "Jan January Januarie JAN",
        "Feb February Februarie",
        "Mar March Mrt Maart",
        "Apr April",
        "May Mei",
        "Jun June Junie",
        "Jul July Julie",
        "Aug August Augustus",
        "Sep Sept September",
        "Oct October Okt Oktober",
        "Nov November",
        "Dec December Des Desember",
    ]
    .iter()
    .enumerate()
    {
        for name in names.split(' ') {
            let right = format!("2026-{:02}-03", number + 1);
            assert_eq!(day(&words, &format!("03 {name} 2026")), Ok(right), "{name}");
        }
    }
    assert_eq!(day(&words, "03 Foo 2026"), Err(BadReason::NoDay));
    // Without a year.
    let bare = base.clone().days_like("%d %b");
    assert_eq!(day(&bare, "29 Des"), Err(BadReason::NoYear));
    let on = NaiveDate::from_ymd_opt(2026, 1, 11).unwrap();
    let given = with(&bare, |mapping| {
        mapping.statement_day = Some(StatementDay::On(on));
    });
    assert_eq!(day(&given, "29 Des"), Ok("2025-12-29".to_owned()));
    assert_eq!(day(&given, "02 Jan"), Ok("2026-01-02".to_owned()));
    assert_eq!(day(&given, "29 Feb"), Err(BadReason::NoDay));
    let odd = base.days_like("%Q");
    let error = parse_csv(b"Date,Amount\n", &odd, today()).unwrap_err();
    assert_eq!(error, MappingError::NoDateFormat("%Q".to_owned()));
}

#[test]
fn a_stray_quote_swallows_its_own_line_only() {
    let mapping = Mapping::new("Date", "Amount").description("Text");
    let file = "Date,Text,Amount\n2026-11-03,\"TUCK SHOP,1.00\n2026-11-03,12\" PIPE,2.00\n\
        2026-11-03,\"a \"\"b\"\", c\",3.00\n\"2026-11-03\",'d',4.00\r\n";
    let statement = read(file, &mapping);
    let sums: Vec<_> = statement
        .rows
        .iter()
        .map(|row| row.amount.minor())
        .collect();
    assert_eq!(sums, [200, 300, 400]);
    let bad: Vec<_> = statement
        .bad
        .iter()
        .map(|bad| (bad.line, bad.reason))
        .collect();
    assert_eq!(bad, [(2, BadReason::OpenQuote)]);
    assert_eq!(statement.rows[1].description.as_str(), "a \"b\", c");
    assert_eq!(statement.rows[2].description.as_str(), "d");
    let mut single = mapping.clone();
    single.quote = '\'';
    assert_eq!(
        read("Date,Text,Amount\n2026-11-03,'a, b',3.00\n", &single)
            .rows
            .len(),
        1
    );
    for (delimiter, quote) in [('x', '"'), (',', ','), (',', '\u{e9}'), ('\n', '"')] {
        let odd = with(&mapping, |mapping| {
            (mapping.delimiter, mapping.quote) = (delimiter, quote);
        });
        let error = parse_csv(file.as_bytes(), &odd, today()).unwrap_err();
        assert!(matches!(error, MappingError::NoDelimiter(_)));
    }
}

#[test]
fn a_row_that_looks_like_a_total_and_is_money_is_read() {
    let mapping = Preset::CapitecBusiness.mapping();
    let file = "Account,Date,Description,Reference,Amount,Fees,Balance\n\
        1,03/11/2026,Inward EFT Credit,Total: thanks,499.00,,1\nTotal:,,,,499.00,,1\n";
    let statement = read(file, &mapping);
    assert_eq!((statement.rows.len(), statement.skipped), (1, 2));
    // Without the words it is a sum without a day, and told.
    let plain = with(&mapping, |mapping| mapping.not_rows.clear());
    assert_eq!(read(file, &plain).bad.len(), 1);
}

#[test]
fn a_mapping_is_kept_as_json() {
    for preset in Preset::ALL {
        let mapping = preset.mapping();
        let json = serde_json::to_string(&mapping).unwrap();
        assert_eq!(serde_json::from_str::<Mapping>(&json).unwrap(), mapping);
    }
}

/// How many files are mutated: some hundreds, or as many as this variable says.
fn rounds() -> u32 {
    let said = std::env::var("COURSEGATE_STATEMENT_ROUNDS");
    said.map_or(500, |said| said.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(), ..ProptestConfig::default() })]

    /// Whatever happens to a file on its way, nothing panics, and each line is counted.
    #[test]
    fn mutated_files_are_counted_line_by_line(
        (chosen, changes) in (
            0..FILES.len(),
            proptest::collection::vec((any::<u16>(), any::<u8>(), 0..5_u8), 1..8),
        )
    ) {
        let file = &FILES[chosen];
        let mut bytes = file.bytes.to_vec();
        const ODD: &[u8] = b"\"'\r\n,;\t|-.()#\xa0\xff\x00R9 ";
        for (place, byte, how) in changes {
            let at = usize::from(place) % bytes.len().max(1);
            match how {
                0 => bytes.insert(at, ODD[usize::from(byte) % ODD.len()]),
                1 => bytes.insert(at, byte),
                2 if at < bytes.len() => { bytes.remove(at); }
                3 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        let guessed = detect(&bytes, today());
        let mappings = guessed.into_iter().flatten().map(|guess| guess.mapping);
        for mapping in mappings.take(3).chain([file.preset.mapping()]) {
            if let Ok(statement) = parse_csv(&bytes, &mapping, today()) {
                counted(&statement, "mutated");
                let lines: std::collections::HashSet<_> =
                    statement.bad.iter().map(|bad| bad.line).collect();
                prop_assert_eq!(lines.len(), statement.bad.len(), "a line is bad twice");
            }
        }
    }
}
