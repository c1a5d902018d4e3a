//! Lines of statements, and what is read of them.

use chrono::NaiveDate;
use coursegate::statement::{BadReason, Mapping, MappingError, parse_csv};
use proptest::prelude::*;

fn mapping() -> Mapping {
    Mapping::new("Date", "Amount")
        .reference("Reference")
        .description("Description")
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, day).unwrap()
}

#[test]
fn good_rows_are_kept_and_bad_ones_named_by_line() {
    let file = "\u{feff}Date,Description,Amount,Balance,Reference\r\n\
        2026-02-01,EFT CREDIT,499.00,1000.00,CG-7K3M9QXDT4WZ\r\n\
        2026-02-01,\"Rent, February\",-5000.00,900.00,\r\n\
        2026-02-30,EFT,1.00,1.00,x\r\n\
        \r\n\
        2026-02-02,EFT,R 1 499.5,1.00,two\r\n\
        2026-02-02,EFT,1.005,1.00,three\r\n\
        2026-02-02,EFT\r\n\
        2026-02-03,\"a \"\"quoted\"\"\nline\",\"2,499.00\",1.00,four\r\n\
        2026-02-03,EFT,0.00,1.00,five\r\n";
    let statement = parse_csv(file.as_bytes(), &mapping(), day(28)).unwrap();
    let sums: Vec<_> = statement
        .rows
        .iter()
        .map(|row| row.amount.minor())
        .collect();
    assert_eq!(sums, [49_900, 149_950]);
    // The header, the blank line, and the rows without a sum.
    assert_eq!((statement.outgoing, statement.skipped), (1, 4));
    let bad: Vec<_> = statement
        .bad
        .iter()
        .map(|bad| (bad.line, bad.reason))
        .collect();
    assert_eq!(
        bad,
        [
            (4, BadReason::NoDay),
            (7, BadReason::NoSum),
            // A line is a row: what goes on in the next one is told, and nobody has to guess.
            (9, BadReason::OpenQuote),
            (10, BadReason::NoDay),
        ]
    );
    assert_eq!(statement.lines, 11);
    assert_eq!(statement.rows[0].reference.as_str(), "CG-7K3M9QXDT4WZ");
    assert_eq!(statement.rows[1].date, day(2));
}

#[test]
fn other_banks_write_otherwise() {
    let file = "Account 1\nprinted today\nDatum;Betrag;Text\n01/02/2026;1.499,00;CG-1\n02/02/2026;- 12,5;fee\n";
    let mut mapping = Mapping::new("datum", "BETRAG").reference("Text");
    mapping.date_format = "%d/%m/%Y".to_owned();
    mapping.decimal = ',';
    mapping.delimiter = ';';
    let statement = parse_csv(file.as_bytes(), &mapping, day(28)).unwrap();
    assert_eq!(statement.rows[0].amount.minor(), 149_900);
    assert_eq!(
        (
            statement.rows.len(),
            statement.outgoing,
            statement.bad.len()
        ),
        (1, 1, 0)
    );

    let mut cents = Mapping::new("Date", "Amount");
    cents.in_cents = true;
    let file =
        b"Date,Amount\n2026-02-01,49900\n2026-02-01,499.00\n2026-02-01,99999999999999999999\n";
    let statement = parse_csv(file, &cents, day(28)).unwrap();
    assert_eq!(statement.rows[0].amount.minor(), 49_900);
    let lines: Vec<_> = statement.bad.iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [3, 4]);
}

