//! Did anybody tamper with these events? For whoever has the file and not the database:
//! `cargo run --example verify_audit_log -- audit_log.jsonl`, and perhaps a link that was noted
//! before, as `position:hash`. It ends with status 1 when they do not hold.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use coursegate::event::audit_log::{Checkpoint, verify_lines};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, noted) = match &arguments[..] {
        [file] => (file, None),
        [file, noted] => match noted.parse::<Checkpoint>() {
            Ok(noted) => (file, Some(noted)),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        },
        _ => return usage(),
    };
    let lines: Result<Vec<String>, _> =
        std::fs::File::open(file).and_then(|file| BufReader::new(file).lines().collect());
    match lines.map(|lines| verify_lines(lines, noted)) {
        Ok(Ok(checked)) => {
            println!(
                "{} events hold; {} of them without the personal data that was erased. The newest link is {}",
                checked.newest.position, checked.erased, checked.newest
            );
            ExitCode::SUCCESS
        }
        Ok(Err(broken)) => {
            println!("{broken}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::from(2)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("use verify_audit_log FILE [POSITION:HASH]");
    ExitCode::from(2)
}
