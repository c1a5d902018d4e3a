//! Bank statements: read, imported once, matched, and decided by a person.

use chrono::NaiveDate;
use coursegate::enrollment::Status;
use coursegate::payment::Method;
use coursegate::port::{PageRequest, RowFilter};
use coursegate::statement::{
    BadReason, Mapping, MappingError, RowState, StatementRow, Waiting, parse_csv, suggest,
};
use coursegate::{EnrollmentId, Error, IdRun, Money, Reference};
use proptest::prelude::*;

use crate::support::{World, admin, carrying, price, start};

fn mapping() -> Mapping {
    Mapping::new("Date", "Amount")
        .reference("Reference")
        .description("Description")
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, day).unwrap()
}

fn row(reference: &str, cents: i64) -> StatementRow {
    StatementRow::new(day(1), Money::zar(cents).unwrap(), reference, "EFT", 0)
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

#[test]
fn equal_rows_stay_two_and_the_same_file_stays_the_same() {
    let file = b"Date,Amount,Reference,Description\n2026-02-01,1.00,a,b\n2026-02-01,1.00,a,b\n2026-02-01,1.00,ab,\n";
    let once = parse_csv(file, &mapping(), day(28)).unwrap().rows;
    let again = parse_csv(file, &mapping(), day(28)).unwrap().rows;
    assert_eq!(once, again);
    let checksums: std::collections::HashSet<_> = once.iter().map(|row| &row.checksum).collect();
    assert_eq!(checksums.len(), 3);
}

fn waiting(ids: &mut IdRun, reference: &str, cents: i64) -> (EnrollmentId, Waiting) {
    let enrollment = ids.enrollment();
    let waiting = Waiting {
        enrollment,
        reference: Reference::new(reference).unwrap(),
        amount: Money::zar(cents).unwrap(),
        other_offer: None,
    };
    (enrollment, waiting)
}

#[test]
fn rows_are_matched_by_reference_and_sum_with_a_score() {
    let mut ids = IdRun::new(start());
    let (first, a) = waiting(&mut ids, "CG-7K3M9QXDT4WZ", 49_900);
    let (second, b) = waiting(&mut ids, "CG-8K3M9QXDT4WZ", 35_000);
    let (_, c) = waiting(&mut ids, "CG-000000000000", 35_000);
    let all = [a, b, c];
    let best = |row: StatementRow| {
        let found = suggest(&[row], &all);
        found
            .first()
            .map(|best| (best.enrollment, format!("{:.2}", best.score)))
    };
    let some = |id, score: &str| Some((id, score.to_owned()));
    assert_eq!(best(row("CG-7K3M9QXDT4WZ", 49_900)), some(first, "1.00"));
    assert_eq!(
        best(row("payment cg 7k3m 9qxd t4wz thandi", 49_900)),
        some(first, "1.00")
    );
    assert_eq!(best(row("CG-7K3M9QXDT4WX", 49_900)), some(first, "0.75"));
    assert_eq!(best(row("CG-7K3M9QXDT4WZ", 10_000)), some(first, "0.70"));
    assert_eq!(best(row("CG-7X3M9QXDT4WZ", 10_000)), some(first, "0.45"));
    // A sum that one enrollment waits for, and one that two do.
    assert_eq!(best(row("school fees", 49_900)), some(first, "0.30"));
    assert_eq!(best(row("school fees", 35_000)), None);
    assert_eq!(best(row("school fees", 1)), None);
    // In the description, and beside a neighbour that is one character away.
    let described = StatementRow::new(
        day(1),
        Money::zar(35_000).unwrap(),
        "",
        "EFT CG8K3M9QXDT4WZ",
        0,
    );
    let found = suggest(&[described], &all);
    assert_eq!(found[0].enrollment, second);
    assert!(found[0].amount_fits && found[0].score > 0.99);
    assert!(
        found[1..].iter().all(|other| other.score < 0.6),
        "{found:?}"
    );
    assert!(suggest(&[row("CG", 5)], &all).is_empty());
}

#[tokio::test]
async fn a_statement_is_imported_suggested_and_approved_with_one_click() {
    let world = World::new();
    let mut references = Vec::new();
    for name in ["thandi", "sipho", "naledi"] {
        let id = world.enrol(name, Method::BankTransfer).await.enrollment;
        references.push((id, world.case(id).await.attempts[0].reference.clone()));
    }
    let file = format!(
        "Date,Amount,Reference,Description\n2026-02-01,499.00,{},a\n2026-02-01,400.00,{},b\n2026-02-02,77.00,groceries,c\n",
        references[0].1, references[1].1
    );
    let rows = parse_csv(file.as_bytes(), &mapping(), day(28))
        .unwrap()
        .rows;
    let desk = world.registrar.admin(admin());
    let imported = desk.import_statement(rows.clone()).await.unwrap();
    assert_eq!((imported.added, imported.known), (3, 0));
    let again = desk.import_statement(rows).await.unwrap();
    assert_eq!((again.added, again.known), (0, 3));

    let suggestions = desk.suggestions().await.unwrap();
    assert_eq!(suggestions.len(), 2);
    assert_eq!(
        (suggestions[0].enrollment, suggestions[0].score),
        (references[0].0, 1.0)
    );
    assert!(!suggestions[1].amount_fits);
    assert!(
        !world.may_enter("thandi").await,
        "a suggestion approves nothing"
    );

    let sure = &suggestions[0];
    let pairs = [
        (sure.row.clone(), sure.payment.clone()),
        // The same row cannot pay for a second enrollment.
        (sure.row.clone(), references[2].1.clone()),
        (suggestions[1].row.clone(), references[0].1.clone()),
        ("unknown".into(), references[2].1.clone()),
    ];
    let done = desk.approve_rows(&pairs, "statement of 2 February").await;
    let problems: Vec<_> = done.iter().map(|item| item.problem.is_some()).collect();
    assert_eq!(problems, [false, true, true, true]);
    assert!(world.may_enter("thandi").await);
    assert!(!world.may_enter("naledi").await);

    // The other sum, knowingly: what the row says is what was paid.
    let knowingly = [(suggestions[1].row.clone(), references[1].1.clone())];
    let done = desk.approve_rows(&knowingly, "the rest is a bursary").await;
    assert_eq!(done[0].problem, None);
    let case = world.case(references[1].0).await;
    assert_eq!(
        case.attempts[0].payment.unwrap().amount.unwrap().minor(),
        40_000
    );
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));

    let open = desk
        .statement(RowFilter::Open, PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(open.len(), 1);
    let left = &open[0].row.checksum;
    desk.close_row(left, "groceries").await.unwrap();
    assert_eq!(
        desk.close_row(left, "").await,
        Err(Error::NotFound("open row"))
    );
    let settled = desk
        .statement(RowFilter::Settled, PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(settled.len(), 3);
    let matched = settled
        .iter()
        .filter(|entry| matches!(&entry.state, RowState::Matched { by, .. } if *by == admin()));
    assert_eq!(matched.count(), 2);
    assert_eq!(price().minor(), 49_900);
}

#[tokio::test]
async fn two_admins_who_click_at_once_approve_once() {
    let world = World::new();
    let mut waiting = Vec::new();
    for name in ["thandi", "sipho"] {
        let id = world.enrol(name, Method::BankTransfer).await.enrollment;
        waiting.push(world.case(id).await.attempts[0].reference.clone());
    }
    let row = row("unclear", 49_900);
    let desk = world.registrar.admin(admin());
    desk.import_statement(vec![row.clone()]).await.unwrap();
    let clicks: Vec<_> = waiting
        .into_iter()
        .map(|payment| {
            let (registrar, row) = (world.registrar.clone(), row.checksum.clone());
            tokio::spawn(async move {
                let desk = registrar.admin(admin());
                let done = desk.approve_rows(&[(row, payment)], "").await;
                done[0].problem.is_none()
            })
        })
        .collect();
    let mut approved = 0;
    for click in clicks {
        approved += usize::from(click.await.unwrap());
    }
    assert_eq!(approved, 1, "one row pays for one enrollment");
    let entered = [
        world.may_enter("thandi").await,
        world.may_enter("sipho").await,
    ];
    assert_eq!(entered.iter().filter(|entered| **entered).count(), 1);
}

#[tokio::test]
async fn an_older_reference_pays_the_attempt_it_was_given_for() {
    let world = World::new();
    let id = world.enrol("thandi", Method::BankTransfer).await.enrollment;
    let mut cheaper = crate::support::request("thandi", Method::BankTransfer);
    cheaper.price = Money::zar(29_900).unwrap();
    world.ask(cheaper).await;
    let attempts = world.case(id).await.attempts;
    assert_eq!(attempts.len(), 2);
    let desk = world.registrar.admin(admin());
    let transfer = row(attempts[0].reference.as_str(), 49_900);
    desk.import_statement(vec![transfer]).await.unwrap();
    let best = desk.suggestions().await.unwrap().remove(0);
    assert_eq!(best.payment, attempts[0].reference);
    let done = desk.approve_rows(&[(best.row, best.payment)], "").await;
    assert_eq!(done[0].problem, None);
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [attempts[0].reference.clone()]);
    assert!(case.attempts[1].payment.is_none());
}