/// One sum, as a column of a bank has it.
fn sum(written: &str, decimal: char) -> Result<Sum, MappingError> {
    let mut mapping = Mapping::new("Date", "Amount");
    mapping.delimiter = ';';
    mapping.decimal = decimal;
    let quoted = written.replace('"', "\"\"");
    let file = format!("Date;Amount\n2026-02-01;\"{quoted}\"\n");
    let statement = parse_csv(file.as_bytes(), &mapping, day(28))?;
    let read = statement.rows.first().map(|row| row.amount.minor());
    Ok(match (read, statement.outgoing, statement.bad.len()) {
        (Some(cents), 0, 0) => Sum::In(cents),
        (None, 1, 0) => Sum::Out,
        // The header is skipped too.
        (None, 0, 0) if statement.skipped == 2 => Sum::Nothing,
        _ => Sum::Bad,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sum {
    In(i64),
    Out,
    Nothing,
    Bad,
}

#[test]
fn sums_are_read_as_banks_write_them_and_nothing_is_guessed() {
    for written in [
        "499.00",
        "499",
        "499.0",
        "+499.00",
        "R499.00",
        "R 499.00",
        "ZAR 499.00",
        "ZAR499",
        "\u{a0}R\u{a0}499.00\u{202f}",
        "+R499.00",
        "R +499.00",
    ] {
        assert_eq!(sum(written, '.'), Ok(Sum::In(49_900)), "{written}");
    }
    for written in [
        "-499.00",
        "\u{2212}499.00",
        "499.00-",
        "499.00 -",
        "499.00\u{2212}",
        "(499.00)",
        "( 499.00 )",
        "R-499.00",
        "R -499.00",
        "-R499.00",
        "- R 499.00",
        "(R499.00)",
        "R(499.00)",
        "R 499.00-",
    ] {
        assert_eq!(sum(written, '.'), Ok(Sum::Out), "{written}");
    }
    // A row without a sum is no money, whichever way.
    for written in ["0.00", "-0.00", "0", "R 0.00", "", "-", "\u{2013}"] {
        assert_eq!(sum(written, '.'), Ok(Sum::Nothing), "{written}");
    }
    for space in [" ", "\u{a0}", "\u{202f}", "\u{2009}", "'"] {
        let written = format!("R 1{space}234{space}567.89");
        assert_eq!(sum(&written, '.'), Ok(Sum::In(123_456_789)), "{written}");
        let written = format!("1{space}234{space}567,89");
        assert_eq!(sum(&written, ','), Ok(Sum::In(123_456_789)), "{written}");
    }
    assert_eq!(sum("1,234,567.89", '.'), Ok(Sum::In(123_456_789)));
    assert_eq!(sum("1.234.567,89", ','), Ok(Sum::In(123_456_789)));
    for written in [
        "R",
        "()",
        ".",
        ".50",
        "1.",
        "1.234",
        "12,34,567.00",
        "1,2345.00",
        "1234,567.00",
        ",123",
        "1,,234",
        "1 234,567.00",
        "1, 234.00",
        "--1.00",
        "-1.00-",
        "-(1.00)",
        "(1.00",
        "1.00)",
        "+-1.00",
        "RR1.00",
        "R-R1.00",
        "1.00 R",
        "1e3",
        "0x10",
        "\u{661}\u{662}",
        "NaN",
        "1.2.3",
        "-499.00Cr",
        "499.00C",
        "99999999999999999999.00",
    ] {
        assert_eq!(sum(written, '.'), Ok(Sum::Bad), "{written}");
    }
}

/// R 4.99 must never become R 499.00.
#[test]
fn a_column_with_the_other_decimal_mark_refuses_the_file() {
    for (written, decimal, mark) in [
        ("4,99", '.', ','),
        ("499,00", '.', ','),
        ("R 1.499,00", '.', ','),
        ("(1 499,00)", '.', ','),
        ("4.99", ',', '.'),
        ("-1,499.00", ',', '.'),
    ] {
        let error = sum(written, decimal).unwrap_err();
        let said = format!(
            "the sums in column `Amount` end like `{mark}00` (line 2): set `Mapping::decimal` to `{mark}`"
        );
        assert_eq!(error.to_string(), said, "{written}");
        assert!(sum(written, mark).is_ok());
    }
    // A spreadsheet may leave both in one column: none is guessed, and nothing else is held up.
    let mixed = b"Date,Amount\n2026-02-01,499.00\n2026-02-01,\"4,99\"\n2026-02-01,5\n";
    let statement = parse_csv(mixed, &Mapping::new("Date", "Amount"), day(28)).unwrap();
    let sums: Vec<i64> = statement
        .rows
        .iter()
        .map(|row| row.amount.minor())
        .collect();
    assert_eq!((sums, statement.bad[0].line), (vec![49_900, 500], 3));
    // Whole sums and thousands say nothing about the mark.
    assert_eq!(sum("1,499", '.'), Ok(Sum::In(149_900)));
    assert_eq!(sum("1.499", ','), Ok(Sum::In(149_900)));
    assert_eq!(sum("1", ' '), Err(MappingError::NoDecimal(' ')));
    // Sums in cents have none.
    let mut cents = Mapping::new("Date", "Amount");
    (cents.in_cents, cents.delimiter) = (true, ';');
    let file = b"Date;Amount\n2026-02-01;499,00\n2026-02-01;49,900\n";
    let statement = parse_csv(file, &cents, day(28)).unwrap();
    assert_eq!(statement.bad.len(), 1);
    assert_eq!(statement.rows[0].amount.minor(), 49_900);
}

proptest! {
    /// What is written is what is read.
    #[test]
    fn a_written_sum_is_read_again(
        cents in 1_i64..10_000_000_000,
        decimal in prop::sample::select(vec!['.', ',']),
        space in prop::sample::select(vec!["", " ", "'", "\u{a0}", "\u{202f}", "\u{2009}", "other"]),
        around in prop::sample::select(vec![("", ""), ("R", ""), ("R ", ""), ("ZAR\u{a0}", " "), (" +", "")]),
    ) {
        let space = match (space, decimal) {
            ("other", '.') => ",",
            ("other", _) => ".",
            (space, _) => space,
        };
        let whole = (cents / 100).to_string();
        let mut grouped = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 {
                grouped.push_str(space);
            }
            grouped.push(digit);
        }
        let written = format!("{}{grouped}{decimal}{:02}{}", around.0, cents % 100, around.1);
        prop_assert_eq!(sum(&written, decimal), Ok(Sum::In(cents)), "{}", written);
        for out in [format!("-{written}"), format!("({written})"), format!("{written}-")] {
            let expected = if around.0.contains('+') { Sum::Bad } else { Sum::Out };
            prop_assert_eq!(sum(&out, decimal), Ok(expected), "{}", out);
        }
    }

    /// No text is one sum under one mark and another sum under the other.
    #[test]
    fn no_sum_depends_on_a_guess(written in "[-+(R ]{0,2}[0-9]{0,4}[., '\u{a0}0-9]{0,8}[-)0-9]{0,3}") {
        let both = (sum(&written, '.'), sum(&written, ','));
        if let (Ok(Sum::In(one)), Ok(Sum::In(other))) = both {
            prop_assert_eq!(one, other, "{}", written);
        }
    }
}

/// The same statement in each encoding that banks write.
#[test]
fn statements_come_in_several_encodings() {
    let text = "Date,Amount,Reference,Description\n2026-02-01,R\u{a0}1\u{a0}499.00,CG-1,Ren\u{e9}e M\u{fc}ller\n";
    let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(bytes);
        mark.into_iter().chain(units).collect::<Vec<u8>>()
    };
    let windows: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    assert!(windows.contains(&0xa0) && std::str::from_utf8(&windows).is_err());
    for file in [
        text.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16([0xff, 0xfe], u16::to_le_bytes),
        utf16([0xfe, 0xff], u16::to_be_bytes),
        windows,
    ] {
        let statement = parse_csv(&file, &mapping(), day(28)).unwrap();
        assert_eq!(statement.rows[0].amount.minor(), 149_900);
        let description = statement.rows[0].description.as_str();
        assert_eq!(description, "Ren\u{e9}e M\u{fc}ller");
    }
}

#[test]
fn a_file_without_the_columns_is_refused_and_says_which() {
    let refused = |file: &[u8]| parse_csv(file, &mapping(), day(28)).unwrap_err();
    let missing = MappingError::NoColumn("Amount".to_owned());
    assert_eq!(refused(b"Date,Sum,Reference,Description\n"), missing);
    assert_eq!(refused(b""), MappingError::NoColumn("Date".to_owned()));
    let twice = refused(b"Date,Amount,Amount,Reference,Description\n");
    assert_eq!(twice, MappingError::TwoColumns("Amount".to_owned()));
    let giant = vec![b'x'; 10 * 1024 * 1024 + 1];
    assert_eq!(refused(&giant), MappingError::TooLarge);
    // Whatever the bytes are, nothing panics.
    let mut noise = 1_u64;
    for length in 0..300_usize {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                b"Date,Amount\n\"\r\xff1-.2026"[(noise >> 40) as usize % 22]
            })
            .collect();
        let mut file = b"Date,Amount,Reference,Description\n".to_vec();
        file.extend(bytes);
        parse_csv(&file, &mapping(), day(28)).unwrap();
    }
}
