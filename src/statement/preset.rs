//! How South African banks write their files.

use serde::{Deserialize, Serialize};

use super::mapping::{Mapping, Marked, RunningBalance, StatementDay};

/// A layout of a bank's file, as public papers and parsers of these files describe it. A bank
/// has several at once, and changes them: look at the first rows before anything is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// FNB, downloaded: seven columns from `Date` and `SERVICE FEE` to `CHEQUE NUMBER`.
    FnbHistory,
    /// FNB, downloaded: `Date,Amount,Balance,Description`.
    FnbShort,
    /// FNB, with a column `Effective Date`.
    FnbEffectiveDate,
    /// FNB Online Banking Enterprise, "CSV Date Number": no header.
    FnbEnterprise,
    /// FNB, by e-mail: the first column is the kind of event.
    FnbEmail,
    /// Standard Bank, without a header: rows are marked `HIST`.
    StandardBankOld,
    /// Standard Bank for business, with `Originator PaymentReference`.
    StandardBankNew,
    /// Absa.
    Absa,
    /// Nedbank, without a header.
    Nedbank,
    /// Capitec for persons: `Money In` and `Money Out`.
    CapitecPersonal,
    /// Capitec for business.
    CapitecBusiness,
    /// Investec: `Debits` and `Credits`.
    Investec,
    /// TymeBank.
    TymeBank,
    /// Bank Zero.
    BankZero,
    /// Discovery Bank.
    Discovery,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::FnbHistory,
        Self::FnbShort,
        Self::FnbEffectiveDate,
        Self::FnbEnterprise,
        Self::FnbEmail,
        Self::StandardBankOld,
        Self::StandardBankNew,
        Self::Absa,
        Self::Nedbank,
        Self::CapitecPersonal,
        Self::CapitecBusiness,
        Self::Investec,
        Self::TymeBank,
        Self::BankZero,
        Self::Discovery,
    ];

    /// The bank and the layout, as an admin reads them.
    pub fn name(self) -> &'static str {
        match self {
            Self::FnbHistory => "FNB, transaction history",
            Self::FnbShort => "FNB, four columns",
            Self::FnbEffectiveDate => "FNB, with effective date",
            Self::FnbEnterprise => "FNB Enterprise, CSV Date Number",
            Self::FnbEmail => "FNB, by e-mail",
            Self::StandardBankOld => "Standard Bank",
            Self::StandardBankNew => "Standard Bank, business",
            Self::Absa => "Absa",
            Self::Nedbank => "Nedbank",
            Self::CapitecPersonal => "Capitec",
            Self::CapitecBusiness => "Capitec Business",
            Self::Investec => "Investec",
            Self::TymeBank => "TymeBank",
            Self::BankZero => "Bank Zero",
            Self::Discovery => "Discovery Bank",
        }
    }

    /// How such a file is read: with a decimal point, and commas between columns, as these banks
    /// write it. What a spreadsheet saved again may differ.
    pub fn mapping(self) -> Mapping {
        match self {
            Self::FnbHistory => Mapping::new("Date", "Amount")
                .days_like("%Y/%m/%d")
                .reference("REFERENCE")
                .description("DESCRIPTION")
                .balance("Balance"),
            Self::FnbShort => Mapping::new("Date", "Amount")
                .days_like("%Y/%m/%d")
                .description("Description")
                .balance("Balance"),
            Self::FnbEffectiveDate => Mapping::new("Effective Date", "Amount")
                .days_like("%Y%m%d")
                .reference("Reference")
                .description("Description")
                .balance("Balance"),
            Self::FnbEnterprise => Mapping {
                statement_day: Some(StatementDay::Column {
                    column: 1.into(),
                    format: "%d/%m/%Y".to_owned(),
                }),
                ..Mapping::new(6, 5)
                    .days_like("%d/%m")
                    .reference(4)
                    .description(3)
                    .balance(7)
            },
            Self::FnbEmail => Mapping {
                statement_day: Some(StatementDay::Line {
                    mark: Marked::new(1, "3"),
                    column: 4.into(),
                    format: "%d %B %Y".to_owned(),
                }),
                ..Mapping::new(3, 7)
                    .days_like("%d %b")
                    .reference(5)
                    .description(4)
                    .description(6)
                    .balance(8)
                    .only(1, ["5"])
            },
            Self::StandardBankOld => Mapping {
                running: Some(RunningBalance::new(3, 4)),
                ..Mapping::new(2, 4)
                    .days_like("%Y%m%d")
                    .reference(6)
                    .description(5)
                    .only(1, ["HIST"])
            },
            Self::StandardBankNew => Mapping::new("Date", "Amount")
                .days_like("%Y/%m/%d")
                .reference("Originator Reference")
                .description("Description")
                .description("Customer Reference")
                .balance("Balance")
                .not_rows(["OPEN BALANCE", "CLOSE BALANCE"]),
            Self::Absa => Mapping::new("Date", "Amount")
                .days_like("%Y%m%d")
                .description("Description")
                .balance("Balance"),
            Self::Nedbank => Mapping::new(1, 3)
                .days_like("%d%b%Y")
                .description(2)
                .balance(4)
                .not_rows([
                    "BROUGHT FORWARD",
                    "CARRIED FORWARD",
                    "PROVISIONAL STATEMENT",
                ]),
            Self::CapitecPersonal => Mapping::split("Posting Date", "Money In", "Money Out")
                .reference("Original Description")
                .description("Description")
                .balance("Balance")
                .pending("Description", "(Pending)"),
            Self::CapitecBusiness => Mapping::new("Date", "Amount")
                .days_like("%d/%m/%Y")
                .reference("Reference")
                .description("Description")
                .balance("Balance")
                .not_rows(["Total:", "Balance brought forward:"]),
            Self::Investec => Mapping::split("Transaction Date", "Credits", "Debits")
                .days_like("%Y/%m/%d")
                .description("Description")
                .balance("Balance"),
            Self::TymeBank => Mapping::split("Date", "Money In", "Money Out")
                .days_like("%d %b %Y")
                .description("Description")
                .balance("Balance"),
            Self::BankZero => Mapping::new("Date", "Amount")
                .reference("Description 2")
                .description("Description 1")
                .balance("Balance"),
            Self::Discovery => Mapping::new("Value Date", "Amount")
                .description("Description")
                .pending("Type", "Pending"),
        }
    }

    /// Names of columns that this layout has, and others that look like it do not.
    pub(super) fn telling(self) -> &'static [&'static str] {
        match self {
            Self::FnbHistory => &["SERVICE FEE", "CHEQUE NUMBER"],
            Self::FnbEffectiveDate => &["Effective Date", "Service Fee"],
            Self::StandardBankNew => &["Statement Number", "Originator Reference"],
            Self::CapitecPersonal => &["Parent Category", "Original Description"],
            Self::CapitecBusiness => &["Account", "Fees"],
            Self::Investec => &["Posting Date", "Debits", "Credits"],
            Self::TymeBank => &["Fees", "Money In"],
            Self::BankZero => &["Description 1", "Has Attachments"],
            Self::Discovery => &["Value Time", "Type"],
            _ => &[],
        }
    }
}
