//! Did anybody tamper with these records? For whoever has the file and not the database:
//! `cargo run --example verify_records -- records.jsonl`, and perhaps a link that was noted
//! before, as `position:hash`. It ends with status 1 when they do not hold.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::process::ExitCode;

use coursegate::record::chain::{Anchor, LinkHash, verify_lines};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, noted) = match &arguments[..] {
        [file] => (file, None),
        [file, noted] => match anchor(noted) {
            Some(noted) => (file, Some(noted)),
            None => return usage(),
        },
        _ => return usage(),
    };
    let lines: Result<Vec<String>, _> =
        std::fs::File::open(file).and_then(|file| BufReader::new(file).lines().collect());
    match lines.map(|lines| verify_lines(lines, noted)) {
        Ok(Ok(checked)) => {
            println!(
                "{} records hold; {} of them without the personal data that was erased. The newest link is {}:{}",
                checked.newest.position,
                checked.erased,
                checked.newest.position,
                checked.newest.hash.as_str()
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

fn anchor(text: &str) -> Option<Anchor> {
    let (position, hash) = text.split_once(':')?;
    Some(Anchor {
        position: position.parse().ok()?,
        hash: LinkHash::from_hex(hash),
    })
}

fn usage() -> ExitCode {
    eprintln!("use verify_records FILE [POSITION:HASH]");
    ExitCode::from(2)
}
